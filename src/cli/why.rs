//! `rekeyd status --why NAME`, for a person: who holds a rotation up, by what that is known, and what can be done.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::cli::paragraphs::Paragraphs;
use crate::domain::ack::Health;
use crate::domain::gate::LaggingConsumer;
use crate::domain::gate::probe::{InstanceReport, ProbeRound};
use crate::domain::report::RotationReport;
use crate::domain::report::consumers::{KeyHeld, UseReport};
use crate::domain::report::why::{EvidenceReport, SourceReport, WhyReport};
use crate::domain::time::{distance, span};
use crate::domain::usage::Shown;

/// Of what the provider says about one straggler: enough to find it.
const SPOTS_MAX: usize = 3;

pub(super) fn explain(report: &WhyReport) -> String {
    let now = report.at;
    let told = &report.credential;
    let mut text = Paragraphs::default();
    let phase = told.phase().map(|phase| format!(" in phase {}", phase.label())).unwrap_or_default();
    text.line(0, &format!("{} is {}{phase}", told.credential, told.condition.label()));
    text.line(2, &told.summary);
    if let Some(rotation) = &told.rotation {
        gates(&mut text, rotation);
        stragglers(&mut text, rotation, now);
    }
    if let Some(observed) = &report.evidence {
        evidence(&mut text, observed, now);
    }
    if !report.consumers.is_empty() {
        text.heading("Consumers");
        for used in &report.consumers {
            let is_silent = told.silent.iter().any(|it| it.consumer == used.consumer);
            let silent = if is_silent { "; SILENT: its word counts no longer" } else { "" };
            text.row(&used.consumer.to_string(), &format!("{}{silent}", uses(used, now)));
        }
    }
    if let Some(rotation) = &told.rotation {
        ways(&mut text, rotation, now);
    }
    if let Some(command) = &told.next_command {
        text.heading("Next");
        text.line(2, command);
    }
    if !report.remarks.is_empty() {
        text.heading("The daemon says");
        for remark in &report.remarks {
            text.row(remark.kind.label(), &remark.message);
            text.row("", &format!("next: {}", remark.next_command));
        }
    }
    text.finish()
}

fn gates(text: &mut Paragraphs, rotation: &RotationReport) {
    if rotation.gates.is_empty() {
        return;
    }
    text.heading("Gates");
    for gate in &rotation.gates {
        let state = if gate.open { "open" } else { "SHUT" };
        text.row(gate.gate.label(), &format!("{state}: {}", gate.grounds));
    }
}

fn stragglers(text: &mut Paragraphs, rotation: &RotationReport, now: Timestamp) {
    let stragglers: Vec<&LaggingConsumer> = rotation.gates.iter().flat_map(|gate| &gate.stragglers).collect();
    if stragglers.is_empty() {
        return;
    }
    text.heading("Who holds it up");
    for straggler in stragglers {
        text.line(2, &format!("{}: {}", straggler.who, straggler.why));
        let last = straggler.last.map(|last| format!("last seen {}", moment(last, now)));
        let amount = straggler.amount.map(|amount| format!("{amount} credits or calls"));
        let seen: Vec<String> = last.into_iter().chain(amount).collect();
        if !seen.is_empty() {
            text.line(4, &seen.join(", "));
        }
        for spot in straggler.about.iter().take(SPOTS_MAX) {
            text.line(4, &spot_of(spot));
        }
    }
}

fn spot_of(spot: &BTreeMap<String, String>) -> String {
    let columns: Vec<String> = spot.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("where: {}", columns.join(", "))
}

