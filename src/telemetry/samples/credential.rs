//! The samples of single credentials: of all, or of the most severe ones.

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

/// The largest number of credentials with `per_credential = false`.
const CREDENTIALS_MAX: usize = 100;

/// A key that expires within this time is exported; longer than the threshold of any alert.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(24 * 14);

/// How long a rotation may be late or in a phase before it is exported.
const LATE_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// How long a completed emergency is exported.
const EMERGENCY_FOR: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn add(samples: &mut Samples, report: &StatusReport, detail: Detail, now: Timestamp) {
    let mut selected: Vec<&CredentialReport> = match detail {
        Detail::Every => report.credentials.iter().collect(),
        // A report lists the most severe credentials first.
        Detail::MostSevere => {
            report.credentials.iter().filter(|it| !is_healthy(it, now)).take(CREDENTIALS_MAX).collect()
        }
    };
    selected.sort_by(|one, other| one.credential.cmp(&other.credential));
    for report in selected {
        credential(samples, report);
    }
}

/// Whether no alert can fire for the credential.
fn is_healthy(report: &CredentialReport, now: Timestamp) -> bool {
    let is_before = |at: Option<Timestamp>, limit: Timestamp| at.is_some_and(|at| at <= limit);
    let late_limit = now.saturating_sub(LATE_AFTER).unwrap_or(Timestamp::MIN);
    let emergency_limit = now.saturating_sub(EMERGENCY_FOR).unwrap_or(Timestamp::MIN);
    let soon = later(now, EXPIRES_SOON);
    let is_quiet = match report.health {
        CredentialHealth::Fine | CredentialHealth::Rotating | CredentialHealth::Waiting => true,
        CredentialHealth::Retrying
        | CredentialHealth::OutOfSync
        | CredentialHealth::Parked
        | CredentialHealth::Blocked
        | CredentialHealth::Damaged
        | CredentialHealth::Failing => false,
    };
    let is_healthy_rotation = |rotation: &RotationReport| {
        let is_stuck =
            report.health == CredentialHealth::Rotating && is_before(Some(rotation.phase_since), late_limit);
        let is_failing = waiting_on(rotation).iter().any(|(gate, _)| *gate == GateName::Failing);
        !is_failing
            && !is_stuck
            && rotation.safety_call.is_none()
            && !is_before(rotation.deadline, now)
            && !is_before(rotation.new_key_expires_at, soon)
            && !rotation.evidence.iter().any(|source| source.blind)
    };
    is_quiet
        && !report.attention
        && report.findings.is_empty()
        && report.stale_consumers.is_empty()
        && report.unrotated.is_none()
        && report.last_emergency.as_ref().is_none_or(|answered| answered.at < emergency_limit)
        && !is_before(report.due, late_limit)
        && !is_before(report.key_expires_at, soon)
        && report.last.as_ref().is_none_or(|last| last.outcome == PhaseName::Done)
        && report.rotation.as_ref().is_none_or(is_healthy_rotation)
}

/// What each unsatisfied gate is waiting on.
pub(super) fn waiting_on(report: &RotationReport) -> BTreeSet<(GateName, &str)> {
    let unsatisfied = report.gates.iter().filter(|verdict| !verdict.satisfied);
    unsatisfied.flat_map(|verdict| verdict.waiting_on.iter().map(|it| (verdict.gate, it.party()))).collect()
}

