//! The rotation under way: its phases as steps, its gates, who holds it up, and the way back.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::gate::{LaggingConsumer, Verdict};
use crate::domain::report::RotationReport;
use crate::domain::report::progress::Progress;
use crate::domain::report::why::WhyReport;
use crate::domain::time::span;
use crate::http::page::words::{self, away, moment};

/// Of what the provider says about one straggler: enough to find it.
const SPOTS: usize = 3;

pub(super) fn section(why: &WhyReport, course: Option<&Progress>) -> Markup {
    let now = why.at;
    html! {
        @if let Some(rotation) = &why.credential.rotation {
            section aria-labelledby="rotation" {
                h2 #rotation { "The rotation under way" }
                p.where {
                    "begun " (away(rotation.begun_at, now)) ", reason: " (words::spaced(rotation.reason.label()))
                    " · " code { (rotation.id) }
                }
                @if let Some(urgency) = &rotation.urgency {
                    p { strong { "An emergency: nothing is waited for. " } (urgency.why) ", known since " (moment(urgency.since, now)) "." }
                }
                @if let Some(trouble) = &rotation.last_failure {
                    p.last_failure {
                        strong { "Fails and is tried again: " } (words::said(&trouble.message)) " · "
                        (words::count(usize::try_from(trouble.failures).unwrap_or(usize::MAX), "failure", "failures"))
                        " since " (away(trouble.since, now)) ", the last " (away(trouble.last_at, now))
                    }
                }
                @if let Some(course) = course { (steps(course, now)) }
                (waits(rotation, now))
                @if !rotation.gates.is_empty() { (gates(&rotation.gates, now)) }
                (way_back(rotation, now))
            }
        }
    }
}

fn steps(course: &Progress, now: Timestamp) -> Markup {
    html! {
        ol.steps aria-label="Phases" {
            @for passage in &course.passed {
                @let here = passage.until.is_none();
                li class=(if here { "here" } else { "passed" }) aria-current=[here.then_some("step")] {
                    span.phase { (words::phase(passage.phase)) }
                    span.when {
                        (words::clock(passage.from)) " · "
                        @match passage.until {
                            Some(until) => (span(until.duration_since(passage.from))),
                            None => { "for " (span(now.duration_since(passage.from))) },
                        }
                    }
                    span.means { (passage.phase.row().meaning) }
                }
            }
            @for phase in &course.ahead {
                li.ahead { span.phase { (words::phase(*phase)) } span.when { "ahead" } span.means { (phase.row().meaning) } }
            }
        }
    }
}

fn waits(rotation: &RotationReport, now: Timestamp) -> Markup {
    html! {
        dl.facts {
            @if let Some(until) = rotation.waits_until { dt { "Not before" } dd { (moment(until, now)) } }
            @if let Some(deadline) = rotation.deadline { dt { "Deadline" } dd { (moment(deadline, now)) } }
            @if let Some(key) = &rotation.old_key_id { dt { "Old key" } dd { code { (key) } } }
            @if let Some(key) = &rotation.new_key_id { dt { "New key" } dd { code { (key) } } }
            @if let Some(print) = &rotation.new_fingerprint { dt { "Its fingerprint" } dd { code { (print) } } }
        }
    }
}

fn gates(gates: &[Verdict], now: Timestamp) -> Markup {
    html! {
        h3 { "Gates" }
        p.where { "Each has to be open before the old key is disabled." }
        ul.gates {
            @for gate in gates {
                li class=(if gate.open { "open" } else { "shut" }) {
                    p {
                        strong { (words::spaced(gate.gate.label())) } " "
                        span class={ "tag " (if gate.open { "well" } else { "warn" }) } { (if gate.open { "open" } else { "shut" }) }
                    }
                    p.summary { (words::said(&gate.grounds)) }
                    @if !gate.stragglers.is_empty() {
                        ul.stragglers aria-label="Who holds it shut" {
                            @for straggler in &gate.stragglers { (one(straggler, now)) }
                        }
                    }
                }
            }
        }
    }
}

fn one(straggler: &LaggingConsumer, now: Timestamp) -> Markup {
    html! {
        li {
            strong { (straggler.who) } ": " (words::said(&straggler.why))
            @if let Some(last) = straggler.last { ", last seen " (away(last, now)) }
            @if let Some(amount) = straggler.amount { ", " (amount) " credits or calls" }
            @for spot in straggler.about.iter().take(SPOTS) {
                br;
                @for (index, (name, value)) in spot.iter().enumerate() {
                    @if index > 0 { ", " }
                    code { (name) "=" (value) }
                }
            }
        }
    }
}

fn way_back(rotation: &RotationReport, now: Timestamp) -> Markup {
    let back = &rotation.rollback;
    html! {
        h3 { "Way back" }
        p {
            @match (back.possible, back.until) {
                (false, _) => "Not possible: ",
                (true, None) => "Possible: ",
                (true, Some(until)) => { "Possible until " (moment(until, now)) " at least: " },
            }
            (back.detail) "."
        }
        @if let Some(at) = rotation.old_key_expires_at {
            p { "Without rekeyd, the provider lets the old key expire " (moment(at, now)) "." }
        }
    }
}
