//! How a credential fares, whether a person is needed, and what that person would type next.

use jiff::{SignedDuration, Timestamp};

use crate::domain::effect::EffectName;
use crate::domain::gate::GateName;
use crate::domain::phase::PhaseName;
use crate::domain::plan::AfterDeadline;
use crate::domain::record::ObstacleKind;
use crate::domain::report::findings;
use crate::domain::report::stale_consumers;
use crate::domain::report::{CredentialHealth, CredentialReport, RotationReport};
use crate::domain::rotation::{ParkReason, Rotation};

/// Trouble that lasts longer than this does not pass by itself quickly enough to be left alone.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

pub(super) struct Advice {
    pub(super) condition: CredentialHealth,
    pub(super) attention: bool,
    pub(super) summary: String,
    pub(super) command: Option<String>,
}

/// Judges a report whose facts are filled in.
pub(super) fn advise(report: &CredentialReport, rotation: Option<&Rotation>, now: Timestamp) -> Advice {
    let command = |verb: &str| Some(format!("rekeyd {verb} {}", report.credential));
    let expired = report.key_expires_at.is_some_and(|expiry| expiry <= now);
    if let (Some(told), Some(rotation)) = (&report.rotation, rotation) {
        let advice = match (&told.parked, &told.last_failure) {
            (Some(parked), _) => Advice {
                condition: CredentialHealth::Parked,
                attention: true,
                summary: format!("{}: {}", parked.reason.label(), parked.detail),
                command: command(way_out(parked.reason, rotation)),
            },
            (None, Some(last_failure)) => Advice {
                condition: CredentialHealth::Hindered,
                attention: !last_failure.kind.is_passing()
                    || now.duration_since(last_failure.since) >= PATIENCE,
                summary: format!(
                    "{} failed {}: {}{}",
                    doing(last_failure.effect),
                    times(last_failure.failures),
                    last_failure.message,
                    if report.partially_published {
                        "; some destinations serve the new key already"
                    } else {
                        ""
                    }
                ),
                command: command("history"),
            },
            (None, None) => under_way(report, told, rotation, now),
        };
        return stale_consumers::beside(report, findings::beside(report, advice));
    }
    if let Some(obstacle) = &report.obstacle {
        let command = match obstacle.kind {
            // What is wrong is not in the policy: it is looked at for real.
            ObstacleKind::WorkspaceUnusable => Some("rekeyd doctor".to_owned()),
            ObstacleKind::NoSuchAccount | ObstacleKind::AdoptionUnclear | ObstacleKind::NoPermissions => {
                Some("systemctl reload rekeyd".to_owned())
            }
        };
        let summary = format!("{}: {}", obstacle.kind.label(), obstacle.detail);
        return Advice { condition: CredentialHealth::Blocked, attention: true, summary, command };
    }
    if let Some(advice) = findings::advise(report) {
        return stale_consumers::beside(report, advice);
    }
    let summary = idle(report, expired, now);
    let command = expired.then(|| command("rotate")).flatten();
    if let Some(advice) = stale_consumers::advise(report).filter(|_| !expired) {
        return advice;
    }
    Advice { condition: CredentialHealth::Fine, attention: expired, summary, command }
}

fn idle(report: &CredentialReport, expired: bool, now: Timestamp) -> String {
    if expired {
        return "its key has expired".to_owned();
    }
    if report.asked {
        return "a rotation was asked for and has not begun yet".to_owned();
    }
    if report.key_id.is_none() {
        return "it has no key yet".to_owned();
    }
    match report.next_due {
        Some(due) if due <= now => "it is due and waits for its turn".to_owned(),
        Some(_) | None if report.aborts > 0 => {
            format!("the last rotation came to nothing ({} in a row)", report.aborts)
        }
        Some(_) => "nothing to do until it is due".to_owned(),
        None => "nothing is planned".to_owned(),
    }
}

