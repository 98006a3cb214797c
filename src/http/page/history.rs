//! What happened, rotation by rotation, line by line.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::history::RotationTimeline;
use crate::domain::time::{age, span};
use crate::http::page::told::Told;
use crate::http::page::words::{self, away};

pub(super) fn section(told: &Told, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="history" {
            h2 #history { "History" }
            @if let Some(unread) = &told.unread { p { "It cannot be read: " (unread) } }
            @else if told.stories.is_empty() { p { "There was no rotation yet." } }
            @for (index, story) in told.stories.iter().enumerate() { (one(story, index == 0, now)) }
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
                strong { (story.phase.map_or_else(|| "damaged".to_owned(), words::phase)) }
                @if let Some(reason) = story.reason { ", " (words::spaced(reason.label())) }
                @match (story.begun_at, story.ended_at) {
                    (Some(begun), Some(ended)) => { ", took " (span(ended.duration_since(begun))) },
                    (Some(begun), None) => { ", under way for " (age(begun, now)) },
                    (None, _) => {},
                }
            }
            @if let Some(seconds) = story.resolved_in_seconds {
                p { "From the first sign to the new key current and the old one dead: " (seconds) " s." }
            }
            ol.lines {
                @for line in &story.lines {
                    li {
                        time datetime=(format!("{:.0}", line.at)) { (line.at.strftime("%m-%d %H:%M:%S")) }
                        span.event { (words::spaced(line.event)) }
                        span.text { (words::said(&line.text)) }
                    }
                }
            }
            @if let Some(damage) = &story.damage { p { strong { "Damaged: " } (damage) } }
            p.where { code { (story.rotation) } @if let Some(ended) = story.ended_at { ", ended " (away(ended, now)) } }
        }
    }
}
