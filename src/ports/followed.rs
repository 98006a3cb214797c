//! A secret that somebody else changes, as a consumer follows it.

use async_trait::async_trait;

use crate::domain::failure::Failure;
use crate::domain::secret::SecretValue;

/// By what a content is known again without being read: opaque, and never the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentMark(pub String);

/// What a look showed.
pub enum FollowedState {
    /// What was read under the mark is still what is served.
    Same,
    New {
        mark: ContentMark,
        value: SecretValue,
    },
    /// It changed and may be half written: look again soon.
    Unsettled,
}

/// One secret in one place.
#[async_trait]
pub trait Followed: Send + Sync {
    /// Looks whether something else is served than what was read under the mark, and reads it only then. Cancel-safe.
    ///
    /// # Errors
    /// It is not there, cannot be read, or holds nothing that could be a key. Nothing is known of it then.
    async fn look(&self, since: Option<&ContentMark>) -> Result<FollowedState, Failure>;
}
