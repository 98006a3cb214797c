//! The machine's own clock.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::ports::clock::Clock;

/// The longest sleep before the clock is read again: the wall clock may be set meanwhile.
const NAP_MAX: Duration = Duration::from_secs(60);

/// The wall clock, and tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where wall-clock time enters")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, at: Timestamp) {
        let left = at.duration_since(self.now());
        if left.is_positive() {
            tokio::time::sleep(left.unsigned_abs().min(NAP_MAX)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleeper_wakes_at_once_for_the_past_and_within_a_nap_for_the_far_future() {
        let clock = SystemClock;
        let begun = tokio::time::Instant::now();
        clock.sleep_until(clock.now() - SignedDuration::from_hours(1)).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        clock.sleep_until(clock.now() + SignedDuration::from_hours(1)).await;
        assert!((NAP_MAX..NAP_MAX * 2).contains(&begun.elapsed()));
    }
}
