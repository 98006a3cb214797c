//! The health of a credential, whether an operator is needed, and the suggested command.

use jiff::{SignedDuration, Timestamp};

use crate::domain::effect::EffectName;
use crate::domain::gate::GateName;
use crate::domain::phase::PhaseName;
use crate::domain::plan::AfterDeadline;
use crate::domain::policy::Mode;
use crate::domain::record::ObstacleKind;
use crate::domain::report::expiry;
use crate::domain::report::failing;
use crate::domain::report::findings;
use crate::domain::report::stale_consumers;
use crate::domain::report::{CredentialHealth, CredentialReport, RotationReport};
use crate::domain::rotation::{ParkReason, Rotation};

/// A failure that lasts longer than this needs an operator.
const FAILING_TOO_LONG: SignedDuration = SignedDuration::from_mins(15);

/// Of an overlap that nothing holds back.
const ALL_SATISFIED: &str = "every gate is satisfied";
pub(super) const RELEASED: &str = "; the old key is about to be disabled";
/// The same on the way back.
pub(super) const NEW_RELEASED: &str = "; the new key is about to be deleted";

pub(super) struct Advice {
    pub(super) health: CredentialHealth,
    pub(super) attention: bool,
    pub(super) summary: String,
    pub(super) command: Option<String>,
}

/// Derives the advice from an otherwise complete report.
pub(super) fn advise(report: &CredentialReport, rotation: Option<&Rotation>, now: Timestamp) -> Advice {
    failing::before(report, rotation, of_rekeyd(report, rotation, now))
}

/// What is to be said beside the consumers' own reports.
fn of_rekeyd(report: &CredentialReport, rotation: Option<&Rotation>, now: Timestamp) -> Advice {
    let command = |verb: &str| Some(format!("rekeyd {verb} {}", report.credential));
    let expired = report.key_expires_at.is_some_and(|expiry| expiry <= now);
    if let (Some(current), Some(rotation)) = (&report.rotation, rotation) {
        let advice = match (&current.parked, &current.last_failure) {
            (Some(parked), _) => Advice {
                health: CredentialHealth::Parked,
                attention: true,
                summary: format!("{}: {}", parked.reason.label(), parked.detail),
                command: command(next_verb(parked.reason, rotation)),
            },
            (None, Some(last_failure)) => Advice {
                health: CredentialHealth::Retrying,
                attention: !last_failure.kind.is_passing()
                    || now.duration_since(last_failure.since) >= FAILING_TOO_LONG,
                summary: format!(
                    "{} failed {}: {}{}",
                    doing(last_failure.effect),
                    times(last_failure.failures),
                    last_failure.message,
                    if report.partially_published {
                        "; some destinations already serve the new key"
                    } else {
                        ""
                    }
                ),
                command: command("history"),
            },
            (None, None) => under_way(report, current, rotation, now),
        };
        let advice = expiry::beside(report, rotation, findings::beside(report, advice), now);
        return stale_consumers::beside(report, advice);
    }
    if let Some(obstacle) = &report.obstacle {
        let command = match obstacle.kind {
            // The policy is fine: the workspace has to be checked.
            ObstacleKind::WorkspaceUnusable => Some("rekeyd doctor".to_owned()),
            ObstacleKind::AccountNotCreated => Some(format!("rekeyd rotate {}", report.credential)),
            ObstacleKind::NoSuchAccount
            | ObstacleKind::AdoptionUnclear
            | ObstacleKind::NoPermissions
            | ObstacleKind::SharedDestination => Some("systemctl reload rekeyd".to_owned()),
        };
        let summary = format!("{}: {}", obstacle.kind.label(), obstacle.detail);
        return Advice { health: CredentialHealth::Blocked, attention: true, summary, command };
    }
    if let Some(advice) = findings::advise(report) {
        return stale_consumers::beside(report, advice);
    }
    let summary = idle(report, expired, now);
    let command = expired.then(|| command("rotate")).flatten();
    let health = match (expired, report.held_back.is_some() || report.key_id.is_none()) {
        (true, _) => CredentialHealth::OutOfSync,
        (false, true) => CredentialHealth::Waiting,
        (false, false) => CredentialHealth::Fine,
    };
    let quiet = Advice { health, attention: expired, summary, command };
    let stale = stale_consumers::advise(report).filter(|_| !expired);
    expiry::advise(report, stale.unwrap_or(quiet), now)
}

fn idle(report: &CredentialReport, expired: bool, now: Timestamp) -> String {
    if expired {
        return "the key has expired".to_owned();
    }
    if report.mode == Some(Mode::Observe) {
        return "only observed (`mode = \"observe\"`): it is not rotated".to_owned();
    }
    if let Some(held) = &report.held_back {
        let what = if report.requested { "a rotation is requested" } else { "due" };
        return format!("{what}; {}", held.why);
    }
    if report.requested {
        return "a rotation is requested and has not started".to_owned();
    }
    if report.key_id.is_none() {
        return "no key yet".to_owned();
    }
    match report.next_due {
        Some(due) if due <= now => "due, waiting to start".to_owned(),
        Some(_) | None if report.aborts > 0 => {
            format!("the last rotation was aborted ({} in a row)", report.aborts)
        }
        Some(_) if report.due_by_expiry => "up to date, next rotation before the key expires".to_owned(),
        Some(_) => "up to date, next rotation scheduled".to_owned(),
        None => "no rotation scheduled".to_owned(),
    }
}

