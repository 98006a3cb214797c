//! The rotation in progress: its phases, its gates with what they are waiting on, and the rollback.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::gate::{LaggingConsumer, Verdict};
use crate::domain::report::RotationReport;
use crate::domain::report::progress::Progress;
use crate::domain::report::why::WhyReport;
use crate::domain::time::span;
use crate::http::page::format::{self, instant, relative};

/// The largest number of usage records of a lagging consumer.
const SPOTS: usize = 3;

pub(super) fn section(why: &WhyReport, progress: Option<&Progress>) -> Markup {
    let now = why.at;
    html! {
        @if let Some(rotation) = &why.credential.rotation {
            section aria-labelledby="rotation" {
                h2 #rotation { "Rotation in progress" }
                p.where {
                    "started " (relative(rotation.begun_at, now)) ", reason: " (format::spaced(rotation.reason.label()))
                    " · " code { (rotation.id) }
                }
                @if let Some(urgency) = &rotation.urgency {
                    p { strong { "Emergency: skips every wait. " } (urgency.why) ", known since " (instant(urgency.since, now)) "." }
                }
                @if let Some(failure) = &rotation.last_failure {
                    p.last_failure {
                        strong { "Failing, retrying: " } (format::inline(&failure.message)) " · "
                        (format::count(usize::try_from(failure.failures).unwrap_or(usize::MAX), "failure", "failures"))
                        " since " (relative(failure.since, now)) ", the last " (relative(failure.last_at, now))
                    }
                }
                @if let Some(progress) = progress { (steps(progress, now)) }
                (waits(rotation, now))
                @if !rotation.gates.is_empty() { (gates(&rotation.gates, now)) }
                (rollback(rotation, now))
            }
        }
    }
}

fn steps(progress: &Progress, now: Timestamp) -> Markup {
    html! {
        ol.steps aria-label="Phases" {
            @for interval in &progress.passed {
                @let here = interval.until.is_none();
                li class=(if here { "here" } else { "passed" }) aria-current=[here.then_some("step")] {
                    span.phase { (format::phase(interval.phase)) }
                    span.when {
                        (format::clock(interval.from)) " · "
                        @match interval.until {
                            Some(until) => (span(until.duration_since(interval.from))),
                            None => { "for " (span(now.duration_since(interval.from))) },
                        }
                    }
                    span.means { (interval.phase.row().meaning) }
                }
            }
            @for phase in &progress.ahead {
                li.ahead { span.phase { (format::phase(*phase)) } span.when { "pending" } span.means { (phase.row().meaning) } }
            }
        }
    }
}

fn waits(rotation: &RotationReport, now: Timestamp) -> Markup {
    html! {
        dl.facts {
            @if let Some(until) = rotation.waits_until { dt { "Not before" } dd { (instant(until, now)) } }
            @if let Some(deadline) = rotation.deadline { dt { "Deadline" } dd { (instant(deadline, now)) } }
            @if let Some(key) = &rotation.old_key_id { dt { "Old key" } dd { (format::id(key.as_str())) } }
            @if let Some(key) = &rotation.new_key_id { dt { "New key" } dd { (format::id(key.as_str())) } }
            @if let Some(at) = rotation.new_key_expires_at { dt { "New key expires" } dd { (instant(at, now)) } }
            @if let Some(print) = &rotation.new_fingerprint { dt { "New fingerprint" } dd { (format::id(&print.to_string())) } }
        }
    }
}

fn gates(gates: &[Verdict], now: Timestamp) -> Markup {
    html! {
        h3 { "Gates" }
        p.where { "Every gate has to be satisfied before the old key is disabled." }
        ul.gates {
            @for gate in gates {
                li class=(if gate.satisfied { "satisfied" } else { "waiting" }) {
                    p {
                        strong { (format::spaced(gate.gate.label())) } " "
                        span class={ "tag " (if gate.satisfied { "well" } else { "warn" }) } { (if gate.satisfied { "satisfied" } else { "waiting" }) }
                    }
                    p.summary { (format::inline(&gate.reason)) }
                    @if !gate.waiting_on.is_empty() {
                        ul.lagging aria-label="Lagging consumers" {
                            @for consumer in &gate.waiting_on { (one(consumer, now)) }
                        }
                    }
                }
            }
        }
    }
}

fn one(consumer: &LaggingConsumer, now: Timestamp) -> Markup {
    html! {
        li {
            strong { (consumer.who) } ": " (format::inline(&consumer.why))
            @if let Some(last) = consumer.last { ", last seen " (relative(last, now)) }
            @if let Some(amount) = consumer.amount { ", " (amount) " credits or calls" }
            @for spot in consumer.about.iter().take(SPOTS) {
                br;
                @for (index, (name, value)) in spot.iter().enumerate() {
                    @if index > 0 { ", " }
                    code { (name) "=" (value) }
                }
            }
        }
    }
}

fn rollback(rotation: &RotationReport, now: Timestamp) -> Markup {
    let rollback = &rotation.rollback;
    html! {
        h3 { "Rollback" }
        p {
            @match (rollback.possible, rollback.until) {
                (false, _) => "Not possible: ",
                (true, None) => "Possible: ",
                (true, Some(until)) => { "Possible at least until " (instant(until, now)) ": " },
            }
            (rollback.detail) "."
        }
        @if let Some(at) = rotation.old_key_expires_at {
            p { "The old key expires at the provider " (instant(at, now)) "." }
        }
    }
}
