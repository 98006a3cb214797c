//! Where consumers find their keys: a store of secrets with versions, one of which is current.

use async_trait::async_trait;

use crate::domain::failure::Failure;
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;

/// VersionRef version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionRef<'a> {
    /// The one that consumers are served.
    Current,
    Version(&'a VersionId),
}

/// A version that was read.
pub struct StoredVersion {
    pub version: VersionId,
    /// `None` if the version is there but has no such field, or one that cannot be a key.
    pub value: Option<SecretValue>,
}

impl StoredVersion {
    #[must_use]
    pub fn standing(held: Option<&Self>) -> Served {
        Served {
            version: held.map(|held| held.version.clone()),
            fingerprint: held.and_then(|held| held.value.as_ref()).map(SecretValue::fingerprint),
        }
    }
}

/// A version that was staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The version that was current when this one was made: the one that it may replace. `None` if there was none.
    pub over: Option<VersionId>,
}

/// One store. A destination's `json_field` makes the value one field of a JSON secret whose other fields are the
/// business of others: they are preserved byte for byte, and a change of theirs is a conflict, never an overwrite.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Reads what the destination serves, and checks, as far as that is possible without changing anything, that
    /// [`Self::stage`] would be permitted. An empty standing means that it would be created, or filled.
    ///
    /// # Errors
    /// `NotFound`: there is no such secret and the destination does not allow to create it. Nothing was changed.
    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure>;

    /// Writes `value` as the pending version named `version`. What consumers are served does not change, except that
    /// the first version of an empty secret may become current at once. Repeatable with the same arguments.
    ///
    /// # Errors
    /// `Conflict`: the version exists with another content. By certainty otherwise; repeating is safe in any case.
    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure>;

    /// Reads a version, current or not; `None` if it is not there. Never from a cache.
    ///
    /// # Errors
    /// Nothing is known.
    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure>;

    /// Makes `version` current in one step if `displacing` is current, and leaves the displaced one readable. That
    /// `version` is current already is success. Used for the way there and for the way back.
    ///
    /// # Errors
    /// `Conflict`: something else is current; nothing was changed. `NotFound`: the version does not exist.
    async fn promote(
        &self,
        destination: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
    ) -> Result<(), Failure>;

    /// Removes what marks `version` as pending, and its value where the store can; never touches a current version.
    /// Repeatable; that it is not there is success.
    ///
    /// # Errors
    /// By certainty; repeating is safe.
    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure>;
}
