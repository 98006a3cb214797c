//! An imagined secret store: the memory store, and in the ledger what its kind would be called with.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::adapters::aws_secrets_manager::wire::{self, There};
use crate::adapters::memory::store::{FirstVersion, MemoryStore};
use crate::domain::failure::Failure;
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;
use crate::ports::clock::Clock as _;
use crate::ports::secret_store::{SecretStore, Staged, StoredVersion, VersionRef};
use crate::rehearsal::StoreKind;
use crate::rehearsal::call_log::CallLog;
use crate::rehearsal::clock::VirtualClock;
use crate::rehearsal::crash::Fuse;

pub(super) struct Shelf {
    pub(super) memory: MemoryStore,
    kind: StoreKind,
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
        kind: StoreKind,
        clock: VirtualClock,
        ledger: CallLog,
        fuse: Fuse,
        changed: Arc<Notify>,
    ) -> Self {
        let first = match kind {
            StoreKind::AwsSecretsManager => FirstVersion::Current,
            StoreKind::Directory => FirstVersion::Pending,
        };
        let memory = MemoryStore::new(first);
        Self { memory, kind, clock, ledger, fuse, looked: Mutex::default(), changed }
    }

    async fn note(&self, to: &Destination, aws: &[&'static str], here: &'static str) {
        self.fuse.before(self.clock.now()).await;
        let operations = match self.kind {
            StoreKind::AwsSecretsManager => aws,
            StoreKind::Directory => &[here],
        };
        self.ledger.stored(self.clock.now(), to, operations);
    }

    fn there(&self, to: &Destination) -> There {
        if self.memory.text(&to.secret).is_some() { There::Version } else { There::Nothing }
    }

    fn has_looked(&self, to: &Destination, now: bool) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if now { looked.insert(to.clone()) } else { looked.remove(to) }
    }
}

#[async_trait]
impl SecretStore for Shelf {
    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure> {
        self.note(destination, wire::preflight(self.there(destination)), "check").await;
        self.has_looked(destination, true);
        self.memory.preflight(destination).await
    }

    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        let looked = self.has_looked(destination, false);
        self.note(destination, &wire::stage(self.there(destination), looked), "stage").await;
        let staged = self.memory.stage(destination, version, value).await;
        self.fuse.after(self.clock.now()).await;
        staged
    }

    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure> {
        self.note(destination, wire::read(), "read").await;
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
        self.note(destination, wire::promote(is_current), "promote").await;
        self.memory.promote(destination, version, displacing).await?;
        self.changed.notify_one();
        self.fuse.after(self.clock.now()).await;
        Ok(())
    }

    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure> {
        self.note(destination, wire::discard(), "discard").await;
        self.memory.discard(destination, version).await
    }
}
