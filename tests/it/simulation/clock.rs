//! Virtual time: tokio's paused clock, with an offset for clocks that are wrong.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::ports::clock::Clock;
use tokio::time::Instant;

pub(super) struct VirtualClock {
    begun: Instant,
    epoch: Timestamp,
    /// How far our clock is ahead of the true time, in seconds.
    ahead: AtomicI64,
}

/// When every simulation begins.
pub(super) fn epoch() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().unwrap()
}

impl VirtualClock {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), epoch: epoch(), ahead: AtomicI64::new(0) }
    }

    /// The time that the provider and the stores go by.
    pub(super) fn truth(&self) -> Timestamp {
        self.epoch + SignedDuration::try_from(self.begun.elapsed()).unwrap()
    }

    pub(super) fn set_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }

    pub(super) fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.truth() + SignedDuration::from_secs(self.ahead())
    }

    async fn sleep_until(&self, at: Timestamp) {
        let wait =
            at.duration_since(self.now()).max(SignedDuration::ZERO).min(SignedDuration::from_hours(24));
        tokio::time::sleep(wait.unsigned_abs()).await;
    }
}
