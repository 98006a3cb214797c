//! When a request may be sent: how many at once, how many per second, and not while the provider asked for peace. A
//! request of the safety lane waits for the first of these only.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::call_context::Lane;

/// How many request timeouts a call waits for its turn: with a provider that hangs, whoever stands further back in
/// the queue is told so, and is not kept for ever.
const PATIENCE: u32 = 4;

/// The one budget of a workspace's admin key.
pub(super) struct RateLimiter {
    slots: Semaphore,
    /// Held by the one ordinary call that is next: the others do not stand between a call of the safety lane and a slot.
    next_in_line: tokio::sync::Mutex<()>,
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
            next_in_line: tokio::sync::Mutex::default(),
            interval: requests_per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.get()),
            next_slot: Mutex::new(now),
            silent_until: Mutex::new(now),
            request_timeout,
        }
    }

    /// Waits for a turn. Cancel-safe.
    pub(super) async fn turn(&self, lane: Lane) -> Result<Permit<'_>, NoPermit> {
        match lane {
            Lane::Ordinary => self.ordinary_turn().await,
            Lane::Safety => {
                let permit = self.within_patience(self.slots.acquire()).await?;
                // Those that keep to the rate make room for it.
                self.reserve_slot();
                permit.map(|permit| Permit { _permit: permit }).map_err(|_| self.crowded())
            }
        }
    }

    async fn ordinary_turn(&self) -> Result<Permit<'_>, NoPermit> {
        self.check_silence()?;
        let _next_in_line = self.within_patience(self.next_in_line.lock()).await?;
        loop {
            // Others may prolong the silence while we wait for its end.
            while let Some(end) = self.check_silence()? {
                tokio::time::sleep_until(end).await;
            }
            let next_slot = *held(&self.next_slot);
            tokio::time::sleep_until(next_slot).await;
            let permit = self.within_patience(self.slots.acquire()).await?.map_err(|_| self.crowded())?;
            if self.check_silence()?.is_none() {
                self.reserve_slot();
                return Ok(Permit { _permit: permit });
            }
        }
    }

    async fn within_patience<T>(&self, turn: impl Future<Output = T>) -> Result<T, NoPermit> {
        let patience = self.request_timeout * PATIENCE;
        tokio::time::timeout(patience, turn).await.map_err(|_| self.crowded())
    }

    fn crowded(&self) -> NoPermit {
        NoPermit::Crowded(self.request_timeout * PATIENCE)
    }

    /// Holds back every ordinary request for `wait`.
    pub(super) fn silence(&self, wait: Duration) {
        let mut until = held(&self.silent_until);
        *until = (*until).max(Instant::now() + wait);
    }

    /// How long the provider wants peace for, if it does.
    pub(super) fn silent_for(&self) -> Option<Duration> {
        let left = held(&self.silent_until).saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn check_silence(&self) -> Result<Option<Instant>, NoPermit> {
        match self.silent_for() {
            None => Ok(None),
            Some(left) if left > self.request_timeout => Err(NoPermit::Throttled(left)),
            Some(left) => Ok(Some(Instant::now() + left)),
        }
    }

    fn reserve_slot(&self) {
        let mut next = held(&self.next_slot);
        *next = (*next).max(Instant::now()) + self.interval;
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
            drop(rate_limiter.turn(Lane::Ordinary).await.map_err(|_| "no turn").unwrap());
            assert!(begun.elapsed() >= Duration::from_millis(250) * turn, "turn {turn}");
        }
        assert!(begun.elapsed() <= Duration::from_millis(2010));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_silence_is_waited_for_and_a_long_one_is_told() {
        let (rate_limiter, begun) = (rate_limiter(1, 0), Instant::now());
        rate_limiter.silence(Duration::from_secs(3));
        assert!(rate_limiter.turn(Lane::Ordinary).await.is_ok());
        assert!(begun.elapsed() >= Duration::from_secs(3));
        rate_limiter.silence(Duration::from_secs(60));
        assert_eq!(
            rate_limiter.turn(Lane::Ordinary).await.err(),
            Some(NoPermit::Throttled(Duration::from_secs(60)))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_does_not_move_is_left_in_bounded_time() {
        let (rate_limiter, begun) = (rate_limiter(1, 0), Instant::now());
        let _kept = rate_limiter.turn(Lane::Ordinary).await.map_err(|_| "no turn").unwrap();
        assert_eq!(
            rate_limiter.turn(Lane::Ordinary).await.err(),
            Some(NoPermit::Crowded(Duration::from_secs(40)))
        );
        assert!(begun.elapsed() <= Duration::from_secs(41));
    }

    #[tokio::test(start_paused = true)]
    async fn the_safety_lane_keeps_no_silence_and_waits_for_one_call_in_flight_at_most() {
        let (rate_limiter, begun) = (rate_limiter(1, 1), Instant::now());
        rate_limiter.silence(Duration::from_secs(3600));
        assert!(rate_limiter.turn(Lane::Ordinary).await.is_err());
        for _ in 0..5 {
            drop(rate_limiter.turn(Lane::Safety).await.map_err(|_| "no turn").unwrap());
        }
        assert!(begun.elapsed() < Duration::from_millis(10), "the rate is for others");
        assert_eq!(rate_limiter.silent_for(), Some(Duration::from_secs(3600)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_of_ordinary_calls_does_not_stand_before_the_safety_lane() {
        let (rate_limiter, begun) = (rate_limiter(1, 0), Instant::now());
        rate_limiter.silence(Duration::from_secs(8));
        let waiting =
            async { tokio::join!(rate_limiter.turn(Lane::Ordinary), rate_limiter.turn(Lane::Ordinary)) };
        let safe = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let turn = rate_limiter.turn(Lane::Safety).await;
            (turn.is_ok(), begun.elapsed())
        };
        tokio::select! {
            _ = waiting => panic!("an ordinary call kept no silence"),
            (turn, after) = safe => assert!(turn && after < Duration::from_millis(1010), "{after:?}"),
        }
    }
}
