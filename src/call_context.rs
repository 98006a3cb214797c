//! On whose behalf calls to the outside are made, and what was answered to them: for whoever tells of calls. It goes along
//! with the task, so that no port has to pass it on; nothing that is decided depends on it.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ids::RotationId;
use crate::domain::rotation::Rotation;

/// Of the answers to one call the first are kept, and the last.
const ANSWERS_MAX: usize = 64;

/// The rotation that a call is made for, where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOrigin {
    pub rotation: RotationId,
    /// The number of the entry that led to its phase.
    pub entered: u64,
    /// The number of its next entry: the one that tells what came of the call.
    pub entry: u64,
}

impl CallOrigin {
    #[must_use]
    pub fn of(rotation: &Rotation) -> Self {
        Self { rotation: rotation.plan.rotation, entered: rotation.entered, entry: rotation.length }
    }
}

/// One answer of another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallResponse {
    /// How long after the beginning of the call.
    pub after: Duration,
    /// Of HTTP.
    pub status: u16,
    /// The other side's own id of the request, fit to be shown.
    pub request_id: Option<String>,
}

/// What was heard while a call was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    pub took: Duration,
    pub behalf: Option<CallOrigin>,
    pub answers: Vec<CallResponse>,
}

struct Listening {
    began: Instant,
    answers: Vec<CallResponse>,
}

tokio::task_local! {
    static BEHALF: Option<CallOrigin>;
    static LISTENING: RefCell<Listening>;
}

/// Does `work`, whose calls are made on behalf of a rotation, or of none.
pub async fn with_origin<T>(behalf: Option<CallOrigin>, work: impl Future<Output = T>) -> T {
    BEHALF.scope(behalf, work).await
}

/// Makes a call and listens to what is answered.
pub async fn record_call<T>(call: impl Future<Output = T>) -> (T, CallRecord) {
    let began = Instant::now();
    let listening = LISTENING.scope(RefCell::new(Listening { began, answers: Vec::new() }), async {
        let result = call.await;
        let answers = LISTENING.with(|it| std::mem::take(&mut it.borrow_mut().answers));
        (result, answers)
    });
    let (result, answers) = listening.await;
    let behalf = BEHALF.try_with(|behalf| *behalf).ok().flatten();
    (result, CallRecord { took: began.elapsed(), behalf, answers })
}

/// For adapters: another system has answered. Nobody may be listening.
pub fn record_response(status: u16, request_id: Option<&str>) {
    let keep = |it: &RefCell<Listening>| {
        let mut listening = it.borrow_mut();
        let after = listening.began.elapsed();
        listening.answers.truncate(ANSWERS_MAX - 1);
        listening.answers.push(CallResponse { after, status, request_id: request_id.map(str::to_owned) });
    };
    LISTENING.try_with(keep).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_hears_its_own_answers_only_and_knows_on_whose_behalf() {
        let rotation = "0190b8a0-0000-7000-8000-000000000001".parse().unwrap();
        let behalf = CallOrigin { rotation, entered: 3, entry: 5 };
        record_response(500, None);
        let call = |status: u16| async move {
            tokio::task::yield_now().await;
            record_response(status, Some("r"));
            status
        };
        let work = async { tokio::join!(record_call(call(200)), record_call(call(404))) };
        let (one, other) = with_origin(Some(behalf), work).await;
        for ((result, heard), status) in [(one, 200), (other, 404)] {
            assert_eq!((result, heard.behalf, heard.answers.len()), (status, Some(behalf), 1));
            assert_eq!(
                (heard.answers[0].status, heard.answers[0].request_id.as_deref()),
                (status, Some("r"))
            );
        }
        let (_, heard) = record_call(call(200)).await;
        assert_eq!(heard.behalf, None);
    }
}
