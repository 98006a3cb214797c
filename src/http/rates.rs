//! How often somebody may do something: so often at once, and then so often in a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Of more than these at the same time, those who come last are not counted: nobody is refused for others' sake.
const KEPT_MAX: usize = 4096;

pub(super) struct Rates<K> {
    /// At once.
    burst: u32,
    /// From then on, one in this time.
    interval: Duration,
    /// Until when what each did is not forgotten.
    spent: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash> Rates<K> {
    pub(super) fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval, spent: Mutex::default() }
    }

    /// Counts one, if it may be done.
    ///
    /// # Errors
    /// How long to wait; it was not counted.
    pub(super) fn count(&self, who: K) -> Result<(), Duration> {
        let now = Instant::now();
        let mut spent = self.spent();
        let before = spent.get(&who).copied();
        self.judge(before, now)?;
        if before.is_none() && spent.len() >= KEPT_MAX {
            spent.retain(|_, until| *until > now);
        }
        if before.is_some() || spent.len() < KEPT_MAX {
            let from = before.map_or(now, |before| before.max(now));
            spent.insert(who, from + self.interval);
        }
        Ok(())
    }

    fn judge(&self, until: Option<Instant>, now: Instant) -> Result<(), Duration> {
        let allowed = self.interval.saturating_mul(self.burst.saturating_sub(1));
        let over = until.map(|until| until.saturating_duration_since(now)).unwrap_or_default();
        match over.checked_sub(allowed) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    fn spent(&self) -> MutexGuard<'_, HashMap<K, Instant>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn so_many_at_once_and_then_one_in_a_while() {
        let rates = Rates::new(3, SECOND);
        for _ in 0..3 {
            assert_eq!(rates.count("a"), Ok(()));
        }
        assert_eq!((rates.count("a"), rates.count("b")), (Err(SECOND), Ok(())));
        tokio::time::advance(SECOND).await;
        assert_eq!((rates.count("a"), rates.count("a")), (Ok(()), Err(SECOND)));
        tokio::time::advance(10 * SECOND).await;
        assert_eq!([0; 4].map(|_| rates.count("a").is_ok()), [true, true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_takes_no_more_memory_and_refuses_nobody() {
        let rates = Rates::new(1, SECOND);
        for who in 0..3 * KEPT_MAX {
            assert_eq!(rates.count(who), Ok(()));
        }
        assert_eq!(rates.spent().len(), KEPT_MAX);
        assert!(rates.count(0).is_err(), "who came first is still counted");
    }
}
