//! The port of a workspace's own audit log.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::audit::compare::WorkspaceLogEntry;
use crate::domain::failure::Failure;

#[async_trait]
pub trait WorkspaceLog: Send + Sync {
    /// What it shows was done to keys from `since` on. Changes nothing, and may be repeated; the provider allows thirty
    /// requests a minute.
    ///
    /// # Errors
    /// It cannot be read. `Forbidden`, `NotFound` or `Invalid` if this workspace or admin key has no use of it.
    async fn entries(&self, since: Timestamp) -> Result<Vec<WorkspaceLogEntry>, Failure>;
}
