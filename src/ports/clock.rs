//! The clock port: the only source of wall-clock time, and of time that nobody can set.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

/// The wall clock, which may be set forward or back at any moment, and a timer that may not. An instant of the wall clock
/// is never waited for: waits last for a duration.
#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// How long it has been since some moment in the past. Passes evenly, whatever the wall clock is set to.
    fn uptime(&self) -> Duration;

    /// Reads the wall clock. The number changes if it was set since the last reading, by more than it may drift: two equal
    /// numbers show that every reading in between is of one unbroken clock.
    fn steps(&self) -> u64;

    /// Returns after `lasts` of [`Clock::uptime`], at once if that is negative. Cancel-safe.
    async fn sleep(&self, lasts: SignedDuration);
}
