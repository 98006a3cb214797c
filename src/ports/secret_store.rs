//! Where consumers find their keys: a store of secrets with versions, one of which is current.

use async_trait::async_trait;

use crate::domain::failure::Failure;
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;

/// Names a version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionRef<'a> {
    /// The version that consumers read.
    Current,
    Version(&'a VersionId),
}

/// A version that was read.
pub struct StoredVersion {
    pub version: VersionId,
    /// `None` if the version has no such field, or one that cannot be a key.
    pub value: Option<SecretValue>,
}

impl StoredVersion {
    #[must_use]
    pub fn served(held: Option<&Self>) -> Served {
        Served {
            version: held.map(|held| held.version.clone()),
            fingerprint: held.and_then(|held| held.value.as_ref()).map(SecretValue::fingerprint),
        }
    }
}

/// A version that was staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The version that was current when this one was staged, which it may replace. `None` if there was none.
    pub over: Option<VersionId>,
}

/// One store. With `json_field` the value is one field of a JSON secret. Other programs own its other fields: they are
/// preserved byte for byte, and a concurrent change of one is a conflict, never overwritten.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// The store's own name for the secret: the same for two destinations exactly if they are one secret. For a secret that
    /// does not exist, where it would be created. Changes nothing; reads no value.
    ///
    /// # Errors
    /// The store does not tell.
    async fn identity(&self, destination: &Destination) -> Result<String, Failure>;

    /// Reads what the destination serves, and checks that [`Self::stage`] would be permitted, as far as that is possible
    /// without a write. An empty result means that the secret would be created or filled.
    ///
    /// # Errors
    /// `NotFound`: the secret does not exist and may not be created. Nothing was changed.
    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure>;

    /// Writes `value` as the pending version named `version`. What consumers read does not change, except that the first
    /// version of an empty secret may become current at once. Repeatable with the same arguments.
    ///
    /// # Errors
    /// `Conflict`: the version exists with another content. After any other failure it is safe to repeat the call.
    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure>;

    /// Reads a version, current or not; `None` if it does not exist. Never from a cache.
    ///
    /// # Errors
    /// The version could not be read; whether it exists is unknown.
    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure>;

    /// Makes `version` current atomically if `displacing` is current, and leaves the displaced version readable. Succeeds
    /// if `version` is current already. Used by rotations and by rollbacks.
    ///
    /// # Errors
    /// `Conflict`: something else is current; nothing was changed. `NotFound`: the version does not exist.
    async fn promote(
        &self,
        destination: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
    ) -> Result<(), Failure>;

    /// Removes the pending mark of `version`, and its value where the store can. Never changes a current version. Succeeds
    /// if the version does not exist.
    ///
    /// # Errors
    /// It is safe to repeat the call.
    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure>;
}