fn evidence(text: &mut Paragraphs, evidence: &EvidenceReport, now: Timestamp) {
    text.heading(if evidence.way_back { "Evidence that the old key is used again" } else { "Evidence" });
    for source in &evidence.sources {
        text.row(source.source.label(), &answered(source, now));
        text.row("", &format!("old key: {}", shown(&source.old_key, now)));
        text.row("", &format!("new key: {}", shown(&source.new_key, now)));
    }
    if let Some(last) = evidence.canaries.last() {
        let count = evidence.canaries.len();
        text.row(
            "canary",
            &format!("{count} calls of ours with the new key, the last {}", moment(*last, now)),
        );
    }
    for finding in &evidence.probes {
        text.row(&format!("probe {}", finding.probe), &round(finding, evidence.way_back, now));
        for instance in &finding.instances {
            text.row("", &format!("{} {}", instance.address, says(&instance.says)));
        }
    }
    if let Some(ran) = &evidence.command {
        let agreed = if ran.agreed { "agreed" } else { "did not agree" };
        text.row("command", &format!("{agreed} {}: {}", moment(ran.at, now), ran.how));
    }
}

fn answered(source: &SourceReport, now: Timestamp) -> String {
    let mut parts = vec![match source.answered_at {
        Some(at) => format!("answered {}", moment(at, now)),
        None => "never answered".to_owned(),
    }];
    parts.extend(source.covers_from.map(|from| format!("without a gap since {}", moment(from, now))));
    if source.late_by_seconds > 0 {
        parts.push(format!("up to {} late", span(SignedDuration::from_secs(source.late_by_seconds))));
    }
    parts.extend(source.blind.as_ref().map(|why| format!("BLIND: {why}")));
    parts.join("; ")
}

fn shown(shown: &KeyUse, now: Timestamp) -> String {
    let Some(last) = shown.last else { return "no use shown".to_owned() };
    let about = shown.spots.first().map(|spot| format!("; {}", spot_of(&spot.about))).unwrap_or_default();
    format!("used until {}, {} credits or calls{about}", moment(last, now), shown.amount)
}

fn round(finding: &ProbeRound, way_back: bool, now: Timestamp) -> String {
    let wanted = if way_back { InstanceReport::TheOldKey } else { InstanceReport::TheNewKey };
    let is_green = !finding.instances.is_empty() && finding.instances.iter().all(|it| it.says == wanted);
    let colour = if is_green { "green" } else { "red" };
    let rounds = match finding.red_rounds {
        0 => String::new(),
        1 => ", for one round".to_owned(),
        rounds => format!(", for {rounds} rounds"),
    };
    format!("{colour}{rounds}, asked {}", moment(finding.at, now))
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
        KeyHeld::Unknown => return "never acknowledged anything, and is waited for".to_owned(),
        KeyHeld::Other => "a key that is neither of these".to_owned(),
        held @ (KeyHeld::Current | KeyHeld::Old | KeyHeld::New) => format!("the {} key", held.label()),
    };
    let status = match used.status {
        Some(Health::Using) | None => "uses",
        Some(Health::Failing) => "FAILS with",
    };
    let print = used.fingerprint.as_ref().map(|print| format!(" {print}")).unwrap_or_default();
    let since = used.since.map(|since| format!(" since {}", moment(since, now))).unwrap_or_default();
    let seen = used.last_seen.map(|seen| format!(", last seen {}", distance(seen, now))).unwrap_or_default();
    let idle = if used.awaited { "" } else { "; nobody waits for it" };
    format!("{status} {key}{print}{since}{seen}{idle}")
}

fn ways(text: &mut Paragraphs, rotation: &RotationReport, now: Timestamp) {
    text.heading("Way back");
    let rollback = &rotation.rollback;
    let possible = match (rollback.possible, rollback.until) {
        (false, _) => "not possible".to_owned(),
        (true, None) => "possible".to_owned(),
        (true, Some(until)) => format!("possible until {} at least", moment(until, now)),
    };
    text.line(2, &format!("{possible}: {}", rollback.detail));
    if let Some(at) = rotation.old_key_expires_at {
        text.heading("Dead man's switch");
        text.line(2, &format!("without rekeyd, the provider lets the old key expire {}", moment(at, now)));
    }
}

fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{at:.0} ({})", distance(at, now))
}
