//! A rate limiter: a burst, then one request per interval, for each client.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Clients beyond this number are not counted: no client is refused because of the others.
const CLIENTS_MAX: usize = 4096;

pub(super) struct RateLimiter<K> {
    /// Requests at once.
    burst: u32,
    /// After the burst, one request per interval.
    interval: Duration,
    /// Per client, the instant at which its burst is whole again.
    spent: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash> RateLimiter<K> {
    pub(super) fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval, spent: Mutex::default() }
    }

    /// Counts a request, if it is within the limit.
    ///
    /// # Errors
    /// The wait until it would be; the request was not counted.
    pub(super) fn count(&self, who: K) -> Result<(), Duration> {
        let now = Instant::now();
        let mut spent = self.spent();
        let before = spent.get(&who).copied();
        self.check(before, now)?;
        if before.is_none() && spent.len() >= CLIENTS_MAX {
            spent.retain(|_, until| *until > now);
        }
        if before.is_some() || spent.len() < CLIENTS_MAX {
            let from = before.map_or(now, |before| before.max(now));
            spent.insert(who, from + self.interval);
        }
        Ok(())
    }

    fn check(&self, until: Option<Instant>, now: Instant) -> Result<(), Duration> {
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
        let rates = RateLimiter::new(3, SECOND);
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
        let rates = RateLimiter::new(1, SECOND);
        for who in 0..3 * CLIENTS_MAX {
            assert_eq!(rates.count(who), Ok(()));
        }
        assert_eq!(rates.spent().len(), CLIENTS_MAX);
        assert!(rates.count(0).is_err(), "who came first is still counted");
    }
}
