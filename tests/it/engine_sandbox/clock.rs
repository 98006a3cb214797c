//! A clock that starts at any time and runs at any speed.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::clock::SystemClock;
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

/// Runs as fast as the machine's, and can be set on: for what happens while no daemon lives.
#[derive(Default)]
pub(super) struct LaterClock(Mutex<SignedDuration>);

impl LaterClock {
    pub(super) fn pass(&self, time: SignedDuration) {
        *self.0.lock().unwrap() += time;
    }
}

#[async_trait]
impl Clock for LaterClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + *self.0.lock().unwrap()
    }

    async fn sleep_until(&self, at: Timestamp) {
        let passed = *self.0.lock().unwrap();
        SystemClock.sleep_until(at - passed).await;
    }
}
