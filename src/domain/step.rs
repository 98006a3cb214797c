//! The transitions: which state an event leads to. The only place where a rotation's state changes.

use jiff::Timestamp;

use crate::domain::dead_man;
use crate::domain::effect::EffectName;
use crate::domain::event::{Event, EventName};
use crate::domain::failure::Failure;
use crate::domain::gate::confirm::{Confirmation, Confirmed};
use crate::domain::ids::KeyId;
use crate::domain::key::KeyRequest;
use crate::domain::phase::{AfterDiscard, Phase, PhaseName};
use crate::domain::plan::{RevocationPolicy, Urgency};
use crate::domain::rotation::{LastFailure, RESTAGINGS_MAX, RollbackCause, Rotation};
use crate::domain::secret::Fingerprint;
use crate::domain::successor::{Placement, PlacementState, Served, Successor};

mod placing;

use crate::domain::step::placing::{changed, placed, promoted, restored, staged};

/// An event that cannot happen in a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` cannot happen while {}{}", .phase.label(), .because.map(|why| format!(": {why}")).unwrap_or_default())]
pub struct IllegalTransition {
    pub phase: PhaseName,
    pub event: &'static str,
    pub because: Option<&'static str>,
}

/// The state after `event`, which happened at `now`.
///
/// # Errors
/// The event is illegal in this state; the state is unchanged. From the journal that means corruption, from an operator
/// "not now".
pub fn step(rotation: &Rotation, event: &Event, now: Timestamp) -> Result<Rotation, IllegalTransition> {
    if rotation.is_over() {
        return Err(illegal(rotation, event, None));
    }
    let mut next = rotation.clone();
    next.length += 1;
    if let Event::EffectFailed { effect, failure } = event {
        next.last_failure = Some(effect_failed(rotation, *effect, failure, now));
        return Ok(next);
    }
    if let Event::TermsRevised { terms } = event {
        next.plan.terms = terms.clone();
        return Ok(next);
    }
    if let Event::Escalated { why, since } = event {
        return escalate(rotation, event, &Urgency { why: why.clone(), since: since.unwrap_or(now) }, now);
    }
    next.phase = advance(rotation, event).map_err(|because| illegal(rotation, event, because))?;
    next.last_failure = None;
    let stages_again = matches!(event, Event::DestinationChanged { .. });
    if next.phase.name() != rotation.phase.name() || stages_again {
        next.since = now;
        next.entered = rotation.length;
        next.clock_agreed = false;
    }
    if matches!(next.phase, Phase::Overlap(_)) && matches!(event, Event::Promoted { .. }) {
        next.overlap_began = None;
        next.confirmation.given = None;
    }
    if let Event::Alarmed { .. } = event {
        next.overlap_began = None;
        next.confirmation = Confirmation { after_an_alarm: true, given: None };
    }
    if let Event::Confirmed { by } = event {
        next.confirmation.given = Some(Confirmed { by: by.clone(), at: now });
    }
    if let Event::ClockAgreed = event {
        next.since = now;
        next.clock_agreed = true;
        // An overlap that began in the future was written down by a clock that was wrong.
        if matches!(next.phase, Phase::Overlap(_)) && next.overlap_began.is_none_or(|began| began > now) {
            next.overlap_began = Some(now);
        }
    }
    next.dead_man = dead_man::after(rotation.dead_man, event);
    if let Event::MintIntended { .. } = event {
        next.attempt += 1;
        // That preflight succeeds is no progress against a mint that keeps being refused.
        next.last_failure =
            rotation.last_failure.clone().filter(|last_failure| last_failure.effect == EffectName::Mint);
    }
    if let Event::MintRefused { failure } = event {
        // A refusal leads back to the start; what led there must still slow the next try down.
        next.last_failure = Some(effect_failed(rotation, EffectName::Mint, failure, now));
    }
    let found = matches!(event, Event::LostKeySettled { deleted } if !deleted.is_empty());
    let discarded = matches!(event, Event::Discarded) && matches!(next.phase, Phase::Due { .. });
    if found || discarded {
        next.lost.push(now);
    }
    if let Event::Retried { .. } = event {
        next.lost.clear();
    }
    if matches!(event, Event::Retried { .. } | Event::OverwriteRequested { .. }) {
        let placements = next.successor().map_or(&[][..], |successor| &successor.placements);
        let restaged = placements.iter().map(|placement| placement.restaged).max();
        next.restaged_max = restaged.unwrap_or(0).saturating_add(RESTAGINGS_MAX);
    }
    Ok(next)
}

