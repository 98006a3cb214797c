//! Which state an event leads to. The only place where a rotation's state changes.

use jiff::Timestamp;

use crate::domain::dead_man;
use crate::domain::effect::EffectName;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::ids::KeyId;
use crate::domain::key::KeyRequest;
use crate::domain::phase::{AfterDiscard, Alarm, Phase, PhaseName};
use crate::domain::plan::{Terms, Urgency};
use crate::domain::rotation::{LastFailure, MINTS_PER_ROTATION_MAX, RollbackCause, Rotation};
use crate::domain::secret::Fingerprint;
use crate::domain::successor::{Placement, PlacementState, Served, Successor};

mod placing;

use crate::domain::step::placing::{contested, placed, promoted, restored, staged};

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
/// The event is illegal in this state; the state is unchanged. From the journal that means corruption, from a person
/// it means "not now".
pub fn step(rotation: &Rotation, event: &Event, now: Timestamp) -> Result<Rotation, IllegalTransition> {
    if rotation.is_over() {
        return Err(illegal(rotation, event, None));
    }
    let mut next = rotation.clone();
    next.length += 1;
    if let Event::Hindered { effect, failure } = event {
        next.last_failure = Some(hindered(rotation, *effect, failure, now));
        return Ok(next);
    }
    if let Event::TermsRevised { terms } = event {
        next.plan.terms = terms.clone();
        return Ok(next);
    }
    if let Event::Escalated { why, since } = event {
        if rotation.plan.old.is_none() || rotation.phase.is_way_back() {
            return Err(illegal(
                rotation,
                event,
                Some("the old key is not being replaced; `abort` goes on with the new key"),
            ));
        }
        next.plan.emergency = true;
        next.plan.urgency = Some(Urgency { why: why.clone(), since: since.unwrap_or(now) });
        next.plan.terms = Terms::of_an_emergency();
        next.last_failure = None;
        next.phase = escalated(&rotation.phase);
        if next.phase.name() != rotation.phase.name() {
            next.since = now;
            next.entered = rotation.length;
        }
        return Ok(next);
    }
    next.phase = advance(rotation, event).map_err(|because| illegal(rotation, event, because))?;
    next.last_failure = None;
    if next.phase.name() != rotation.phase.name() {
        next.since = now;
        next.entered = rotation.length;
        next.clock_agreed = false;
    }
    if matches!(next.phase, Phase::Overlap(_)) && matches!(event, Event::Promoted { .. }) {
        next.overlap_began = None;
    }
    if let Event::ClockAgreed = event {
        next.since = now;
        next.clock_agreed = true;
        if matches!(next.phase, Phase::Overlap(_)) && next.overlap_began.is_none() {
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
        // A refusal leads back to the start; what led there must still slow the next try down. It lost no key.
        next.attempts_max += 1;
        next.last_failure = Some(hindered(rotation, EffectName::Mint, failure, now));
    }
    if let Event::Retried { .. } = event {
        next.attempts_max = next.attempt + MINTS_PER_ROTATION_MAX;
    }
    Ok(next)
}

type Because = Option<&'static str>;

fn illegal(rotation: &Rotation, event: &Event, because: Because) -> IllegalTransition {
    IllegalTransition { phase: rotation.phase.name(), event: event.name(), because }
}

fn hindered(rotation: &Rotation, effect: EffectName, failure: &Failure, now: Timestamp) -> LastFailure {
    let earlier = rotation.last_failure.as_ref().filter(|last_failure| last_failure.effect == effect);
    LastFailure {
        effect,
        failures: earlier.map_or(0, |last_failure| last_failure.failures).saturating_add(1),
        first_at: earlier.map_or(now, |last_failure| last_failure.first_at),
        last_at: now,
        last: failure.clone(),
    }
}

/// The transitions proper: every pair that no stage lists is illegal. The table in `docs/state-machine.md`, which a
/// test compares with this function, shows them all.
fn advance(rotation: &Rotation, event: &Event) -> Result<Phase, Because> {
    minting(rotation, event)
        .or_else(|| publishing(rotation, event))
        .or_else(|| revoking(rotation, event))
        .or_else(|| undoing(rotation, event))
        .or_else(|| steering(rotation, event))
        .unwrap_or(Err(None))
}

type Move = Option<Result<Phase, Because>>;

fn minting(rotation: &Rotation, event: &Event) -> Move {
    use Event as E;
    Some(Ok(match (&rotation.phase, event) {
        (Phase::Due { .. }, E::MintIntended { request, before }) => {
            if before.len() != rotation.plan.destinations.len() {
                return Some(Err(Some("a destination is missing")));
            }
            Phase::Minting { request: request.clone(), before: before.clone(), doubt: false }
        }
        (Phase::Minting { request, before, doubt: false }, E::Minted { key, fingerprint }) => {
            Phase::Staging(successor(request, before, key, fingerprint))
        }
        (Phase::Minting { doubt: false, .. }, E::MintRefused { .. })
        | (Phase::Minting { doubt: true, .. }, E::LostKeySettled { .. })
        | (Phase::Discarding { then: AfterDiscard::MintAgain, .. }, E::Discarded) => {
            Phase::Due { overwrite: false }
        }
        (Phase::Minting { request, before, doubt: false }, E::MintDoubted { .. }) => {
            Phase::Minting { request: request.clone(), before: before.clone(), doubt: true }
        }
        (Phase::Staging(s) | Phase::Verifying(s), E::ValueLost) => {
            return Some(discard(s, AfterDiscard::MintAgain));
        }
        (Phase::Staging(s) | Phase::Verifying(s), E::Refuted { why }) => {
            return Some(discard(s, AfterDiscard::Abort { why: why.clone() }));
        }
        (Phase::Discarding { then: AfterDiscard::Abort { why }, .. }, E::Discarded) => {
            Phase::Aborted { why: why.clone() }
        }
        _ => return None,
    }))
}

fn publishing(rotation: &Rotation, event: &Event) -> Move {
    use Event as E;
    Some(match (&rotation.phase, event) {
        (Phase::Staging(successor), E::Staged { destination, version, over }) => {
            staged(successor, *destination, version, over.as_ref())
        }
        (Phase::Verifying(successor), E::Verified { facts }) => {
            let facts = Some(facts.clone());
            Ok(Phase::Promoting(Successor { facts, promotion_begun: true, ..successor.clone() }))
        }
        (Phase::Promoting(successor), E::Promoted { destination, displaced }) => {
            promoted(rotation, successor, *destination, displaced.as_ref())
        }
        (Phase::Staging(successor) | Phase::Promoting(successor), E::Contested { destination }) => {
            contested(successor, *destination)
        }
        _ => return None,
    })
}

fn revoking(rotation: &Rotation, event: &Event) -> Move {
    use Event as E;
    Some(Ok(match (&rotation.phase, event) {
        (Phase::Overlap(successor), E::Released { forced, .. }) => {
            Phase::Disabling { successor: successor.clone(), forced: *forced }
        }
        (Phase::Disabling { successor, .. }, E::Withheld { .. }) => Phase::Overlap(successor.clone()),
        (Phase::Disabling { successor, .. }, E::OldKeyDisabled) => Phase::Quarantine(successor.clone()),
        (Phase::Overlap(_) | Phase::Quarantine(_), E::ClockAgreed | E::ExpiryIntended { .. }) => {
            rotation.phase.clone()
        }
        (phase, E::ExpirySettled { .. }) if rotation.dead_man.is_some() && phase.needs_the_old_key() => {
            rotation.phase.clone()
        }
        (
            Phase::Disabling { successor, .. } | Phase::Quarantine(successor) | Phase::Revoking(successor),
            E::Alarmed { alarm },
        ) if !rotation.plan.emergency => {
            Phase::Reinstating { successor: successor.clone(), alarm: alarm.clone() }
        }
        (Phase::Reinstating { successor, alarm }, E::OldKeyEnabled) => reinstated(successor, alarm),
        (Phase::Quarantine(successor), E::QuarantinePassed) => Phase::Revoking(successor.clone()),
        (Phase::Revoking(successor), E::OldKeyGone) => Phase::Done(successor.clone()),
        _ => return None,
    }))
}

fn undoing(rotation: &Rotation, event: &Event) -> Move {
    use Event as E;
    Some(match (&rotation.phase, event) {
        (phase, E::RollbackBegun { cause }) if phase.may_roll_back() => rollback(rotation, *cause),
        (Phase::RollingBack { successor, cause, old_enabled: false, overwrite }, E::OldKeyEnabled) => {
            let (successor, cause, overwrite) = (successor.clone(), *cause, *overwrite);
            Ok(Phase::RollingBack { successor, cause, old_enabled: true, overwrite })
        }
        (Phase::RollingBack { successor, old_enabled: true, .. }, E::Restored { destination, version }) => {
            restored(&rotation.phase, successor, *destination, version)
        }
        (Phase::Returning { .. }, E::ClockAgreed) => Ok(rotation.phase.clone()),
        (Phase::Returning { successor, cause }, E::ReturnPassed) => {
            Ok(Phase::Withdrawing { successor: successor.clone(), cause: *cause })
        }
        (Phase::Withdrawing { cause, .. }, E::NewKeyGone) => Ok(Phase::RolledBack { cause: *cause }),
        _ => return None,
    })
}

/// What an operator may do, and what calls for one.
fn steering(rotation: &Rotation, event: &Event) -> Move {
    use Event as E;
    Some(match (&rotation.phase, event) {
        (phase, E::Parked { reason, detail }) if may_park(phase) => {
            Ok(Phase::Parked { reason: *reason, detail: detail.clone(), was: Box::new(phase.clone()) })
        }
        (Phase::Parked { was, .. }, E::Retried { overwrite }) => Ok(resumed(was, *overwrite)),
        (Phase::Parked { was, .. }, E::Reclaimed { destinations }) => reclaimed(was, destinations),
        (phase, E::Reclaimed { destinations }) if phase.is_way_back() => reclaimed(phase, destinations),
        (Phase::Parked { was, .. }, E::AbortAsked { .. } | E::RollbackBegun { .. }) => {
            advance(&Rotation { phase: was.as_ref().clone(), ..rotation.clone() }, event)
        }
        (Phase::Due { .. }, E::AbortAsked { by }) => Ok(Phase::Aborted { why: format!("asked by {by}") }),
        (Phase::Staging(s) | Phase::Verifying(s), E::AbortAsked { by }) => {
            discard(s, AfterDiscard::Abort { why: format!("asked by {by}") })
        }
        (Phase::Minting { .. }, E::AbortAsked { .. }) => {
            Err(Some("whether a key was created is being settled; ask again in a moment"))
        }
        (phase, E::AbortAsked { .. }) if phase.may_roll_back() => {
            Err(Some("the new key may be in service already; roll back instead"))
        }
        _ => return None,
    })
}

/// The old key works again: a person has to find out what was wrong before it is tried once more.
fn reinstated(successor: &Successor, alarm: &Alarm) -> Phase {
    let was = Box::new(Phase::Overlap(successor.clone()));
    Phase::Parked { reason: alarm.kind.reason(), detail: alarm.detail.clone(), was }
}

/// What was stopped for the old key's sake goes on: it is worth nothing any more. What is parked because of
/// a destination, or because no key can be made, stays parked.
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

/// A mint in doubt is settled, never left to a person; what is over stays over.
fn may_park(phase: &Phase) -> bool {
    !matches!(
        phase,
        Phase::Minting { .. }
            | Phase::Parked { .. }
            | Phase::Done(_)
            | Phase::Aborted { .. }
            | Phase::RolledBack { .. }
    )
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

fn discard(successor: &Successor, then: AfterDiscard) -> Result<Phase, Because> {
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

/// Publishes to some destinations again: the overlap begins anew when the last one serves the new key. Also the way
/// forward out of a rollback whose old key turned out to be of no use.
fn reclaimed(was: &Phase, destinations: &[(usize, Served)]) -> Result<Phase, Because> {
    let Some(successor) = was.successor().filter(|_| was.may_publish_again()) else {
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
    if !was.is_way_back() {
        return Ok(was.clone());
    }
    let half_way = is(|progress| matches!(progress, PlacementState::Staged { .. }));
    Ok(if half_way { Phase::Promoting(successor) } else { Phase::Overlap(successor) })
}

fn rollback(rotation: &Rotation, cause: RollbackCause) -> Result<Phase, Because> {
    if !rotation.can_roll_back() {
        return Err(Some("a destination has no earlier version to go back to"));
    }
    let Some(successor) = rotation.successor().cloned() else {
        return Err(None);
    };
    // Whether the old key is enabled is looked up, not derived: somebody else may have changed it.
    Ok(Phase::RollingBack { successor, cause, old_enabled: false, overwrite: false })
}
