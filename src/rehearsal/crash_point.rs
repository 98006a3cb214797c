//! Lets an imagined process die in the middle of a call: before its effect or after it, in turns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

/// A clone is the same crash point. One that was never armed does nothing.
#[derive(Clone, Default)]
pub(super) struct CrashPoint(Arc<State>);

#[derive(Default)]
struct State {
    armed: Mutex<Armed>,
    reached: Notify,
}

#[derive(Default)]
struct Armed {
    /// From when on the next call is the last.
    from: Option<Timestamp>,
    after_the_effect: bool,
}

impl CrashPoint {
    pub(super) fn arm(&self, from: Timestamp) {
        self.armed().from = Some(from);
    }

    /// Returns when a call is under way that never returns.
    pub(super) async fn reached(&self) {
        self.0.reached.notified().await;
    }

    pub(super) async fn before(&self, now: Timestamp) {
        self.pass(now, false).await;
    }

    pub(super) async fn after(&self, now: Timestamp) {
        self.pass(now, true).await;
    }

    async fn pass(&self, now: Timestamp, after_the_effect: bool) {
        let crashes = {
            let mut armed = self.armed();
            let crashes =
                armed.after_the_effect == after_the_effect && armed.from.is_some_and(|from| from <= now);
            if crashes {
                *armed = Armed { from: None, after_the_effect: !after_the_effect };
            }
            crashes
        };
        if crashes {
            self.0.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn armed(&self) -> MutexGuard<'_, Armed> {
        self.0.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
