//! The span of an outgoing call: a child of the phase that made the call, or a trace of its own.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::call_context::{CallRecord, CallResponse};
use crate::domain::failure::Failure;
use crate::domain::trace::{Attributes, Note, Side, Span, SpanId, TraceId, Value};
use crate::telemetry::meter::{Operation, Outcome, Route};

/// The target of a call.
#[derive(Debug, Clone, Copy)]
pub(in crate::telemetry) enum CallTarget<'a> {
    Workspace(&'a str, Route),
    Store(&'a str, Operation),
}

/// The span of a call that ended just `now`.
pub(in crate::telemetry) fn span(
    target: CallTarget<'_>,
    record: &CallRecord,
    outcome: Outcome,
    failure: Option<&Failure>,
    now: Timestamp,
) -> Span {
    let duration = SignedDuration::try_from(record.took).unwrap_or(SignedDuration::MAX);
    let start = now.saturating_sub(duration).unwrap_or(now);
    let random = Uuid::now_v7();
    let (_, low) = random.as_u64_pair();
    let (name, mut attributes) = describe(target);
    attributes.push(("rekeyd.outcome", Value::from(outcome.label())));
    if let Some(origin) = &record.origin {
        attributes.push(("rekeyd.rotation", Value::from(origin.rotation.to_string())));
        attributes.push(("rekeyd.entry", Value::from(origin.entry)));
    }
    // The last response decides.
    let last = record.responses.last();
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
        trace: record
            .origin
            .map_or_else(|| TraceId::by_chance(random.into_bytes()), |it| TraceId::of(it.rotation)),
        id: SpanId::by_chance(low.to_be_bytes()),
        parent: record.origin.map(|it| SpanId::of_phase(it.rotation, it.entered)),
        name,
        side: Side::Outside,
        start,
        end: now,
        attributes,
        notes: record.responses.iter().map(|response| note(response, start)).collect(),
        unnoted: 0,
        fault: failure.map(|it| it.message.clone()),
    }
}

fn describe(target: CallTarget<'_>) -> (&'static str, Attributes) {
    match target {
        CallTarget::Workspace(workspace, route) => {
            let route = route.label();
            (route, vec![("rekeyd.workspace", Value::from(workspace)), ("rekeyd.route", Value::from(route))])
        }
        CallTarget::Store(store, operation) => {
            let operation = operation.label();
            let of = vec![("rekeyd.store", Value::from(store)), ("rekeyd.operation", Value::from(operation))];
            (operation, of)
        }
    }
}

/// The event of one response; a call may consist of several requests.
fn note(response: &CallResponse, start: Timestamp) -> Note {
    let after = SignedDuration::try_from(response.after).unwrap_or_default();
    let mut attributes = vec![("http.response.status_code", Value::from(u64::from(response.status)))];
    attributes.extend(response.request_id.as_deref().map(|id| ("rekeyd.request_id", Value::from(id))));
    Note { at: start.saturating_add(after).unwrap_or(start), name: "response", attributes }
}
