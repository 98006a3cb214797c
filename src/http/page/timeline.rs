//! The lifetime of the key in service: creation, due time, expiry.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::CredentialReport;
use crate::http::page::format::{self, instant};

/// The width of the line in units.
const WIDTH: i64 = 1000;

pub(super) fn section(report: &CredentialReport, now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="key" {
            h2 #key { "Key" }
            @if report.key_id.is_none() { p { "No key yet." } }
            @if let Some(since) = report.key_since { (line(since, report, now)) }
            dl.facts {
                @if let Some(since) = report.key_since { dt { "In service since" } dd { (instant(since, now)) } }
                @match (report.next_due, &report.rotation) {
                    (_, Some(rotation)) => {
                        dt { "Being replaced since" }
                        dd { (instant(rotation.begun_at, now)) ", reason: " (format::spaced(rotation.reason.label())) }
                    },
                    (Some(due), None) => { dt { "Due" } dd { (instant(due, now)) @if report.requested { ", requested" } } },
                    (None, None) => { @if report.requested { dt { "Due" } dd { "requested" } } },
                }
                @if let Some(waits_for) = &report.waits_for { dt { "Waiting for" } dd { (format::inline(waits_for)) } }
                @if let Some(expiry) = report.key_expires_at { dt { "Expires" } dd { (instant(expiry, now)) } }
                @if let Some(last) = &report.last {
                    dt { "Last rotation" }
                    dd {
                        (format::phase(last.outcome)) " " (instant(last.at, now))
                        @if let Some(why) = &last.why { ": " (why) }
                    }
                }
                @if let Some(answered) = &report.last_emergency {
                    dt { "Last emergency" }
                    dd {
                        (answered.why) ": new key current and old key disabled after "
                        (answered.at.duration_since(answered.since).as_secs()) " s, " (instant(answered.at, now))
                    }
                }
            }
        }
    }
}

/// The same as a graphic, hidden from screen readers.
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
