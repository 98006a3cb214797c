//! When a request may be sent: how many at once, how many per second, and not while the provider asked for peace.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// How many request timeouts a call waits for its turn: with a provider that hangs, whoever stands further back in
/// the queue is told so, and is not kept for ever.
const PATIENCE: u32 = 4;

/// The one budget of a workspace's admin key.
pub(super) struct RateLimiter {
    slots: Semaphore,
    interval: Duration,
    next_slot: Mutex<Instant>,
    silent_until: Mutex<Instant>,
    request_timeout: Duration,
}

/// The right to have one request in flight, until it is dropped.
pub(super) struct Permit<'a> {
    _permit: SemaphorePermit<'a>,
}

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPermit {
    /// Too many are waiting, for that long.
    Crowded(Duration),
    /// The provider asked for peace, for that much longer: more than one call's time.
    Throttled(Duration),
}

impl RateLimiter {
    pub(super) fn new(
        in_flight: NonZeroUsize,
        requests_per_second: Option<NonZeroU32>,
        request_timeout: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            slots: Semaphore::new(in_flight.get().min(Semaphore::MAX_PERMITS)),
            interval: requests_per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.get()),
            next_slot: Mutex::new(now),
            silent_until: Mutex::new(now),
            request_timeout,
        }
    }

    /// Waits for a turn. Cancel-safe.
    pub(super) async fn turn(&self) -> Result<Permit<'_>, NoPermit> {
        self.check_silence()?;
        let patience = self.request_timeout * PATIENCE;
        let Ok(Ok(permit)) = tokio::time::timeout(patience, self.slots.acquire()).await else {
            return Err(NoPermit::Crowded(patience));
        };
        tokio::time::sleep_until(self.reserve_slot()).await;
        // Others may prolong the silence while we wait for its end.
        while let Some(end) = self.check_silence()? {
            tokio::time::sleep_until(end).await;
        }
        Ok(Permit { _permit: permit })
    }

    /// Holds back every request for `wait`.
    pub(super) fn silence(&self, wait: Duration) {
        let mut until = held(&self.silent_until);
        *until = (*until).max(Instant::now() + wait);
    }

    fn check_silence(&self) -> Result<Option<Instant>, NoPermit> {
        let (until, now) = (*held(&self.silent_until), Instant::now());
        match until.saturating_duration_since(now) {
            Duration::ZERO => Ok(None),
            left if left > self.request_timeout => Err(NoPermit::Throttled(left)),
            _ => Ok(Some(until)),
        }
    }

    fn reserve_slot(&self) -> Instant {
        let mut next = held(&self.next_slot);
        let slot = (*next).max(Instant::now());
        *next = slot + self.interval;
        slot
    }
}

/// The instants behind the locks are whole whatever happened to their last owner.
fn held(instant: &Mutex<Instant>) -> MutexGuard<'_, Instant> {
    instant.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_limiter(in_flight: usize, rate: u32) -> RateLimiter {
        RateLimiter::new(
            NonZeroUsize::new(in_flight).unwrap(),
            NonZeroU32::new(rate),
            Duration::from_secs(10),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_spaced_by_the_rate() {
        let (rate_limiter, begun) = (rate_limiter(8, 4), Instant::now());
        for turn in 0..9u32 {
            drop(rate_limiter.turn().await.map_err(|_| "no turn").unwrap());
            assert!(begun.elapsed() >= Duration::from_millis(250) * turn, "turn {turn}");
        }
        assert!(begun.elapsed() <= Duration::from_millis(2010));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_silence_is_waited_for_and_a_long_one_is_told() {
        let (rate_limiter, begun) = (rate_limiter(1, 0), Instant::now());
        rate_limiter.silence(Duration::from_secs(3));
        assert!(rate_limiter.turn().await.is_ok());
        assert!(begun.elapsed() >= Duration::from_secs(3));
        rate_limiter.silence(Duration::from_secs(60));
        assert_eq!(rate_limiter.turn().await.err(), Some(NoPermit::Throttled(Duration::from_secs(60))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_does_not_move_is_left_in_bounded_time() {
        let (rate_limiter, begun) = (rate_limiter(1, 0), Instant::now());
        let _kept = rate_limiter.turn().await.map_err(|_| "no turn").unwrap();
        assert_eq!(rate_limiter.turn().await.err(), Some(NoPermit::Crowded(Duration::from_secs(40))));
        assert!(begun.elapsed() <= Duration::from_secs(41));
    }
}
