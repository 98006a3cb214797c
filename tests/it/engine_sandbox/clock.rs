//! A clock that starts at any time and runs at any speed.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::acceptance::AcceptanceRule;
use rekeyd::engine::{Periods, Timing};
use rekeyd::ports::clock::Clock;

/// How long things take by the machine's own clock.
pub(super) const BRISK: Timing = Timing {
    settle: SignedDuration::from_secs(1),
    activation_deadline: SignedDuration::from_secs(10),
    acceptances: AcceptanceRule { count: 2, over: SignedDuration::ZERO },
    clock_skew_max: SignedDuration::from_mins(2),
    look_again: SignedDuration::from_millis(200),
    periods: Periods::NEVER,
};

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

    fn uptime(&self) -> Duration {
        self.began.elapsed() * self.factor.unsigned_abs()
    }

    fn steps(&self) -> u64 {
        0
    }

    async fn sleep(&self, lasts: SignedDuration) {
        tokio::time::sleep(Duration::try_from(lasts / self.factor).unwrap_or_default()).await;
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

    fn uptime(&self) -> Duration {
        SystemClock.uptime()
    }

    fn steps(&self) -> u64 {
        0
    }

    async fn sleep(&self, lasts: SignedDuration) {
        SystemClock.sleep(lasts).await;
    }
}
