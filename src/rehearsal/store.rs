//! An imagined secret store: the memory store, with hooks around each call.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::adapters::memory::store::{FirstVersion, MemoryStore};
use crate::domain::failure::Failure;
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;
use crate::ports::secret_store::{SecretStore, Staged, StoredVersion, VersionRef};
use crate::ports::store_kind::{StoreKind, StoreOperation};
use crate::rehearsal::hooks::{Hooks, Operation, StoreCall};

pub struct Store {
    pub memory: Arc<MemoryStore>,
    kind: &'static StoreKind,
    hooks: Arc<dyn Hooks>,
    /// Destinations that were checked and not written since: AWS's adapter remembers what it saw.
    checked: Mutex<BTreeSet<Destination>>,
}

/// What stores of a kind do with the first version of an empty secret.
#[must_use]
pub fn first_version(kind: &StoreKind) -> FirstVersion {
    if kind.serves_first_version { FirstVersion::Current } else { FirstVersion::Pending }
}

impl Store {
    #[must_use]
    pub fn new(memory: Arc<MemoryStore>, kind: &'static StoreKind, hooks: Arc<dyn Hooks>) -> Self {
        Self { memory, kind, hooks, checked: Mutex::default() }
    }

    async fn call<T: Send>(
        &self,
        destination: &Destination,
        call: StoreCall,
        operation: StoreOperation,
        effect: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, Failure> {
        let requests = (self.kind.calls)(operation);
        let operation = Operation::Store(destination, call, &requests);
        self.hooks.before(operation).await?;
        let result = effect.await;
        self.hooks.after(operation).await?;
        result
    }

    fn exists(&self, to: &Destination) -> bool {
        self.memory.text(&to.secret).is_some()
    }

    /// Whether the destination was checked before; from now on it is, or is not.
    fn was_checked(&self, to: &Destination, now: bool) -> bool {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if now { !checked.insert(to.clone()) } else { checked.remove(to) }
    }
}

#[async_trait]
impl SecretStore for Store {
    async fn identity(&self, destination: &Destination) -> Result<String, Failure> {
        self.memory.identity(destination).await
    }

    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure> {
        let operation = StoreOperation::Preflight { exists: self.exists(destination) };
        self.was_checked(destination, true);
        let effect = async { self.memory.preflight_late(destination, self.hooks.store_lag()) };
        self.call(destination, StoreCall::Check, operation, effect).await
    }

    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        let after_preflight = self.was_checked(destination, false);
        let operation = StoreOperation::Stage { exists: self.exists(destination), after_preflight };
        let effect = async { self.memory.stage_late(destination, version, value, self.hooks.store_lag()) };
        self.call(destination, StoreCall::Stage, operation, effect).await
    }

    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure> {
        let effect = async { Ok(self.memory.read_late(destination, which, self.hooks.store_lag())) };
        self.call(destination, StoreCall::Read, StoreOperation::Read, effect).await
    }

    async fn promote(
        &self,
        destination: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
    ) -> Result<(), Failure> {
        let current = self.memory.read(destination, VersionRef::Current).await?;
        let is_current = current.is_some_and(|current| current.version == *version);
        let effect = self.memory.promote(destination, version, displacing);
        self.call(destination, StoreCall::Promote, StoreOperation::Promote { is_current }, effect).await
    }

    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure> {
        let effect = self.memory.discard(destination, version);
        self.call(destination, StoreCall::Discard, StoreOperation::Discard, effect).await
    }
}
