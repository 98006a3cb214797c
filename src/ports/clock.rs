//! The clock port: the only source of wall-clock time.

use async_trait::async_trait;
use jiff::Timestamp;

/// The wall clock, which may be set forward or back: a caller that waits for an instant must read the clock again when
/// the wait ends.
#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Returns at `at` or soon after it, or earlier: the caller reads the clock again. Cancel-safe.
    async fn sleep_until(&self, at: Timestamp);
}
