//! The breaker: holds a workspace after too many failures in a given time.
//!
//! Failed creations and failed revocations are counted apart. A failure counts if an operator should look at it before
//! the next key is created or revoked; a slow, busy or unreachable provider does not count.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::effect::EffectName;
use crate::domain::event::Event;
use crate::domain::failure::Kind;
use crate::domain::hold::HoldKind;
use crate::domain::ids::{CredentialName, RotationId};
use crate::domain::policy::Breaker;
use crate::domain::rotation::{ParkReason, RollbackCause};
use crate::domain::schedule::brief;

/// The names of the events that may count.
pub const EVENTS: [&str; 8] = [
    "mint_outcome_unknown",
    "mint_refused",
    "verification_failed",
    "value_lost",
    "alarmed",
    "rollback_begun",
    "parked",
    "effect_failed",
];

/// A listing that lags makes every revocation fail a few times: only this many failed effects of one rotation count.
pub const FAILED_EFFECTS: u32 = 8;

/// A journalled event of a workspace that may count as a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureSignal {
    pub at: Timestamp,
    pub credential: CredentialName,
    pub rotation: RotationId,
    pub event: Event,
}

/// How an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Each is a failure: a creation that came to nothing.
    Each,
    /// However many of them: one failure for each rotation.
    OncePerRotation,
    /// One failure for each rotation that has [`FAILED_EFFECTS`] of them.
    IfItGoesOn,
}

/// The operation that an event is a failure of, if it is one.
#[must_use]
pub fn concerns(event: &Event) -> Option<HoldKind> {
    weigh(event).map(|(what, _)| what)
}

fn weigh(event: &Event) -> Option<(HoldKind, Weight)> {
    match event {
        // A key that may be lost is the worst that a creation can come to, whatever the cause.
        Event::MintOutcomeUnknown { .. } | Event::VerificationFailed { .. } | Event::ValueLost => {
            Some((HoldKind::Minting, Weight::Each))
        }
        Event::MintRefused { failure } => {
            let busy = matches!(failure.kind, Kind::Throttled | Kind::Unreachable | Kind::TimedOut);
            (!busy).then_some((HoldKind::Minting, Weight::Each))
        }
        // Somebody still needed what was taken away.
        Event::Alarmed { .. } => Some((HoldKind::Revoking, Weight::OncePerRotation)),
        Event::RollbackBegun { cause } => match cause {
            RollbackCause::Operator | RollbackCause::Deadline => {
                Some((HoldKind::Revoking, Weight::OncePerRotation))
            }
            RollbackCause::Leak | RollbackCause::NoKeyLeft => None,
        },
        Event::Parked { reason, .. } => {
            let counts = matches!(reason, ParkReason::OldKeyReenabled | ParkReason::NewKeyUnusable);
            counts.then_some((HoldKind::Revoking, Weight::OncePerRotation))
        }
        Event::EffectFailed { effect, failure } => {
            let revokes =
                matches!(effect, EffectName::DisableOld | EffectName::DeleteOld | EffectName::DeleteNew);
            let counts = revokes && !failure.kind.is_passing();
            counts.then_some((HoldKind::Revoking, Weight::IfItGoesOn))
        }
        Event::Begun(_)
        | Event::MintIntended { .. }
        | Event::Minted { .. }
        | Event::LostKeySettled { .. }
        | Event::Staged { .. }
        | Event::Verified { .. }
        | Event::Promoted { .. }
        | Event::DestinationChanged { .. }
        | Event::Released { .. }
        | Event::ReleaseWithdrawn { .. }
        | Event::OldKeyDisabled
        | Event::ClockAgreed
        | Event::QuarantinePassed
        | Event::ExpiryIntended { .. }
        | Event::ExpirySettled { .. }
        | Event::Escalated { .. }
        | Event::OldKeyGone
        | Event::OldKeyEnabled
        | Event::Restored { .. }
        | Event::ReturnPassed
        | Event::NewKeyGone
        | Event::Discarded
        | Event::Retried { .. }
        | Event::OverwriteRequested { .. }
        | Event::AbortRequested { .. }
        | Event::Confirmed { .. }
        | Event::TermsRevised { .. } => None,
    }
}

/// From when on incidents count: those of the last `within`, and only those since an operator last lifted the hold.
#[must_use]
pub fn counts_after(breaker: Breaker, lifted: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let within = now.saturating_sub(breaker.within).unwrap_or(Timestamp::MIN);
    // What was lifted in the future was lifted by a clock that was wrong.
    lifted.filter(|lifted| *lifted <= now).map_or(within, |lifted| lifted.max(within))
}

/// Why the breaker trips, if it does: `what` failed often enough among those `incidents` that are later than `after`. They
/// come in the order in which they happened. Those later than `now` were written down by a clock that was wrong.
#[must_use]
pub fn trips(
    breaker: Breaker,
    what: HoldKind,
    incidents: &[FailureSignal],
    after: Timestamp,
    now: Timestamp,
) -> Option<String> {
    let mut failures = 0u32;
    let mut last = None;
    let mut counted: BTreeSet<RotationId> = BTreeSet::new();
    let mut hindrances: BTreeMap<RotationId, u32> = BTreeMap::new();
    for incident in incidents.iter().filter(|incident| incident.at > after && incident.at <= now) {
        let Some((_, weight)) = weigh(&incident.event).filter(|(failed, _)| *failed == what) else {
            continue;
        };
        let counts = match weight {
            Weight::Each => true,
            Weight::OncePerRotation => counted.insert(incident.rotation),
            Weight::IfItGoesOn => {
                let so_far = hindrances.entry(incident.rotation).or_default();
                *so_far += 1;
                *so_far >= FAILED_EFFECTS && counted.insert(incident.rotation)
            }
        };
        if counts {
            failures = failures.saturating_add(1);
            last = Some(incident);
        }
    }
    let last = last.filter(|_| failures >= breaker.failures)?;
    let within = brief(breaker.within);
    Some(format!(
        "{failures} failures within {within}, the last of `{}`: {}",
        last.credential,
        told(&last.event)
    ))
}

fn told(event: &Event) -> String {
    if let Event::MintRefused { failure } | Event::EffectFailed { failure, .. } = event {
        failure.to_string()
    } else if let Event::MintOutcomeUnknown { cause } = event {
        format!("a key may have been created and lost: {cause}")
    } else if let Event::VerificationFailed { why: detail } | Event::Parked { detail, .. } = event {
        detail.clone()
    } else if let Event::Alarmed { alarm } = event {
        alarm.detail.clone()
    } else {
        event.name().replace('_', " ")
    }
}

#[cfg(test)]
mod tests;
