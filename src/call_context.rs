//! The context of calls to the outside: the rotation that a call is made for, and the responses to it, for metrics and
//! traces; and the lane that it takes, which decides what it waits for and nothing else. The context is local to the task,
//! so that no port passes it on.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ids::RotationId;
use crate::domain::rotation::Rotation;

/// Of the responses to one call the first are kept, and the last.
const RESPONSES_MAX: usize = 64;

/// The rotation that a call is made for, and its position in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOrigin {
    pub rotation: RotationId,
    /// The number of the entry that began its phase.
    pub entered: u64,
    /// The number of its next entry: the one that records the outcome of the call.
    pub entry: u64,
}

impl CallOrigin {
    #[must_use]
    pub fn of(rotation: &Rotation) -> Self {
        Self { rotation: rotation.plan.rotation, entered: rotation.entered, entry: rotation.length }
    }
}

/// What a call waits for before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Every limit, and the silence that the other side asked for.
    Ordinary,
    /// Only room among the calls in flight: it puts a key back into service, or ends one that has leaked.
    Safety,
}

/// One response of another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallResponse {
    /// How long after the beginning of the call.
    pub after: Duration,
    /// The HTTP status.
    pub status: u16,
    /// The other side's own id of the request, fit to be shown.
    pub request_id: Option<String>,
}

/// One call with its responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    pub took: Duration,
    pub origin: Option<CallOrigin>,
    pub responses: Vec<CallResponse>,
}

struct Recording {
    began: Instant,
    responses: Vec<CallResponse>,
}

tokio::task_local! {
    static ORIGIN: Option<CallOrigin>;
    static LANE: Lane;
    static RECORDING: RefCell<Recording>;
}

/// Does `work`, whose calls are made for the rotation of `origin`, or for none.
pub async fn with_origin<T>(origin: Option<CallOrigin>, work: impl Future<Output = T>) -> T {
    ORIGIN.scope(origin, work).await
}

/// Does `work`, whose calls take `lane`.
pub async fn in_lane<T>(lane: Lane, work: impl Future<Output = T>) -> T {
    LANE.scope(lane, work).await
}

/// The lane of the calls that are made here.
#[must_use]
pub fn lane() -> Lane {
    LANE.try_with(|lane| *lane).unwrap_or(Lane::Ordinary)
}

/// Makes a call and records its responses.
pub async fn record_call<T>(call: impl Future<Output = T>) -> (T, CallRecord) {
    let began = Instant::now();
    let recording = RECORDING.scope(RefCell::new(Recording { began, responses: Vec::new() }), async {
        let result = call.await;
        let responses = RECORDING.with(|it| std::mem::take(&mut it.borrow_mut().responses));
        (result, responses)
    });
    let (result, responses) = recording.await;
    let origin = ORIGIN.try_with(|origin| *origin).ok().flatten();
    (result, CallRecord { took: began.elapsed(), origin, responses })
}

/// For adapters: records a response, if the call is being recorded.
pub fn record_response(status: u16, request_id: Option<&str>) {
    let keep = |it: &RefCell<Recording>| {
        let mut recording = it.borrow_mut();
        let after = recording.began.elapsed();
        recording.responses.truncate(RESPONSES_MAX - 1);
        recording.responses.push(CallResponse { after, status, request_id: request_id.map(str::to_owned) });
    };
    RECORDING.try_with(keep).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_records_its_own_responses_only_and_has_its_origin() {
        let rotation = "0190b8a0-0000-7000-8000-000000000001".parse().unwrap();
        let origin = CallOrigin { rotation, entered: 3, entry: 5 };
        record_response(500, None);
        let call = |status: u16| async move {
            tokio::task::yield_now().await;
            record_response(status, Some("r"));
            status
        };
        let work = async { tokio::join!(record_call(call(200)), record_call(call(404))) };
        let (one, other) = with_origin(Some(origin), work).await;
        for ((result, record), status) in [(one, 200), (other, 404)] {
            assert_eq!((result, record.origin, record.responses.len()), (status, Some(origin), 1));
            assert_eq!(
                (record.responses[0].status, record.responses[0].request_id.as_deref()),
                (status, Some("r"))
            );
        }
        let (_, record) = record_call(call(200)).await;
        assert_eq!(record.origin, None);
    }
}