fn under_way(
    report: &CredentialReport,
    told: &RotationReport,
    rotation: &Rotation,
    now: Timestamp,
) -> Advice {
    let row = told.phase.row();
    let condition = if row.waits { CredentialHealth::Waiting } else { CredentialHealth::Rotating };
    if told.phase == PhaseName::Overlap {
        return overlap(report, told, rotation, condition, now);
    }
    let half_way = told.phase == PhaseName::Promoting && report.partially_published;
    let summary = if half_way { "some destinations serve the new key, some do not yet" } else { row.summary }
        .to_owned();
    Advice { condition, attention: false, summary, command: None }
}

fn overlap(
    report: &CredentialReport,
    told: &RotationReport,
    rotation: &Rotation,
    condition: CredentialHealth,
    now: Timestamp,
) -> Advice {
    let shut: Vec<&str> = told.gates.iter().filter(|it| !it.open).map(|it| it.grounds.as_str()).collect();
    let late = told.deadline.is_some_and(|deadline| deadline <= now);
    let attention = late && !shut.is_empty() && rotation.plan.terms.then == AfterDeadline::Hold;
    let command = attention.then(|| look_at(report, told));
    let summary = match (attention, shut.as_slice()) {
        (_, []) => "every gate is open: the old key is about to be disabled".to_owned(),
        (true, _) => format!("held beyond its deadline: {}", shut.join("; ")),
        (false, _) => format!("both keys work: {}", shut.join("; ")),
    };
    Advice { condition, attention, summary, command }
}

/// A consumer that has not switched is looked at, whichever of its credentials it uses.
fn look_at(report: &CredentialReport, told: &RotationReport) -> String {
    let late = told.gates.iter().find(|it| it.gate == GateName::Acks && !it.open);
    match late.and_then(|verdict| verdict.stragglers.first()) {
        Some(straggler) => format!("rekeyd consumers {}", straggler.who),
        None => format!("rekeyd history {}", report.credential),
    }
}

/// The operator's command that leads on from where the rotation is parked.
fn way_out(reason: ParkReason, rotation: &Rotation) -> &'static str {
    let in_service = rotation.successor().is_some_and(|successor| successor.promotion_begun);
    match reason {
        ParkReason::MintRefused
        | ParkReason::MintsExhausted
        | ParkReason::CannotRollBack
        | ParkReason::Reinstated => "retry",
        ParkReason::ConsumerFailing | ParkReason::ProbeRed if rotation.can_roll_back() => "rollback",
        ParkReason::ConsumerFailing | ParkReason::ProbeRed => "retry",
        // The plan is frozen with what the policy allowed: a policy that allows more takes a new one.
        ParkReason::Unrestricted | ParkReason::Widened => "abort",
        ParkReason::OldKeyUnusable if is_rolling_back(rotation) => "abort",
        ParkReason::OldKeyUnusable if in_service => "retry",
        ParkReason::OldKeyReenabled => "rollback",
        ParkReason::NewKeyUnusable if in_service && rotation.can_roll_back() => "rollback",
        ParkReason::NewKeyUnusable if in_service => "retry",
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

/// An effect in words for a person.
pub(crate) fn doing(effect: EffectName) -> &'static str {
    match effect {
        EffectName::Preflight => "the check before the start",
        EffectName::Mint => "creating the new key",
        EffectName::SettleLostKey => "looking for a lost key",
        EffectName::Stage => "writing the new key to a destination",
        EffectName::Verify => "checking the new key",
        EffectName::Promote => "putting the new key into service",
        EffectName::AwaitGates => "gathering evidence of use",
        EffectName::DisableOld => "disabling the old key",
        EffectName::AwaitQuarantine => "watching the quarantine",
        EffectName::ExpireOld => "setting the old key's expiry",
        EffectName::KeepOld => "keeping the old key from expiring",
        EffectName::DeleteOld => "deleting the old key",
        EffectName::Discard => "discarding the new key",
        EffectName::EnableOld => "enabling the old key again",
        EffectName::Restore => "putting the old key back into service",
        EffectName::AwaitReturn => "waiting for consumers to return",
        EffectName::DeleteNew => "deleting the new key",
    }
}
