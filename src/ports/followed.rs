//! A secret that another program changes, as a consumer's agent follows it.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::failure::Failure;
use crate::domain::secret::SecretValue;

/// How the agent follows a secret of one kind of store.
#[derive(Debug)]
pub struct FollowForm {
    /// The key of `from` in the agent's configuration.
    pub key: &'static str,
    /// The flags of `rekeyd agent` for such a secret. The first names the secret, and the others need it.
    pub flags: &'static [FollowFlag],
    /// How often the secret is read where the configuration does not say, as it would be written there.
    pub every: &'static str,
}

/// A flag of `rekeyd agent`, without its dashes.
#[derive(Debug)]
pub struct FollowFlag {
    pub flag: &'static str,
    pub value_name: &'static str,
    pub help: &'static str,
    /// The key of the source's table that the value is written to; `None` if the value is the whole source.
    pub key: Option<&'static str>,
}

/// Identifies a content without reading it: opaque, and never the content itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentMark(pub String);

/// What a look at a secret returned.
pub enum FollowedState {
    /// The secret still serves what was read under the mark.
    Same,
    New {
        mark: ContentMark,
        value: SecretValue,
    },
    /// The secret changed and may be half written: look again soon.
    Unsettled,
}

/// One secret in one place.
#[async_trait]
pub trait Followed: Send + Sync {
    /// Compares what the secret serves with the mark, and reads it only if it is something else. Cancel-safe.
    ///
    /// # Errors
    /// The secret does not exist, cannot be read, or holds nothing that could be a key.
    async fn look(&self, since: Option<&ContentMark>) -> Result<FollowedState, Failure>;
}

/// Where the agent's configuration says that a secret is read, checked.
#[async_trait]
pub trait FollowedSource: Debug + Send + Sync {
    /// How often the secret is read where the configuration does not say, as it would be written there.
    fn default_interval(&self) -> &'static str;

    /// The longest pause between reads that fail, for a secret that is read every `interval`.
    fn longest_pause(&self, interval: Duration) -> Duration;

    /// The local file that the secret is read from, if it is one.
    fn file(&self) -> Option<&Path> {
        None
    }

    /// Connects, and follows the secret or one field of it.
    ///
    /// # Errors
    /// The source cannot be used as it is configured.
    async fn follow(&self, json_field: Option<String>) -> Result<Box<dyn Followed>, Failure>;
}