/// The rotation as an emergency.
fn escalate(
    rotation: &Rotation,
    event: &Event,
    urgency: &Urgency,
    now: Timestamp,
) -> Result<Rotation, IllegalTransition> {
    if rotation.plan.old.is_none() || rotation.phase.is_rollback() {
        let because = "the old key is not being replaced; `abort` goes on with the new key";
        return Err(illegal(rotation, event, Some(because)));
    }
    let mut next = rotation.clone();
    next.length += 1;
    next.plan.emergency = true;
    next.plan.urgency = Some(urgency.clone());
    next.plan.terms = RevocationPolicy::of_an_emergency();
    next.last_failure = None;
    next.phase = escalated(&rotation.phase);
    if next.phase.name() != rotation.phase.name() {
        next.since = now;
        next.entered = rotation.length;
    }
    Ok(next)
}

/// Why an event is refused; `None` where it simply does not belong.
type Because = Option<&'static str>;

type Next = Result<Phase, Because>;

fn illegal(rotation: &Rotation, event: &Event, because: Because) -> IllegalTransition {
    IllegalTransition { phase: rotation.phase.name(), event: event.name(), because }
}

fn effect_failed(rotation: &Rotation, effect: EffectName, failure: &Failure, now: Timestamp) -> LastFailure {
    let earlier = rotation.last_failure.as_ref().filter(|last_failure| last_failure.effect == effect);
    LastFailure {
        effect,
        failures: earlier.map_or(0, |last_failure| last_failure.failures).saturating_add(1),
        first_at: earlier.map_or(now, |last_failure| last_failure.first_at),
        last_at: now,
        last: failure.clone(),
    }
}

/// The phase that an event leads to. Which events a phase takes stands in its row; the table in
/// `docs/state-machine.md`, which a test compares with this function, shows them all.
fn advance(rotation: &Rotation, event: &Event) -> Next {
    use Event as E;
    let phase = &rotation.phase;
    if !phase.row().takes.contains(&event.kind()) {
        return Err(None);
    }
    let new = || phase.successor().cloned().ok_or(None);
    let cause = || phase.rollback_cause().ok_or(None);
    match event {
        E::MintIntended { request, before } => intended(rotation, request, before),
        E::Minted { key, fingerprint } => {
            let Phase::Minting { request, before, outcome_unknown: false } = phase else { return Err(None) };
            Ok(Phase::Staging(successor(request, before, key, fingerprint)))
        }
        E::MintOutcomeUnknown { .. } => {
            let Phase::Minting { request, before, outcome_unknown: false } = phase else { return Err(None) };
            Ok(Phase::Minting { request: request.clone(), before: before.clone(), outcome_unknown: true })
        }
        E::MintRefused { .. } => start_again(matches!(phase, Phase::Minting { outcome_unknown: false, .. })),
        E::LostKeySettled { .. } => {
            start_again(matches!(phase, Phase::Minting { outcome_unknown: true, .. }))
        }
        E::ValueLost => discard(&new()?, AfterDiscard::MintAgain),
        E::VerificationFailed { why } => discard(&new()?, AfterDiscard::Abort { why: why.clone() }),
        E::Discarded => discarded(phase),
        E::Staged { destination, version, over, before } => {
            staged(&new()?, *destination, version, over.as_ref(), before.as_ref())
        }
        E::DestinationChanged { destination } => changed(&new()?, *destination),
        E::Verified { facts } => {
            let facts = Some(facts.clone());
            Ok(Phase::Promoting(Successor { facts, promotion_begun: true, ..new()? }))
        }
        E::Promoted { destination, displaced } => {
            promoted(rotation, &new()?, *destination, displaced.as_ref())
        }
        E::Released { forced, .. } => Ok(Phase::Disabling { successor: new()?, forced: *forced }),
        E::ReleaseWithdrawn { .. } => Ok(Phase::Overlap(new()?)),
        E::OldKeyDisabled => Ok(Phase::Quarantine(new()?)),
        E::QuarantinePassed => Ok(Phase::Revoking(new()?)),
        E::OldKeyGone => Ok(Phase::Done(new()?)),
        E::ClockAgreed | E::ExpiryIntended { .. } | E::Confirmed { .. } => Ok(phase.clone()),
        // One that is left as it is needs no intent.
        E::ExpirySettled { in_force, .. }
            if (rotation.dead_man.is_some() || !in_force) && phase.needs_the_old_key() =>
        {
            Ok(phase.clone())
        }
        E::Alarmed { alarm } if !rotation.plan.emergency => {
            Ok(Phase::Reinstating { successor: new()?, alarm: alarm.clone() })
        }
        E::OldKeyEnabled => old_key_enabled(phase),
        E::RollbackBegun { cause: RollbackCause::NoKeyLeft } => given_up(phase),
        E::RollbackBegun { cause } => rollback(rotation, *cause),
        E::Restored { destination, version } => restored(phase, &new()?, *destination, version),
        E::ReturnPassed => Ok(Phase::Withdrawing { successor: new()?, cause: cause()? }),
        E::NewKeyGone => Ok(Phase::RolledBack { cause: cause()? }),
        E::Parked { reason, detail } => {
            Ok(Phase::Parked { reason: *reason, detail: detail.clone(), was: Box::new(phase.clone()) })
        }
        E::Retried { overwrite, restore } if restore.is_empty() => {
            Ok(resumed(phase.underlying(), *overwrite))
        }
        E::Retried { restore, .. } => restore_again(phase.underlying(), restore),
        E::OverwriteRequested { destinations } => publish_again(phase.underlying(), destinations),
        E::AbortRequested { by } => aborted(phase.underlying(), by),
        E::ExpirySettled { .. } | E::Alarmed { .. } => Err(None),
        // Taken by `step` in every phase, or only as the first of all.
        E::Begun(_) | E::EffectFailed { .. } | E::TermsRevised { .. } | E::Escalated { .. } => Err(None),
    }
}

