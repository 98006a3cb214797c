//! The stores of the simulation: the memory store, with everything that can go wrong on the way to it.

use std::sync::Arc;

use async_trait::async_trait;
use rekeyd::adapters::memory::store::MemoryStore;
use rekeyd::domain::failure::Failure;
use rekeyd::domain::ids::VersionId;
use rekeyd::domain::plan::Destination;
use rekeyd::domain::secret::SecretValue;
use rekeyd::domain::successor::Served;
use rekeyd::ports::secret_store::{SecretStore, Staged, StoredVersion, VersionRef};

use super::fate::Fate;
use super::witness::Witness;

/// A store's door for one life of the process.
pub(super) struct Shelf {
    pub(super) store: Arc<MemoryStore>,
    pub(super) fate: Arc<Fate>,
    pub(super) witness: Arc<Witness>,
    pub(super) life: u64,
}

#[async_trait]
impl SecretStore for Shelf {
    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure> {
        self.fate.before(self.life, "preflight").await?;
        let standing = self.store.preflight(destination).await;
        self.fate.after(self.life, "preflight").await?;
        standing
    }

    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        self.fate.before(self.life, "stage").await?;
        let staged = self.store.stage(destination, version, value).await;
        self.witness.look();
        self.fate.after(self.life, "stage").await?;
        staged
    }

    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure> {
        self.fate.before(self.life, "read").await?;
        let held = self.store.read(destination, which).await;
        self.fate.after(self.life, "read").await?;
        held
    }

    async fn promote(
        &self,
        destination: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
    ) -> Result<(), Failure> {
        self.fate.before(self.life, "promote").await?;
        let promoted = self.store.promote(destination, version, displacing).await;
        self.witness.look();
        self.fate.after(self.life, "promote").await?;
        promoted
    }

    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure> {
        self.fate.before(self.life, "discard").await?;
        let discarded = self.store.discard(destination, version).await;
        self.fate.after(self.life, "discard").await?;
        discarded
    }
}
