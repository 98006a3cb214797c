//! The machine's own clock.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::domain::time::ClockSteps;
use crate::ports::clock::Clock;

/// The longest sleep that the runtime's timer is asked for at a time.
const SLEEP_MAX: Duration = Duration::from_hours(24 * 365);

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
static STEPS: Mutex<ClockSteps> = Mutex::new(ClockSteps::NONE);

/// The wall clock, and tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Every reading is compared with the one before, so that no step is missed that any reading was made in.
    #[expect(clippy::disallowed_methods, reason = "this is where wall-clock time enters")]
    fn read(self) -> (Timestamp, u64) {
        let mut steps = STEPS.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        let count = steps.count(now, self.uptime());
        (now, count)
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.read().0
    }

    fn uptime(&self) -> Duration {
        STARTED.elapsed()
    }

    fn steps(&self) -> u64 {
        self.read().1
    }

    async fn sleep(&self, lasts: SignedDuration) {
        if lasts.is_positive() {
            tokio::time::sleep(lasts.unsigned_abs().min(SLEEP_MAX)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleep_lasts_as_long_as_it_was_asked_to_and_a_negative_one_not_at_all() {
        let clock = SystemClock;
        let begun = Instant::now();
        clock.sleep(SignedDuration::from_hours(-1)).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        clock.sleep(SignedDuration::from_hours(1)).await;
        assert!((Duration::from_hours(1)..Duration::from_mins(61)).contains(&begun.elapsed()));
        clock.sleep(SignedDuration::MAX).await;
    }

    #[test]
    fn readings_in_a_row_are_of_one_unbroken_clock() {
        let clock = SystemClock;
        let (steps, before) = (clock.steps(), clock.uptime());
        assert_eq!(clock.steps(), steps);
        assert!(clock.uptime() >= before);
    }
}
