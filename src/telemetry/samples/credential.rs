//! Credentials one by one: all of them, or the worst of those that are not well.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::domain::finding::FindingKind;
use crate::domain::gate::GateName;
use crate::domain::ids::WorkspaceName;
use crate::domain::phase::PhaseName;
use crate::domain::report::blocked::SourceDelay;
use crate::domain::report::{CredentialHealth, CredentialReport, RotationReport, StatusReport};
use crate::domain::time::later;
use crate::telemetry::catalogue;
use crate::telemetry::observation::Detail;
use crate::telemetry::samples::Samples;

/// More than an on-call person can look at, and few enough for any scraper.
const WORST_MAX: usize = 100;

/// A key that expires within this is not well: longer than any alert about it waits.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(24 * 14);

/// For which anything may be late, or stand still, without being worth a look.
const A_WHILE: SignedDuration = SignedDuration::from_hours(1);

/// For which an emergency that was answered is worth telling: its cause may still be there.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn tell(samples: &mut Samples, report: &StatusReport, detail: Detail, now: Timestamp) {
    let mut told: Vec<&CredentialReport> = match detail {
        Detail::Every => report.credentials.iter().collect(),
        // A report begins with the worst.
        Detail::Worst => report.credentials.iter().filter(|it| !is_well(it, now)).take(WORST_MAX).collect(),
    };
    told.sort_by(|one, other| one.credential.cmp(&other.credential));
    for report in told {
        credential(samples, report);
    }
}

/// Whether no alert could be about it.
fn is_well(report: &CredentialReport, now: Timestamp) -> bool {
    let is_before = |at: Option<Timestamp>, limit: Timestamp| at.is_some_and(|at| at <= limit);
    let a_while_ago = now.saturating_sub(A_WHILE).unwrap_or(Timestamp::MIN);
    let a_day_ago = now.saturating_sub(A_DAY).unwrap_or(Timestamp::MIN);
    let soon = later(now, EXPIRES_SOON);
    let is_quiet = match report.health {
        CredentialHealth::Fine | CredentialHealth::Rotating | CredentialHealth::Waiting => true,
        CredentialHealth::Retrying
        | CredentialHealth::OutOfSync
        | CredentialHealth::Parked
        | CredentialHealth::Blocked
        | CredentialHealth::Damaged => false,
    };
    let goes_well = |rotation: &RotationReport| {
        let is_failing = stragglers(rotation).iter().any(|(gate, _)| *gate == GateName::Failing);
        let stands_still =
            report.health == CredentialHealth::Rotating && is_before(Some(rotation.phase_since), a_while_ago);
        !is_failing
            && !stands_still
            && !is_before(rotation.deadline, now)
            && !rotation.evidence.iter().any(|source| source.blind)
    };
    is_quiet
        && !report.attention
        && report.findings.is_empty()
        && report.stale_consumers.is_empty()
        && report.last_emergency.as_ref().is_none_or(|answered| answered.at < a_day_ago)
        && !is_before(report.due, a_while_ago)
        && !is_before(report.key_expires_at, soon)
        && report.last.as_ref().is_none_or(|last| last.outcome == PhaseName::Done)
        && report.rotation.as_ref().is_none_or(goes_well)
}

/// Who holds which gate shut. Of a probe's many instances only the probe: they come and go.
pub(super) fn stragglers(report: &RotationReport) -> BTreeSet<(GateName, &str)> {
    let shut = report.gates.iter().filter(|verdict| !verdict.open);
    shut.flat_map(|verdict| {
        let who = verdict.stragglers.iter().map(|it| it.who.split(" at ").next().unwrap_or_default());
        who.map(|who| (verdict.gate, who))
    })
    .collect()
}

fn credential(samples: &mut Samples, report: &CredentialReport) {
    let name = report.credential.as_str();
    let workspace = report.workspace.as_ref().map_or("", WorkspaceName::as_str);
    let which = [name, workspace];
    samples.flag(catalogue::ATTENTION, &which, report.attention);
    samples.moment(catalogue::KEY_CREATED, &which, report.key_since);
    samples.moment(catalogue::KEY_EXPIRES, &which, report.key_expires_at);
    samples.moment(catalogue::ROTATION_DUE, &which, report.due);
    if let Some(blocked) = report.blocked {
        samples.put(catalogue::BLOCKED, &[name, workspace, blocked.label()], 1.0);
    }
    if let Some(obstacle) = &report.obstacle {
        samples.put(catalogue::OBSTACLE, &[name, workspace, obstacle.kind.label()], 1.0);
    }
    for kind in FindingKind::ALL.into_iter().filter(|kind| report.findings.iter().any(|it| it.kind == *kind))
    {
        samples.put(catalogue::FINDING, &[name, workspace, kind.label()], 1.0);
    }
    for silent in &report.stale_consumers {
        let labels = [name, workspace, silent.consumer.as_str()];
        samples.moment(catalogue::SILENT_SINCE, &labels, Some(silent.since));
    }
    if let Some(answered) = &report.last_emergency {
        let lasted = answered.at.duration_since(answered.since);
        samples.put(catalogue::LEAK_ANSWERED, &which, lasted.as_secs_f64());
        samples.moment(catalogue::LEAK_ANSWERED_AT, &which, Some(answered.at));
    }
    if let Some(last) = &report.last {
        samples.moment(catalogue::LAST_ROTATION, &[name, workspace, last.outcome.label()], Some(last.at));
    }
    if let Some(told) = &report.rotation {
        rotation(samples, which, told);
    }
}

fn rotation(samples: &mut Samples, which: [&str; 2], report: &RotationReport) {
    let [name, workspace] = which;
    samples.put(catalogue::ROTATION_PHASE, &[name, workspace, report.phase.label()], 1.0);
    samples.moment(catalogue::PHASE_ENTERED, &which, Some(report.phase_since));
    samples.moment(catalogue::DEADLINE, &which, report.deadline);
    if let Some(trouble) = &report.last_failure {
        let labels = [name, workspace, trouble.effect.label(), trouble.kind.label()];
        samples.put(catalogue::TROUBLE, &labels, f64::from(trouble.failures));
    }
    if let Some(parked) = &report.parked {
        samples.put(catalogue::PARKED, &[name, workspace, parked.reason.label()], 1.0);
    }
    for verdict in &report.gates {
        samples.flag(catalogue::GATE_OPEN, &[name, workspace, verdict.gate.label()], verdict.open);
    }
    for (gate, who) in stragglers(report) {
        samples.put(catalogue::STRAGGLER, &[name, workspace, gate.label(), who], 1.0);
    }
    for SourceDelay { source, late_by, blind } in &report.evidence {
        let labels = [name, workspace, source.label()];
        samples.put(catalogue::EVIDENCE_DELAY, &labels, late_by.as_secs_f64());
        samples.flag(catalogue::EVIDENCE_BLIND, &labels, *blind);
    }
}
