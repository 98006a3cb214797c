//! The events of every rotation: append only.

use async_trait::async_trait;

use crate::domain::ids::{CredentialName, RotationId};
use crate::domain::record::Record;
use crate::ports::journal::{Entry, Error, RotationHistory};

#[async_trait]
pub trait RotationLog: Send + Sync {
    /// Appends one entry and its audit record if the rotation has exactly `entry.sequence` entries. The same
    /// transaction replaces the credential's record, if one is given, under the rule of
    /// [`Records::save`](crate::ports::journal::Records::save).
    ///
    /// # Errors
    /// `Conflict`: the rotation has another length, or the record another revision; nothing was written. `Corrupt`: the
    /// entry or the record breaks a rule of the journal. `Unavailable`.
    async fn append(&self, entry: &Entry, record: Option<&Record>) -> Result<(), Error>;

    /// The entries of one rotation in order; empty for an unknown rotation.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn entries(&self, rotation: RotationId) -> Result<Vec<Entry>, Error>;

    /// A credential's newest rotations, newest first, at most `limit`.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn history(&self, credential: &CredentialName, limit: usize)
    -> Result<Vec<RotationHistory>, Error>;

    /// The ids of rotations that began before `before`, newest first, at most `limit`: those of one credential, or of
    /// all if `of` is `None`.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn rotations(
        &self,
        of: Option<&CredentialName>,
        before: Option<RotationId>,
        limit: usize,
    ) -> Result<Vec<(RotationId, CredentialName)>, Error>;

    /// The credential of a rotation; `None` for an unknown rotation.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn owner_of(&self, rotation: RotationId) -> Result<Option<CredentialName>, Error>;
}