fn under_way(
    report: &CredentialReport,
    current: &RotationReport,
    rotation: &Rotation,
    now: Timestamp,
) -> Advice {
    let row = current.phase.row();
    let health = if row.waits { CredentialHealth::Waiting } else { CredentialHealth::Rotating };
    if matches!(current.phase, PhaseName::Overlap | PhaseName::Returning) {
        return switching(report, current, rotation, health, now);
    }
    let half_way = current.phase == PhaseName::Promoting && report.partially_published;
    let summary =
        if half_way { "some destinations serve the new key, others not yet" } else { row.summary }.to_owned();
    let summary = match &report.held_back {
        Some(held) if held.alone => held.why.clone(),
        Some(held) => format!("{summary}; {}", held.why),
        None => summary,
    };
    let is_held = report.held_back.as_ref().is_some_and(|held| held.alone);
    let health = if is_held { CredentialHealth::Waiting } else { health };
    Advice { health, attention: false, summary, command: None }
}

/// While consumers switch to the new key, or back to the old one.
fn switching(
    report: &CredentialReport,
    current: &RotationReport,
    rotation: &Rotation,
    health: CredentialHealth,
    now: Timestamp,
) -> Advice {
    let waiting: Vec<&str> =
        current.gates.iter().filter(|it| !it.satisfied).map(|it| it.reason.as_str()).collect();
    let late = current.deadline.is_some_and(|deadline| deadline <= now);
    let way_back = current.phase == PhaseName::Returning;
    // Nothing but the return of consumers ends the wait on the way back.
    let holds = way_back || rotation.plan.terms.then == AfterDeadline::Hold;
    let attention = late && !waiting.is_empty() && holds;
    let unconfirmed = current.gates.iter().any(|it| it.gate == GateName::Confirm && !it.satisfied);
    // Before the others are satisfied there is nothing for an operator to confirm.
    let to_confirm = unconfirmed && waiting.len() == 1;
    let command = attention.then(|| show_lagging(report, current));
    let command = if to_confirm { Some(format!("rekeyd confirm {}", report.credential)) } else { command };
    let attention = attention || to_confirm;
    let back = if way_back { "rolled back; " } else { "" };
    let summary = match (late && attention, waiting.as_slice()) {
        (_, []) => ALL_SATISFIED.to_owned(),
        (true, _) => format!("past its deadline, waiting on: {}", waiting.join("; ")),
        (false, _) => format!("both keys work, waiting on: {}", waiting.join("; ")),
    };
    let summary = format!("{back}{summary}");
    let summary = match (&report.held_back, waiting.as_slice()) {
        (Some(held), _) => format!("{summary}; {}", held.why),
        (None, []) if way_back => format!("{summary}{NEW_RELEASED}"),
        (None, []) => format!("{summary}{RELEASED}"),
        (None, _) => summary,
    };
    Advice { health, attention, summary, command }
}

/// The command that shows why a gate is not satisfied.
fn show_lagging(report: &CredentialReport, current: &RotationReport) -> String {
    let late = current.gates.iter().find(|it| it.gate == GateName::Acks && !it.satisfied);
    match late.and_then(|verdict| verdict.waiting_on.first()) {
        Some(lagging) => format!("rekeyd consumers {}", lagging.who),
        None => format!("rekeyd history {}", report.credential),
    }
}

/// The command that resumes, cancels or rolls back a parked rotation.
fn next_verb(reason: ParkReason, rotation: &Rotation) -> &'static str {
    let in_service = rotation.successor().is_some_and(|successor| successor.promotion_begun);
    match reason {
        ParkReason::MintRefused
        | ParkReason::MintsExhausted
        | ParkReason::CannotRollBack
        | ParkReason::Reinstated => "retry",
        ParkReason::ConsumerFailing | ParkReason::ProbeRed if rotation.can_roll_back() => "rollback",
        ParkReason::ConsumerFailing | ParkReason::ProbeRed => "retry",
        // The plan keeps the policy's permissions of its start: a changed policy needs a new rotation.
        ParkReason::Unrestricted | ParkReason::Widened => "abort",
        ParkReason::OldKeyUnusable if is_rolling_back(rotation) => "abort",
        ParkReason::OldKeyUnusable if in_service => "retry",
        ParkReason::OldKeyReenabled => "rollback",
        ParkReason::NewKeyUnusable if in_service && rotation.can_roll_back() => "rollback",
        // There is nothing to go back to, and the destinations serve a key that is of no use: both are replaced.
        ParkReason::NewKeyUnusable if in_service => "rotate --emergency",
        ParkReason::OldKeyUnusable | ParkReason::NewKeyUnusable => "abort",
        ParkReason::ForeignValue => "retry --overwrite",
    }
}

fn is_rolling_back(rotation: &Rotation) -> bool {
    rotation.phase.is_rollback()
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// An effect as text.
pub(crate) fn doing(effect: EffectName) -> &'static str {
    match effect {
        EffectName::Preflight => "the preflight check",
        EffectName::Mint => "creating the new key",
        EffectName::SettleLostKey => "looking for a lost key",
        EffectName::Stage => "writing the new key to a destination",
        EffectName::Verify => "checking the new key",
        EffectName::Promote => "promoting the new key",
        EffectName::AwaitGates => "gathering evidence of use",
        EffectName::DisableOld => "disabling the old key",
        EffectName::AwaitQuarantine => "watching the quarantine",
        EffectName::ExpireOld => "setting the old key's expiry",
        EffectName::KeepOld => "postponing the old key's expiry",
        EffectName::DeleteOld => "deleting the old key",
        EffectName::Discard => "discarding the new key",
        EffectName::EnableOld => "enabling the old key again",
        EffectName::Restore => "promoting the old key again",
        EffectName::AwaitReturn => "waiting for consumers to switch back",
        EffectName::DeleteNew => "deleting the new key",
    }
}