fn credential(samples: &mut Samples, report: &CredentialReport) {
    let name = report.credential.as_str();
    let workspace = report.workspace.as_ref().map_or("", WorkspaceName::as_str);
    let which = [name, workspace];
    samples.flag(catalogue::ATTENTION, &which, report.attention);
    samples.instant(catalogue::KEY_CREATED, &which, report.key_since);
    samples.instant(catalogue::KEY_EXPIRES, &which, report.key_expires_at);
    samples.instant(catalogue::KEY_LAST_USED, &which, report.last_use.as_ref().and_then(|used| used.last));
    samples.instant(catalogue::ROTATION_DUE, &which, report.due);
    if let Some(blocked) = report.blocked {
        samples.put(catalogue::BLOCKED, &[name, workspace, blocked.label()], 1.0);
    }
    if let Some(reason) = report.unrotated {
        samples.put(catalogue::UNROTATED, &[name, workspace, reason.label()], 1.0);
    }
    if report.removed {
        samples.put(catalogue::REMOVED, &which, 1.0);
    }
    if let Some(held) = report.held_back.as_ref().filter(|held| Some(held.by) == report.blocked) {
        samples.instant(catalogue::BLOCKED_UNTIL, &[name, workspace, held.by.label()], held.until);
    }
    if let Some(obstacle) = &report.obstacle {
        samples.put(catalogue::OBSTACLE, &[name, workspace, obstacle.kind.label()], 1.0);
    }
    for kind in FindingKind::ALL.into_iter().filter(|kind| report.findings.iter().any(|it| it.kind == *kind))
    {
        samples.put(catalogue::FINDING, &[name, workspace, kind.label()], 1.0);
    }
    // Consumers that fail are told whatever waits for them.
    let of_gate = report.rotation.iter().flat_map(waiting_on);
    let of_gate = of_gate.filter(|(gate, _)| *gate == GateName::Failing).map(|(_, party)| party);
    let failing: BTreeSet<&str> =
        report.failing_consumers.iter().map(|it| it.consumer.as_str()).chain(of_gate).collect();
    for party in failing {
        let labels = [name, workspace, GateName::Failing.label(), party];
        samples.put(catalogue::GATE_WAITING_ON, &labels, 1.0);
    }
    for silent in &report.stale_consumers {
        let labels = [name, workspace, silent.consumer.as_str()];
        samples.instant(catalogue::SILENT_SINCE, &labels, Some(silent.since));
    }
    if let Some(answered) = &report.last_emergency {
        let lasted = answered.at.duration_since(answered.since);
        samples.put(catalogue::EMERGENCY_DURATION, &which, lasted.as_secs_f64());
        samples.instant(catalogue::EMERGENCY_COMPLETED, &which, Some(answered.at));
    }
    if let Some(last) = &report.last {
        samples.instant(catalogue::LAST_ROTATION, &[name, workspace, last.outcome.label()], Some(last.at));
    }
    if let Some(report) = &report.rotation {
        rotation(samples, which, report);
    }
}

fn rotation(samples: &mut Samples, which: [&str; 2], report: &RotationReport) {
    let [name, workspace] = which;
    samples.put(catalogue::ROTATION_PHASE, &[name, workspace, report.phase.label()], 1.0);
    samples.instant(catalogue::PHASE_ENTERED, &which, Some(report.phase_since));
    samples.instant(catalogue::DEADLINE, &which, report.deadline);
    samples.instant(catalogue::OLD_KEY_EXPIRY_MOVED, &which, report.old_key_expiry_moved_by);
    samples.instant(catalogue::NEW_KEY_CREATED, &which, report.new_key_since);
    samples.instant(catalogue::NEW_KEY_EXPIRES, &which, report.new_key_expires_at);
    if let Some((effect, since)) = report.safety_call {
        samples.instant(catalogue::SAFETY_CALL, &[name, workspace, effect.label()], Some(since));
    }
    if let Some(failure) = &report.last_failure {
        let labels = [name, workspace, failure.effect.label(), failure.kind.label()];
        samples.put(catalogue::CONSECUTIVE_FAILURES, &labels, f64::from(failure.failures));
    }
    if let Some(parked) = &report.parked {
        samples.put(catalogue::PARKED, &[name, workspace, parked.reason.label()], 1.0);
    }
    for verdict in &report.gates {
        samples.flag(catalogue::GATE_SATISFIED, &[name, workspace, verdict.gate.label()], verdict.satisfied);
    }
    for (gate, party) in waiting_on(report).into_iter().filter(|(gate, _)| *gate != GateName::Failing) {
        samples.put(catalogue::GATE_WAITING_ON, &[name, workspace, gate.label(), party], 1.0);
    }
    for SourceDelay { source, late_by, blind, blind_since } in &report.evidence {
        let labels = [name, workspace, source.label()];
        samples.put(catalogue::EVIDENCE_DELAY, &labels, late_by.as_secs_f64());
        samples.flag(catalogue::EVIDENCE_UNAVAILABLE, &labels, *blind);
        samples.instant(catalogue::EVIDENCE_BLIND_SINCE, &labels, *blind_since);
    }
}
