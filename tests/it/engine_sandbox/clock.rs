//! A clock that starts at any time and runs at any speed.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::ports::clock::Clock;

/// Passes `factor` seconds in one, starting `from` a time.
pub(super) struct HurriedClock {
    pub(super) factor: i32,
    pub(super) began: Instant,
    pub(super) from: Timestamp,
}

#[async_trait]
impl Clock for HurriedClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap();
        self.from + passed * self.factor
    }

    async fn sleep_until(&self, at: Timestamp) {
        let left = at.duration_since(self.now()) / self.factor;
        tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    }
}
