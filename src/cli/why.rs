//! `rekeyd status --why NAME` as text: lagging consumers, evidence, rollback and the next command.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::cli::paragraphs::Paragraphs;
use crate::domain::ack::Health;
use crate::domain::gate::LaggingConsumer;
use crate::domain::gate::probes::{InstanceReport, ProbeRound};
use crate::domain::report::consumers::{KeyHeld, UseReport};
use crate::domain::report::why::{EvidenceReport, SourceReport, WhyReport};
use crate::domain::report::{CredentialReport, RotationReport};
use crate::domain::time::{distance, span};
use crate::domain::usage::KeyUse;

/// How many of the provider's usage rows to show for one lagging consumer.
const SPOTS_MAX: usize = 3;

pub(super) fn explain(report: &WhyReport) -> String {
    let now = report.at;
    let credential = &report.credential;
    let mut text = Paragraphs::default();
    text.line(0, &format!("{} is {}", credential.credential, state(credential)));
    text.line(2, &credential.summary);
    if let Some(rotation) = &credential.rotation {
        gates(&mut text, rotation);
        lagging(&mut text, rotation, now);
    }
    // A rotation's own evidence is newer.
    let is_watched = report.evidence.as_ref().is_some_and(|it| !it.sources.is_empty());
    if let Some(used) = credential.last_use.as_ref().filter(|_| !is_watched) {
        text.heading("Last use of the key");
        text.line(2, &used.told(|at| moment(at, now)));
    }
    let empty: Vec<&str> = credential.empty_destinations().collect();
    if !empty.is_empty() {
        text.heading("Empty destinations: nobody reads them yet");
        empty.iter().for_each(|place| text.line(2, place));
    }
    if let Some(observed) = &report.evidence {
        evidence(&mut text, observed, now);
    }
    if !report.consumers.is_empty() {
        text.heading("Consumers");
        for used in &report.consumers {
            let is_stale = credential.stale_consumers.iter().any(|it| it.consumer == used.consumer);
            let stale = if is_stale { "; STALE: the acknowledgement has expired" } else { "" };
            text.row(&used.consumer.to_string(), &format!("{}{stale}", uses(used, now)));
        }
    }
    if let Some(rotation) = &credential.rotation {
        rollback(&mut text, rotation, now);
        new_key(&mut text, rotation, now);
    }
    if let Some(command) = &credential.next_command {
        text.heading("Next");
        text.line(2, command);
    }
    if !report.conditions.is_empty() {
        text.heading("Daemon conditions");
        for condition in &report.conditions {
            text.row(condition.kind.label(), &condition.message);
            text.row("", &format!("next: {}", condition.next_command));
        }
    }
    text.finish()
}

/// The health, and the phase where it adds something: `waiting in phase overlap`, `parked (was in overlap)`.
fn state(report: &CredentialReport) -> String {
    let health = report.health.label();
    let parked_in = report.rotation.as_ref().and_then(|rotation| rotation.parked_in);
    match (parked_in, report.phase()) {
        (Some(was), _) => format!("{health} (was in {})", was.label()),
        (None, Some(phase)) => format!("{health} in phase {}", phase.label()),
        (None, None) => health.to_owned(),
    }
}

fn gates(text: &mut Paragraphs, rotation: &RotationReport) {
    if rotation.gates.is_empty() {
        return;
    }
    text.heading("Gates");
    for gate in &rotation.gates {
        let state = if gate.satisfied { "satisfied" } else { "WAITING" };
        text.row(gate.gate.label(), &format!("{state}: {}", gate.reason));
    }
}

fn lagging(text: &mut Paragraphs, rotation: &RotationReport, now: Timestamp) {
    let lagging: Vec<&LaggingConsumer> = rotation.gates.iter().flat_map(|gate| &gate.waiting_on).collect();
    if lagging.is_empty() {
        return;
    }
    text.heading("Lagging consumers");
    for consumer in lagging {
        text.line(2, &format!("{}: {}", consumer.who, consumer.why));
        let last = consumer.last.map(|last| format!("last seen {}", moment(last, now)));
        let amount = consumer.amount.map(|amount| format!("{amount} credits or calls"));
        let seen: Vec<String> = last.into_iter().chain(amount).collect();
        if !seen.is_empty() {
            text.line(4, &seen.join(", "));
        }
        for spot in consumer.about.iter().take(SPOTS_MAX) {
            text.line(4, &spot_of(spot));
        }
    }
}

fn spot_of(spot: &BTreeMap<String, String>) -> String {
    let columns: Vec<String> = spot.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("usage: {}", columns.join(", "))
}

