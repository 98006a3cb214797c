//! Decorators that count each call to a port, with its outcome and duration, and queue its span. A cancelled call is not
//! counted.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::call_context;
use crate::domain::audit::compare::WorkspaceLogEntry;
use crate::domain::failure::Failure;
use crate::domain::ids::{ServiceAccountId, StoreName, VersionId, WorkspaceName};
use crate::domain::key::{Inventory, Key, KeyRequest};
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::sharing::SharingGroups;
use crate::domain::successor::Served;
use crate::domain::usage::Reading;
use crate::ports::issuer::{Issuer, Minted};
use crate::ports::secret_store::{SecretStore, Staged, StoredVersion, VersionRef};
use crate::ports::usage::UsageSource;
use crate::ports::workspace_log::WorkspaceLog;
use crate::telemetry::meter::{Meter, Operation, Outcome, Route};
use crate::telemetry::traces::call::CallTarget;

/// A workspace with a meter.
pub struct MeteredWorkspace<W> {
    inner: W,
    name: WorkspaceName,
    meter: Arc<Meter>,
}

/// A store with a meter.
pub struct MeteredStore {
    inner: Arc<dyn SecretStore>,
    name: StoreName,
    meter: Arc<Meter>,
}

impl<W> MeteredWorkspace<W> {
    #[must_use]
    pub fn new(inner: W, name: WorkspaceName, meter: Arc<Meter>) -> Self {
        Self { inner, name, meter }
    }

    async fn count<T>(
        &self,
        route: Route,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let (result, record) = call_context::record_call(call).await;
        let target = CallTarget::Workspace(self.name.as_str(), route);
        self.meter.called(target, &record, outcome(&result), result.as_ref().err());
        result
    }
}

impl MeteredStore {
    #[must_use]
    pub fn new(inner: Arc<dyn SecretStore>, name: StoreName, meter: Arc<Meter>) -> Self {
        Self { inner, name, meter }
    }

    async fn count<T>(
        &self,
        operation: Operation,
        destination: &Destination,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let (result, record) = call_context::record_call(call).await;
        let target = CallTarget::Store(self.name.as_str(), operation);
        self.meter.called(target, &record, outcome(&result), result.as_ref().err());
        self.meter.placed(self.name.as_str(), &destination.secret, outcome(&result));
        result
    }
}

fn outcome<T>(result: &Result<T, Failure>) -> Outcome {
    result.as_ref().err().map_or(Outcome::Ok, |failure| Outcome::Failed(failure.kind))
}

#[async_trait]
impl<W: Issuer> Issuer for MeteredWorkspace<W> {
    async fn inventory(&self) -> Result<Inventory, Failure> {
        self.count(Route::List, self.inner.inventory()).await
    }

    async fn create_account(&self, name: &str, groups: &SharingGroups) -> Result<ServiceAccountId, Failure> {
        self.count(Route::CreateAccount, self.inner.create_account(name, groups)).await
    }

    async fn create(
        &self,
        account: &ServiceAccountId,
        name: &str,
        request: &KeyRequest,
    ) -> Result<Minted, Failure> {
        self.count(Route::Create, self.inner.create(account, name, request)).await
    }

    async fn authenticate(&self, value: &SecretValue) -> Result<(), Failure> {
        self.count(Route::Authenticate, self.inner.authenticate(value)).await
    }

    async fn prove_admin(&self, value: &SecretValue) -> Result<(), Failure> {
        self.count(Route::ProveAdmin, self.inner.prove_admin(value)).await
    }

    async fn disable(&self, key: &Key) -> Result<(), Failure> {
        self.count(Route::Disable, self.inner.disable(key)).await
    }

    async fn enable(&self, key: &Key) -> Result<(), Failure> {
        self.count(Route::Enable, self.inner.enable(key)).await
    }

    async fn set_expiry(&self, key: &Key, at: Option<Timestamp>) -> Result<(), Failure> {
        self.count(Route::SetExpiry, self.inner.set_expiry(key, at)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), Failure> {
        self.count(Route::Delete, self.inner.delete(key)).await
    }

    fn silent_until(&self) -> Option<Timestamp> {
        self.inner.silent_until()
    }
}

#[async_trait]
impl<W: UsageSource> UsageSource for MeteredWorkspace<W> {
    async fn usage(&self, leaving: &[Key], staying: &[Key], since: Timestamp) -> Vec<Reading> {
        let (readings, record) = call_context::record_call(self.inner.usage(leaving, staying, since)).await;
        let has_reading = readings.iter().any(|reading| reading.uses.is_ok());
        let outcome = if has_reading { Outcome::Ok } else { Outcome::NoEvidence };
        self.meter.called(CallTarget::Workspace(self.name.as_str(), Route::Usage), &record, outcome, None);
        readings
    }

    async fn canary(&self, value: &SecretValue, voice: &str) -> Result<(), Failure> {
        self.count(Route::Canary, self.inner.canary(value, voice)).await
    }
}

#[async_trait]
impl<W: WorkspaceLog> WorkspaceLog for MeteredWorkspace<W> {
    async fn entries(&self, since: Timestamp) -> Result<Vec<WorkspaceLogEntry>, Failure> {
        self.count(Route::AuditLog, self.inner.entries(since)).await
    }
}

#[async_trait]
impl SecretStore for MeteredStore {
    /// Counted with the checks that it is a part of.
    async fn identity(&self, destination: &Destination) -> Result<String, Failure> {
        self.count(Operation::Preflight, destination, self.inner.identity(destination)).await
    }

    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure> {
        self.count(Operation::Preflight, destination, self.inner.preflight(destination)).await
    }

    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        self.count(Operation::Stage, destination, self.inner.stage(destination, version, value)).await
    }

    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure> {
        self.count(Operation::Read, destination, self.inner.read(destination, which)).await
    }

    async fn promote(
        &self,
        destination: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
    ) -> Result<(), Failure> {
        self.count(Operation::Promote, destination, self.inner.promote(destination, version, displacing))
            .await
    }

    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure> {
        self.count(Operation::Discard, destination, self.inner.discard(destination, version)).await
    }
}
