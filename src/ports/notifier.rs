//! A channel by which people are told.

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::domain::notification::Notification;

/// Why a letter was not taken, as far as is known: it may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryError {
    /// Sending it again cannot help.
    pub is_final: bool,
    /// How long the receiver asked to be left alone.
    pub retry_after: Option<SignedDuration>,
    /// For a person; without address, keys or anything that was answered.
    pub why: String,
}

#[async_trait]
pub trait Notifier: Send + Sync {
    /// Sends letters, all in one if there are several, and says in words what was answered. Bounded in time and
    /// memory. A letter that is sent again has the same id and belongs to the same trouble.
    ///
    /// # Errors
    /// They were not taken, or nobody knows.
    async fn deliver(&self, letters: &[Notification]) -> Result<String, DeliveryError>;

    /// How many letters may go in one.
    fn letters_at_once(&self) -> usize;
}
