//! The journalled entries of a rotation as spans: one for each phase that was left, and one for the whole when it is over.

use jiff::Timestamp;

use crate::domain::audit::Actor;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::ids::KeyId;
use crate::domain::phase::{Phase, PhaseName};
use crate::domain::plan::Plan;
use crate::domain::rotation::{CorruptHistory, Rotation};
use crate::domain::step;
use crate::domain::trace::{Attributes, Note, Side, Span, SpanId, TraceId, Value};

/// One journalled entry, with what a span needs of it.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    pub at: Timestamp,
    pub actor: &'a Actor,
    /// The key that it is about, if it is about one.
    pub key: Option<&'a KeyId>,
    pub event: &'a Event,
}

/// A complete span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedSpan {
    /// The number of the entry that ended it.
    pub entry: u64,
    pub span: Span,
}

/// A phase that has not been left yet.
struct Stay {
    since: Timestamp,
    notes: Vec<Note>,
}

/// Every span that the entries of a rotation, from the first on, complete; in the order in which they do.
///
/// # Errors
/// The history is corrupt: there are no spans of it.
pub fn finished<'a>(steps: impl IntoIterator<Item = Step<'a>>) -> Result<Vec<FinishedSpan>, CorruptHistory> {
    let mut steps = steps.into_iter();
    let Some(first) = steps.next() else { return Err(CorruptHistory::NoBeginning) };
    let Event::Begun(plan) = first.event else { return Err(CorruptHistory::NoBeginning) };
    let mut rotation = Rotation::begin(plan.as_ref().clone());
    let mut stay = Stay { since: first.at, notes: vec![note(0, &first)] };
    let mut all = Vec::new();
    for it in steps {
        let number = rotation.length;
        let next = step::step(&rotation, it.event, it.at)
            .map_err(|source| CorruptHistory::Illegal { sequence: number, source })?;
        stay.notes.push(note(number, &it));
        if next.entered == number {
            let here = Stay { since: it.at, notes: Vec::new() };
            let left = std::mem::replace(&mut stay, here);
            all.push(FinishedSpan { entry: number, span: of_phase(&rotation, left, &next, &it) });
            if next.is_over() {
                all.push(FinishedSpan { entry: number, span: of_all(&next, first.at, &it) });
            }
        }
        rotation = next;
    }
    Ok(all)
}

fn of_phase(rotation: &Rotation, stay: Stay, next: &Rotation, last: &Step<'_>) -> Span {
    let id = rotation.plan.rotation;
    let name = rotation.phase.name();
    let mut attributes = of_plan(&rotation.plan);
    attributes.extend([
        ("rekeyd.phase", Value::from(name.label())),
        ("rekeyd.to", Value::from(next.phase.name().label())),
        ("rekeyd.event", Value::from(last.event.name())),
        ("rekeyd.entry", Value::from(rotation.length)),
        ("rekeyd.attempt", Value::from(u64::from(next.attempt))),
        ("rekeyd.actor", Value::from(last.actor.to_string())),
    ]);
    let span = Span {
        trace: TraceId::of(id),
        id: SpanId::of_phase(id, rotation.entered),
        parent: Some(SpanId::of(id)),
        name: name.label(),
        side: Side::Inside,
        start: stay.since,
        // A clock that was set back makes no phase end before it began.
        end: last.at.max(stay.since),
        attributes,
        notes: Vec::new(),
        unnoted: 0,
        fault: fault(&next.phase),
    };
    span.with_notes(stay.notes)
}

