//! Recent events of a workspace, for the mint budget and the breaker.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ids::WorkspaceName;
use crate::ports::journal::{Entry, Error};

#[async_trait]
pub trait WorkspaceActivity: Send + Sync {
    /// The times at which mints were intended in a workspace, from `since` on (inclusive), oldest first. Reads no event
    /// bodies, so that a damaged one stops no other credential.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn mints_since(&self, workspace: &WorkspaceName, since: Timestamp)
    -> Result<Vec<Timestamp>, Error>;

    /// The entries whose event has one of `names` in a workspace, from `since` on (inclusive), oldest first.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn events_since(
        &self,
        workspace: &WorkspaceName,
        names: &[&'static str],
        since: Timestamp,
    ) -> Result<Vec<Entry>, Error>;
}