fn evidence(text: &mut Paragraphs, evidence: &EvidenceReport, now: Timestamp) {
    text.heading(if evidence.rollback { "Evidence for the rollback" } else { "Evidence" });
    for source in &evidence.sources {
        text.row(source.source.label(), &answered(source, now));
        text.row("", &format!("old key: {}", shown(&source.old_key, now)));
        text.row("", &format!("new key: {}", shown(&source.new_key, now)));
    }
    if let Some(last) = evidence.canaries.last() {
        let count = evidence.canaries.len();
        text.row("canary", &format!("{count} test calls with the new key, the last {}", moment(*last, now)));
    }
    for finding in &evidence.probes {
        text.row(&format!("probe {}", finding.probe), &round(finding, evidence.rollback, now));
        for instance in &finding.instances {
            text.row("", &format!("{} {}", instance.address, says(&instance.says)));
        }
    }
    if let Some(ran) = &evidence.command {
        let agreed = if ran.agreed { "succeeded" } else { "failed" };
        text.row("command", &format!("{agreed} {}: {}", moment(ran.at, now), ran.how));
    }
}

fn answered(source: &SourceReport, now: Timestamp) -> String {
    let mut parts = vec![match source.answered_at {
        Some(at) => format!("last response {}", moment(at, now)),
        None => "no response yet".to_owned(),
    }];
    parts.extend(source.covers_from.map(|from| format!("no gap since {}", moment(from, now))));
    if source.late_by_seconds > 0 {
        parts.push(format!("up to {} late", span(SignedDuration::from_secs(source.late_by_seconds))));
    }
    let since = source.blind_since.map(|at| format!(" since {}", moment(at, now))).unwrap_or_default();
    parts.extend(source.blind.as_ref().map(|why| format!("UNAVAILABLE{since}: {why}")));
    parts.join("; ")
}

fn shown(shown: &KeyUse, now: Timestamp) -> String {
    let Some(last) = shown.last else { return "no use seen".to_owned() };
    let about = shown.spots.first().map(|spot| format!("; {}", spot_of(&spot.about))).unwrap_or_default();
    format!("last used {}, {} credits or calls{about}", moment(last, now), shown.amount)
}

fn round(finding: &ProbeRound, rollback: bool, now: Timestamp) -> String {
    let wanted = if rollback { InstanceReport::TheOldKey } else { InstanceReport::TheNewKey };
    let is_green = !finding.instances.is_empty() && finding.instances.iter().all(|it| it.says == wanted);
    let colour = if is_green { "green" } else { "red" };
    let rounds = match finding.red_rounds {
        0 => String::new(),
        1 => ", for one round".to_owned(),
        rounds => format!(", for {rounds} rounds"),
    };
    format!("{colour}{rounds}, probed {}", moment(finding.at, now))
}

fn says(says: &InstanceReport) -> &str {
    match says {
        InstanceReport::TheNewKey => "reports the new key",
        InstanceReport::TheOldKey => "reports the old key",
        InstanceReport::SomethingElse => "reports neither the new nor the old key",
        InstanceReport::Nothing(why) => why,
    }
}

fn uses(used: &UseReport, now: Timestamp) -> String {
    let key = match used.key {
        KeyHeld::Unknown => return "no acknowledgement yet (required)".to_owned(),
        KeyHeld::Other => "an unknown key".to_owned(),
        held @ (KeyHeld::Current | KeyHeld::Old | KeyHeld::New) => format!("the {} key", held.label()),
    };
    let status = match used.status {
        Some(Health::Using) | None => "uses",
        Some(Health::Failing) => "FAILS with",
    };
    let print = used.fingerprint.as_ref().map(|print| format!(" {print}")).unwrap_or_default();
    let since = used.since.map(|since| format!(" since {}", moment(since, now))).unwrap_or_default();
    let seen = used.last_seen.map(|seen| format!(", last seen {}", distance(seen, now))).unwrap_or_default();
    let optional = if used.required { "" } else { "; not required" };
    format!("{status} {key}{print}{since}{seen}{optional}")
}

fn rollback(text: &mut Paragraphs, rotation: &RotationReport, now: Timestamp) {
    text.heading("Rollback");
    let rollback = &rotation.rollback;
    let possible = match (rollback.possible, rollback.until) {
        (false, _) => "not possible".to_owned(),
        (true, None) => "possible".to_owned(),
        (true, Some(until)) => format!("possible until at least {}", moment(until, now)),
    };
    text.line(2, &format!("{possible}: {}", rollback.detail));
    if let Some(at) = rotation.old_key_expires_at {
        text.heading("Old key expiry");
        text.line(2, &format!("if rekeyd does not delete it first, the old key expires {}", moment(at, now)));
    }
}

fn new_key(text: &mut Paragraphs, rotation: &RotationReport, now: Timestamp) {
    if let Some(at) = rotation.new_key_expires_at {
        text.heading("New key expiry");
        text.line(2, &format!("the new key, which destinations serve, expires {}", moment(at, now)));
    }
}

fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{at:.0} ({})", distance(at, now))
}
