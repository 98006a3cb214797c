//! The input of the gates: the key that each consumer uses, and the evidence about both keys.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::domain::ack::Health;
use crate::domain::gate::probes::{InstanceReport, ProbeRound};
use crate::domain::report::consumers::{KeyHeld, UseReport};
use crate::domain::report::why::{EvidenceReport, SourceReport, WhyReport};
use crate::domain::time::span;
use crate::domain::usage::KeyUse;
use crate::http::page::format::{self, relative};

pub(super) fn consumers(why: &WhyReport) -> Markup {
    html! {
        @if !why.consumers.is_empty() {
            section aria-labelledby="consumers" {
                h2 #consumers { "Consumers" }
                table {
                    caption.unseen { "Last report of each consumer" }
                    thead { tr {
                        th scope="col" { "Consumer" }
                        th scope="col" { "Key in use" }
                        th scope="col" { "Since" }
                        th.wide scope="col" { "Last seen" }
                        th.wide scope="col" { "Required" }
                    } }
                    tbody { @for used in &why.consumers { (consumer(used, why)) } }
                }
            }
        }
    }
}

fn consumer(used: &UseReport, why: &WhyReport) -> Markup {
    let now = why.at;
    let is_silent = why.credential.stale_consumers.iter().any(|it| it.consumer == used.consumer);
    let is_behind = used.required && matches!(used.key, KeyHeld::Old | KeyHeld::Other | KeyHeld::Unknown);
    html! {
        tr class=[(is_behind || is_silent).then_some("behind")] {
            th scope="row" { (used.consumer) }
            td {
                @match used.key {
                    KeyHeld::Unknown => "not reported",
                    KeyHeld::Other => "another key",
                    KeyHeld::Current => "current key",
                    KeyHeld::Old => strong { "old key" },
                    KeyHeld::New => "new key",
                }
                @if used.status == Some(Health::Failing) { ", " strong.bad { "failing" } }
                @if is_silent { ", " strong.bad { "silent" } }
                @if let Some(print) = &used.fingerprint { " " code.print { (print) } }
            }
            td { @if let Some(since) = used.since { (relative(since, now)) } @else { "never" } }
            td.wide { @if let Some(seen) = used.last_seen { (relative(seen, now)) } @else { "never" } }
            td.wide { (if used.required { "yes" } else { "no" }) }
        }
    }
}

pub(super) fn section(why: &WhyReport) -> Markup {
    let now = why.at;
    html! {
        @if let Some(evidence) = &why.evidence {
            section aria-labelledby="evidence" {
                h2 #evidence {
                    (if evidence.rollback { "Evidence of the rollback" } else { "Evidence" })
                }
                @for source in &evidence.sources { (one(source, now)) }
                @for finding in &evidence.probes { (probe(finding, evidence, now)) }
                dl.facts {
                    @if let Some(last) = evidence.canaries.last() {
                        dt { "Canary" }
                        dd { (format::count(evidence.canaries.len(), "call", "calls")) " with the new key, the last " (relative(*last, now)) }
                    }
                    @if let Some(ran) = &evidence.command {
                        dt { "Command" }
                        dd { (if ran.agreed { "passed " } else { "failed " }) (relative(ran.at, now)) ": " (ran.how) }
                    }
                }
            }
        }
    }
}

fn one(source: &SourceReport, now: Timestamp) -> Markup {
    html! {
        h3 { (format::spaced(source.source.label())) }
        dl.facts {
            dt { "Last response" }
            dd {
                @if let Some(at) = source.answered_at { (relative(at, now)) } @else { "never" }
                @if let Some(from) = source.covers_from { ", covers usage since " (relative(from, now)) }
                @if source.late_by_seconds > 0 { ", up to " (span(SignedDuration::from_secs(source.late_by_seconds))) " late" }
            }
            @if let Some(blind) = &source.blind {
                dt { "Unavailable" }
                dd { (blind) @if let Some(at) = source.blind_since { ", since " (relative(at, now)) } }
            }
            dt { "Old key" }
            dd { (shown(&source.old_key, now)) }
            dt { "New key" }
            dd { (shown(&source.new_key, now)) }
        }
    }
}

fn shown(shown: &KeyUse, now: Timestamp) -> Markup {
    let spot = shown.spots.first();
    html! {
        @if let Some(last) = shown.last {
            "last used " (relative(last, now)) ", " (shown.amount) " credits or calls"
            @if let Some(spot) = spot {
                @for (name, value) in &spot.about { ", " code { (name) "=" (value) } }
            }
        } @else { "no usage" }
    }
}

fn probe(finding: &ProbeRound, evidence: &EvidenceReport, now: Timestamp) -> Markup {
    let wanted = if evidence.rollback { InstanceReport::TheOldKey } else { InstanceReport::TheNewKey };
    let is_green = !finding.instances.is_empty() && finding.instances.iter().all(|it| it.says == wanted);
    html! {
        h3 { "Probe " (finding.probe) " " span class={ "tag " (if is_green { "well" } else { "warn" }) } { (if is_green { "green" } else { "red" }) } }
        p.where { "last run " (relative(finding.at, now)) }
        ul {
            @for instance in &finding.instances {
                li { code { (instance.address) } " " (says(&instance.says)) }
            }
        }
    }
}

fn says(says: &InstanceReport) -> &str {
    match says {
        InstanceReport::TheNewKey => "reports the new key",
        InstanceReport::TheOldKey => "reports the old key",
        InstanceReport::SomethingElse => "reports another key",
        InstanceReport::Nothing(why) => why,
    }
}
