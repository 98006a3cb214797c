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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    struct At(Duration);

    #[async_trait]
    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn uptime(&self) -> Duration {
            self.0
        }

        fn steps(&self) -> u64 {
            0
        }

        async fn sleep(&self, _lasts: SignedDuration) {}
    }

    #[test]
    fn forty_credentials_that_wait_for_three_hours_are_forty_lines_an_hour() {
        let log = WaitingLog::default();
        let mut lines = 0;
        for second in 0..3 * 3600 {
            for credential in 0..40 {
                let clock = At(Duration::from_secs(second));
                lines += u32::from(log.is_news(&clock, &format!("c{credential}"), "budget", ""));
            }
        }
        assert_eq!(lines, 40 * 3);
    }

    #[test]
    fn a_change_is_told_at_once_and_so_is_what_begins_anew() {
        let (log, clock) = (WaitingLog::default(), At(Duration::ZERO));
        let is_news = |kind, what| log.is_news(&clock, "tts", kind, what);
        assert!(is_news("listing", "timed_out") && !is_news("listing", "timed_out"));
        assert!(is_news("budget", "") && is_news("listing", "throttled") && is_news("listing", "timed_out"));
        log.is_over("tts", "listing");
        assert!(is_news("listing", "timed_out") && !is_news("budget", ""));
    }
}
