//! An imagined secret store: the memory store, and in the ledger what its kind would be called with.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::adapters::memory::store::{FirstVersion, MemoryStore};
use crate::domain::failure::Failure;
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;
use crate::ports::clock::Clock as _;
use crate::ports::secret_store::{SecretStore, Staged, StoredVersion, VersionRef};
use crate::ports::store_kind::{StoreKind, StoreOperation};
use crate::rehearsal::call_log::CallLog;
use crate::rehearsal::clock::VirtualClock;
use crate::rehearsal::crash::Fuse;

pub(super) struct Shelf {
    pub(super) memory: MemoryStore,
    kind: &'static StoreKind,
    clock: VirtualClock,
    ledger: CallLog,
    fuse: Fuse,
    /// Destinations that were looked at and not written since: AWS's adapter remembers what it saw.
    looked: Mutex<BTreeSet<Destination>>,
    /// Something else is served than before.
    pub(super) changed: Arc<Notify>,
}

impl Shelf {
    pub(super) fn new(
        kind: &'static StoreKind,
        clock: VirtualClock,
        ledger: CallLog,
        fuse: Fuse,
        changed: Arc<Notify>,
    ) -> Self {
        let first = if kind.serves_first_version { FirstVersion::Current } else { FirstVersion::Pending };
        let memory = MemoryStore::new(first);
        Self { memory, kind, clock, ledger, fuse, looked: Mutex::default(), changed }
    }

    async fn note(&self, to: &Destination, operation: StoreOperation) {
        self.fuse.before(self.clock.now()).await;
        self.ledger.stored(self.clock.now(), to, &(self.kind.calls)(operation));
    }

    fn exists(&self, to: &Destination) -> bool {
        self.memory.text(&to.secret).is_some()
    }

    fn has_looked(&self, to: &Destination, now: bool) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if now { looked.insert(to.clone()) } else { looked.remove(to) }
    }
}

#[async_trait]
impl SecretStore for Shelf {
    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure> {
        self.note(destination, StoreOperation::Preflight { exists: self.exists(destination) }).await;
        self.has_looked(destination, true);
        self.memory.preflight(destination).await
    }

    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        let after_preflight = self.has_looked(destination, false);
        let exists = self.exists(destination);
        self.note(destination, StoreOperation::Stage { exists, after_preflight }).await;
        let staged = self.memory.stage(destination, version, value).await;
        self.fuse.after(self.clock.now()).await;
        staged
    }

    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure> {
        self.note(destination, StoreOperation::Read).await;
        self.memory.read(destination, which).await
    }

    async fn promote(
        &self,
        destination: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
    ) -> Result<(), Failure> {
        let current = self.memory.read(destination, VersionRef::Current).await?;
        let is_current = current.is_some_and(|held| held.version == *version);
        self.note(destination, StoreOperation::Promote { is_current }).await;
        self.memory.promote(destination, version, displacing).await?;
        self.changed.notify_one();
        self.fuse.after(self.clock.now()).await;
        Ok(())
    }

    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure> {
        self.note(destination, StoreOperation::Discard).await;
        self.memory.discard(destination, version).await
    }
}
