//! What ends an imagined process in the middle of a call: before its effect or after it, in turns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

/// A clone is the same fuse. One that was never lit does nothing.
#[derive(Clone, Default)]
pub(super) struct Fuse(Arc<State>);

#[derive(Default)]
struct State {
    lit: Mutex<Lit>,
    blown: Notify,
}

#[derive(Default)]
struct Lit {
    /// From when on the next call is the last.
    from: Option<Timestamp>,
    after_the_effect: bool,
}

impl Fuse {
    pub(super) fn light(&self, from: Timestamp) {
        self.lit().from = Some(from);
    }

    /// Until a call is under way that never comes back.
    pub(super) async fn blown(&self) {
        self.0.blown.notified().await;
    }

    pub(super) async fn before(&self, now: Timestamp) {
        self.pass(now, false).await;
    }

    pub(super) async fn after(&self, now: Timestamp) {
        self.pass(now, true).await;
    }

    async fn pass(&self, now: Timestamp, after_the_effect: bool) {
        let blows = {
            let mut lit = self.lit();
            let blows = lit.after_the_effect == after_the_effect && lit.from.is_some_and(|from| from <= now);
            if blows {
                *lit = Lit { from: None, after_the_effect: !after_the_effect };
            }
            blows
        };
        if blows {
            self.0.blown.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn lit(&self) -> MutexGuard<'_, Lit> {
        self.0.lit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
