//! The clock: the only way by which time enters the program.

use async_trait::async_trait;
use jiff::Timestamp;

/// Tells the time and waits. Wall-clock time, which people and summer-time laws may change: whoever waits for an
/// instant must look again when woken.
#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Returns at `at` or soon after it, or earlier: the caller looks at the clock again. Cancel-safe.
    async fn sleep_until(&self, at: Timestamp);
}
