//! The notifier port: delivers notifications to one channel.

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::domain::notification::Notification;

/// Why a delivery failed; the receiver may have accepted it all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryError {
    /// A retry cannot succeed.
    pub is_final: bool,
    /// The delay that the receiver asked for.
    pub retry_after: Option<SignedDuration>,
    /// The error text, without addresses, keys or content of the response.
    pub why: String,
}

#[async_trait]
pub trait Notifier: Send + Sync {
    /// Delivers the notifications as one message and returns the response as text. Time and memory are bounded. A retried
    /// notification keeps its id and its key.
    ///
    /// # Errors
    /// The receiver did not accept them, or the result is unknown.
    async fn deliver(&self, notifications: &[Notification]) -> Result<String, DeliveryError>;

    /// The largest number of notifications in one message.
    fn batch_max(&self) -> usize;
}
