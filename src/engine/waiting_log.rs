//! Keeps what waits, or fails again and again, from filling the log: each is told when it changes, and then once an hour.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ports::clock::Clock;

const AGAIN_AFTER: Duration = Duration::from_hours(1);

#[derive(Default)]
pub(super) struct WaitingLog(Mutex<BTreeMap<(String, &'static str), Told>>);

struct Told {
    what: String,
    /// By the clock's uptime.
    at: Duration,
}

impl WaitingLog {
    /// Whether it is to be told now that `subject` waits for a reason of this kind, which is just so.
    pub(super) fn is_news(&self, clock: &dyn Clock, subject: &str, kind: &'static str, what: &str) -> bool {
        let now = clock.uptime();
        let mut told = self.locked();
        let key = (subject.to_owned(), kind);
        let is_known =
            told.get(&key).is_some_and(|it| it.what == what && now.saturating_sub(it.at) < AGAIN_AFTER);
        if !is_known {
            told.insert(key, Told { what: what.to_owned(), at: now });
        }
        !is_known
    }

    /// It does not wait for that any more: the next time is news.
    pub(super) fn is_over(&self, subject: &str, kind: &'static str) {
        self.locked().remove(&(subject.to_owned(), kind));
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<(String, &'static str), Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