fn intended(rotation: &Rotation, request: &KeyRequest, before: &[Served]) -> Next {
    if before.len() != rotation.plan.destinations.len() {
        return Err(Some("a destination is missing"));
    }
    Ok(Phase::Minting { request: request.clone(), before: before.to_vec(), outcome_unknown: false })
}

/// No key came of the last mint, if that is what is known here.
fn start_again(is_known: bool) -> Next {
    if is_known { Ok(Phase::Due { overwrite: false }) } else { Err(None) }
}

fn discarded(phase: &Phase) -> Next {
    let Phase::Discarding { then, .. } = phase else { return Err(None) };
    Ok(match then {
        AfterDiscard::MintAgain => Phase::Due { overwrite: false },
        AfterDiscard::Abort { why } => Phase::Aborted { why: why.clone() },
    })
}

/// After an alarm an operator has to find out what was wrong before it is tried once more.
fn old_key_enabled(phase: &Phase) -> Next {
    if let Phase::Reinstating { successor, alarm } = phase {
        let was = Box::new(Phase::Overlap(successor.clone()));
        return Ok(Phase::Parked { reason: alarm.kind.reason(), detail: alarm.detail.clone(), was });
    }
    let Phase::RollingBack { successor, cause, old_enabled: false, overwrite } = phase else {
        return Err(None);
    };
    let (successor, cause, overwrite) = (successor.clone(), *cause, *overwrite);
    Ok(Phase::RollingBack { successor, cause, old_enabled: true, overwrite })
}

/// `phase`: of a parked rotation the one that it goes on from.
fn aborted(phase: &Phase, by: &str) -> Next {
    if !phase.row().takes.contains(&EventName::AbortRequested) {
        return Err(None);
    }
    let why = format!("asked by {by}");
    if let Some(successor) = phase.successor() {
        return discard(successor, AfterDiscard::Abort { why });
    }
    if let Phase::Due { .. } = phase {
        return Ok(Phase::Aborted { why });
    }
    Err(Some("whether a key was created is being settled; ask again in a moment"))
}