fn of_all(over: &Rotation, begun: Timestamp, last: &Step<'_>) -> Span {
    let (plan, ended) = (&over.plan, over.phase.name());
    let mut attributes = of_plan(plan);
    attributes.extend([
        ("rekeyd.reason", Value::from(plan.reason.label())),
        ("rekeyd.emergency", Value::from(plan.emergency)),
        ("rekeyd.outcome", Value::from(ended.label())),
        ("rekeyd.entry", Value::from(over.length.saturating_sub(1))),
        ("rekeyd.attempt", Value::from(u64::from(over.attempt))),
    ]);
    let keys =
        [("rekeyd.key.old", plan.old.as_ref()), ("rekeyd.key.new", over.successor().map(|it| &it.key))];
    attributes.extend(keys.into_iter().filter_map(|(name, key)| Some((name, Value::from(key?.as_str())))));
    Span {
        trace: TraceId::of(plan.rotation),
        id: SpanId::of(plan.rotation),
        parent: None,
        name: "rotation",
        side: Side::Inside,
        start: begun,
        end: last.at.max(begun),
        attributes,
        notes: Vec::new(),
        unnoted: 0,
        fault: (ended != PhaseName::Done).then(|| ended.label().to_owned()),
    }
}

/// By what a span is found, in traces as in the log and in the audit log.
fn of_plan(plan: &Plan) -> Attributes {
    vec![
        ("rekeyd.credential", Value::from(plan.credential.as_str())),
        ("rekeyd.workspace", Value::from(plan.workspace.as_str())),
        ("rekeyd.rotation", Value::from(plan.rotation.to_string())),
    ]
}

/// One entry, in the phase in which it was made.
fn note(number: u64, step: &Step<'_>) -> Note {
    let mut attributes =
        vec![("rekeyd.entry", Value::from(number)), ("rekeyd.actor", Value::from(step.actor.to_string()))];
    if let Some(key) = step.key {
        attributes.push(("rekeyd.key", Value::from(key.as_str())));
    }
    match step.event {
        Event::EffectFailed { effect, failure } => {
            attributes.push(("rekeyd.effect", Value::from(effect.label())));
            attributes.extend(of_failure(failure));
        }
        Event::MintRefused { failure } => attributes.extend(of_failure(failure)),
        Event::Parked { reason, .. } => attributes.push(("rekeyd.reason", Value::from(reason.label()))),
        Event::Begun(_)
        | Event::MintIntended { .. }
        | Event::Minted { .. }
        | Event::MintOutcomeUnknown { .. }
        | Event::LostKeySettled { .. }
        | Event::Staged { .. }
        | Event::ValueLost
        | Event::Verified { .. }
        | Event::VerificationFailed { .. }
        | Event::Promoted { .. }
        | Event::DestinationChanged { .. }
        | Event::Released { .. }
        | Event::ReleaseWithdrawn { .. }
        | Event::OldKeyDisabled
        | Event::ClockAgreed
        | Event::QuarantinePassed
        | Event::Alarmed { .. }
        | Event::ExpiryIntended { .. }
        | Event::ExpirySettled { .. }
        | Event::Escalated { .. }
        | Event::OldKeyGone
        | Event::RollbackBegun { .. }
        | Event::OldKeyEnabled
        | Event::Restored { .. }
        | Event::ReturnPassed
        | Event::NewKeyGone
        | Event::Discarded
        | Event::Retried { .. }
        | Event::OverwriteRequested { .. }
        | Event::AbortRequested { .. }
        | Event::Confirmed { .. }
        | Event::TermsRevised { .. } => {}
    }
    Note { at: step.at, name: step.event.name(), attributes }
}

/// What kind of failure, and the id by which the other side finds the request.
fn of_failure(failure: &Failure) -> Attributes {
    let kind = [("error.type", Value::from(failure.kind.label()))];
    let request = failure.request_id.as_deref().map(|id| ("rekeyd.request_id", Value::from(id)));
    kind.into_iter().chain(request).collect()
}

/// Why a phase that leads there did not come to the end that it should have.
fn fault(to: &Phase) -> Option<String> {
    if let Phase::Parked { reason, .. } = to {
        return Some(format!("parked: {}", reason.label()));
    }
    to.row().is_setback.then(|| to.name().label().to_owned())
}
