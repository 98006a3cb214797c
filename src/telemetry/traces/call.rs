//! One call to the outside as a span: a part of the phase that it was made in, or a trace of its own.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::call_context::{CallRecord, CallResponse};
use crate::domain::failure::Failure;
use crate::domain::trace::{Attributes, Note, Side, Span, SpanId, TraceId, Value};
use crate::telemetry::meter::{Operation, Outcome, Route};

/// Whom was asked for what.
#[derive(Debug, Clone, Copy)]
pub(in crate::telemetry) enum Asked<'a> {
    Workspace(&'a str, Route),
    Store(&'a str, Operation),
}

/// The span of a call that ended just `now`.
pub(in crate::telemetry) fn span(
    asked: Asked<'_>,
    call: &CallRecord,
    outcome: Outcome,
    failure: Option<&Failure>,
    now: Timestamp,
) -> Span {
    let took = SignedDuration::try_from(call.took).unwrap_or(SignedDuration::MAX);
    let start = now.saturating_sub(took).unwrap_or(now);
    let chance = Uuid::now_v7();
    let (_, low) = chance.as_u64_pair();
    let (name, mut attributes) = whom(asked);
    attributes.push(("rekeyd.outcome", Value::from(outcome.label())));
    if let Some(origin) = &call.origin {
        attributes.push(("rekeyd.rotation", Value::from(origin.rotation.to_string())));
        attributes.push(("rekeyd.entry", Value::from(origin.entry)));
    }
    // What came last decided.
    let last = call.responses.last();
    if let Some(answer) = last {
        attributes.push(("http.response.status_code", Value::from(u64::from(answer.status))));
    }
    let request_id = failure.and_then(|it| it.request_id.as_ref());
    if let Some(id) = request_id.or_else(|| last.and_then(|it| it.request_id.as_ref())) {
        attributes.push(("rekeyd.request_id", Value::from(id.as_str())));
    }
    if let Some(failure) = failure {
        attributes.push(("error.type", Value::from(failure.kind.label())));
    }
    Span {
        trace: call
            .origin
            .map_or_else(|| TraceId::by_chance(chance.into_bytes()), |it| TraceId::of(it.rotation)),
        id: SpanId::by_chance(low.to_be_bytes()),
        parent: call.origin.map(|it| SpanId::of_phase(it.rotation, it.entered)),
        name,
        side: Side::Outside,
        start,
        end: now,
        attributes,
        notes: call.responses.iter().map(|answer| note(answer, start)).collect(),
        unnoted: 0,
        fault: failure.map(|it| it.message.clone()),
    }
}

fn whom(asked: Asked<'_>) -> (&'static str, Attributes) {
    match asked {
        Asked::Workspace(workspace, route) => {
            let route = route.label();
            (route, vec![("rekeyd.workspace", Value::from(workspace)), ("rekeyd.route", Value::from(route))])
        }
        Asked::Store(store, operation) => {
            let operation = operation.label();
            let of = vec![("rekeyd.store", Value::from(store)), ("rekeyd.operation", Value::from(operation))];
            (operation, of)
        }
    }
}

/// One answer: a call may be several requests.
fn note(answer: &CallResponse, start: Timestamp) -> Note {
    let after = SignedDuration::try_from(answer.after).unwrap_or_default();
    let mut attributes = vec![("http.response.status_code", Value::from(u64::from(answer.status)))];
    attributes.extend(answer.request_id.as_deref().map(|id| ("rekeyd.request_id", Value::from(id))));
    Note { at: start.saturating_add(after).unwrap_or(start), name: "answer", attributes }
}