/// An emergency resumes what was stopped to keep the old key in use. A rotation that is parked because of a destination,
/// or because no key can be created, stays parked.
fn escalated(phase: &Phase) -> Phase {
    if let Phase::Reinstating { successor, .. } = phase {
        return Phase::Disabling { successor: successor.clone(), forced: false };
    }
    if let Phase::Parked { reason, was, .. } = phase
        && reason.yields_to_an_emergency()
    {
        return resumed(was, false);
    }
    phase.clone()
}

fn successor(request: &KeyRequest, before: &[Served], key: &KeyId, fingerprint: &Fingerprint) -> Successor {
    let absent =
        |before: &Served| Placement { before: before.clone(), restaged: 0, progress: PlacementState::Absent };
    Successor {
        key: key.clone(),
        fingerprint: fingerprint.clone(),
        request: request.clone(),
        placements: before.iter().map(absent).collect(),
        facts: None,
        promotion_begun: false,
    }
}

fn discard(successor: &Successor, then: AfterDiscard) -> Next {
    if successor.promotion_begun {
        return Err(Some("the new key may be in service already; roll back instead"));
    }
    Ok(Phase::Discarding { successor: successor.clone(), then })
}

/// Where a parked rotation goes on.
fn resumed(was: &Phase, overwrite: bool) -> Phase {
    if let Phase::Reinstating { successor, .. } = was {
        return Phase::Overlap(successor.clone());
    }
    let mut phase = was.clone();
    if let Phase::Due { overwrite: may } | Phase::RollingBack { overwrite: may, .. } = &mut phase {
        *may = overwrite;
    }
    phase
}

/// The old key is put once more into destinations that serve the new key again.
fn restore_again(was: &Phase, destinations: &[usize]) -> Next {
    let (Phase::Returning { successor, cause } | Phase::Withdrawing { successor, cause }) = was else {
        return Err(Some("the old key is not back yet"));
    };
    let (mut successor, cause) = (successor.clone(), *cause);
    for destination in destinations {
        successor = placed(&successor, *destination, |placement| {
            Some(Placement { progress: PlacementState::Absent, ..placement.clone() })
        })?;
    }
    Ok(Phase::RollingBack { successor, cause, old_enabled: false, overwrite: true })
}

/// Publishes to some destinations again: the overlap begins anew when the last one serves the new key. Also the way
/// forward out of a rollback whose old key turned out to be of no use.
fn publish_again(was: &Phase, destinations: &[(usize, Served)]) -> Next {
    let Some(successor) = was.successor().filter(|_| was.row().may_publish_again) else {
        return Err(Some("there is nothing to publish again"));
    };
    let mut successor = successor.clone();
    for (destination, standing) in destinations {
        successor = placed(&successor, *destination, |placement| {
            let restaged = placement.restaged + 1;
            Some(Placement { before: standing.clone(), restaged, progress: PlacementState::Absent })
        })?;
    }
    let is = |wanted: fn(&PlacementState) -> bool| successor.placements.iter().any(|it| wanted(&it.progress));
    if is(|progress| matches!(progress, PlacementState::Absent | PlacementState::Restored { .. })) {
        return Ok(Phase::Staging(successor));
    }
    if !was.is_rollback() {
        return Ok(was.clone());
    }
    let half_way = is(|progress| matches!(progress, PlacementState::Staged { .. }));
    Ok(if half_way { Phase::Promoting(successor) } else { Phase::Overlap(successor) })
}

/// A parked rotation of which neither key is of use: nothing is put back.
fn given_up(phase: &Phase) -> Next {
    let Phase::Parked { was, .. } = phase else {
        return Err(Some("only a parked rotation can be given up"));
    };
    let successor = was.successor().filter(|successor| successor.promotion_begun);
    let successor = successor.ok_or(Some("the new key is not in service anywhere; abort instead"))?.clone();
    Ok(Phase::Withdrawing { successor, cause: RollbackCause::NoKeyLeft })
}

fn rollback(rotation: &Rotation, cause: RollbackCause) -> Next {
    if !rotation.phase.may_roll_back() {
        return Err(None);
    }
    if !rotation.can_roll_back() {
        return Err(Some("a destination has no earlier version"));
    }
    let Some(successor) = rotation.successor().cloned() else {
        return Err(None);
    };
    // Whether the old key is enabled is looked up, not derived: somebody else may have changed it.
    Ok(Phase::RollingBack { successor, cause, old_enabled: false, overwrite: false })
}
