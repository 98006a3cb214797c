//! The life of the key in service: made, due, expired.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::CredentialReport;
use crate::http::page::words::{self, moment};

/// Parts that the line is divided into.
const WIDTH: i64 = 1000;

pub(super) fn section(report: &CredentialReport, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="key" {
            h2 #key { "Its key" }
            @if report.key_id.is_none() { p { "It has none yet." } }
            @if let Some(since) = report.key_since { (line(since, report, now)) }
            dl.facts {
                @if let Some(since) = report.key_since { dt { "In service since" } dd { (moment(since, now)) } }
                @match (report.next_due, &report.rotation) {
                    (_, Some(rotation)) => {
                        dt { "Being replaced since" }
                        dd { (moment(rotation.begun_at, now)) ", reason: " (words::spaced(rotation.reason.label())) }
                    },
                    (Some(due), None) => { dt { "Due" } dd { (moment(due, now)) @if report.requested { ", and asked for" } } },
                    (None, None) => { @if report.requested { dt { "Due" } dd { "asked for" } } },
                }
                @if let Some(waits_for) = &report.waits_for { dt { "Waits for" } dd { (words::said(waits_for)) } }
                @if let Some(expiry) = report.key_expires_at { dt { "Expires" } dd { (moment(expiry, now)) } }
                @if let Some(last) = &report.last {
                    dt { "Last rotation" }
                    dd {
                        (words::phase(last.outcome)) " " (moment(last.at, now))
                        @if let Some(why) = &last.why { ": " (why) }
                    }
                }
                @if let Some(answered) = &report.last_emergency {
                    dt { "Last emergency" }
                    dd {
                        (answered.why) ": the new key was current and the old one dead "
                        (answered.at.duration_since(answered.since).as_secs()) " s later, " (moment(answered.at, now))
                    }
                }
            }
        }
    }
}

/// The same to look at; the words beside it say it all.
fn line(since: Timestamp, report: &CredentialReport, now: Timestamp) -> Markup {
    let marks = [report.next_due, report.key_expires_at];
    let marks: Vec<Timestamp> = marks.into_iter().flatten().filter(|at| *at != Timestamp::MAX).collect();
    let end = marks.iter().copied().chain([now]).max().unwrap_or(now);
    let whole = end.duration_since(since).as_secs().max(1);
    let place = |at: Timestamp| at.duration_since(since).as_secs().clamp(0, whole) * WIDTH / whole;
    html! {
        @if !marks.is_empty() {
            svg.line aria-hidden="true" viewBox={ "0 0 " (WIDTH) " 16" } preserveAspectRatio="none" {
                rect.track x="0" y="6" width=(WIDTH) height="4" {}
                rect.passed x="0" y="6" width=(place(now)) height="4" {}
                @for mark in marks { rect.mark x=((place(mark) - 2).max(0)) y="2" width="4" height="12" {} }
                rect.now x=((place(now) - 2).clamp(0, WIDTH - 4)) y="0" width="4" height="16" {}
            }
        }
    }
}
