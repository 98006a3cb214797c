//! The history: the events of each rotation.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::history::RotationTimeline;
use crate::domain::time::{age, span};
use crate::http::page::detail::Detail;
use crate::http::page::format::{self, relative};

pub(super) fn section(detail: &Detail, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="history" {
            h2 #history { "History" }
            @if let Some(error) = &detail.history_error { p { "Cannot read the history: " (error) } }
            @else if detail.stories.is_empty() { p { "No rotation yet." } }
            @for (index, story) in detail.stories.iter().enumerate() { (one(story, index == 0, now)) }
        }
    }
}

fn one(story: &RotationTimeline, is_newest: bool, now: Timestamp) -> Markup {
    html! {
        details.story open[is_newest] id={ "rotation-" (story.rotation) } {
            summary {
                @if let Some(begun) = story.begun_at {
                    time datetime=(format!("{begun:.0}")) { (begun.strftime("%Y-%m-%d %H:%M UTC")) } " "
                }
                strong { (story.phase.map_or_else(|| "damaged".to_owned(), format::phase)) }
                @if let Some(reason) = story.reason { ", " (format::spaced(reason.label())) }
                @match (story.begun_at, story.ended_at) {
                    (Some(begun), Some(ended)) => { ", took " (span(ended.duration_since(begun))) },
                    (Some(begun), None) => { ", in progress for " (age(begun, now)) },
                    (None, _) => {},
                }
            }
            @if let Some(seconds) = story.resolved_in_seconds {
                p { "From the first sign until the new key was current and the old key disabled: " (seconds) " s." }
            }
            ol.lines {
                @for line in &story.lines {
                    li {
                        time datetime=(format!("{:.0}", line.at)) { (line.at.strftime("%m-%d %H:%M:%S")) }
                        span.event { (format::spaced(line.event)) }
                        span.text { (format::inline(&line.text)) }
                    }
                }
            }
            @if let Some(damage) = &story.damage { p { strong { "Damaged: " } (damage) } }
            p.where { (format::id(&story.rotation.to_string())) @if let Some(ended) = story.ended_at { ", ended " (relative(ended, now)) } }
        }
    }
}
