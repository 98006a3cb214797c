//! The issuer and usage ports over an imagined workspace, with hooks around each call.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::ServiceAccountId;
use crate::domain::key::{Inventory, Key, KeyRequest};
use crate::domain::secret::SecretValue;
use crate::domain::sharing::SharingGroups;
use crate::domain::time::later;
use crate::domain::usage::{Reading, Source};
use crate::ports::clock::Clock as _;
use crate::ports::issuer::{Issuer, Minted};
use crate::ports::usage::UsageSource;
use crate::rehearsal::hooks::{Hooks, Operation, ProviderCall};
use crate::rehearsal::workspace::Workspace;
use crate::rehearsal::workspace::key::settings;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::settings::Settings;
use crate::sandbox::workspace::Workspace as Model;

#[derive(Clone)]
pub struct Client {
    workspace: Arc<Workspace>,
    hooks: Arc<dyn Hooks>,
}

impl Client {
    #[must_use]
    pub fn new(workspace: Arc<Workspace>, hooks: Arc<dyn Hooks>) -> Self {
        Self { workspace, hooks }
    }

    async fn before(&self, call: ProviderCall<'_>) -> Result<(), Failure> {
        self.hooks.before(Operation::Provider(&self.workspace.name, call)).await
    }

    async fn after(&self, call: ProviderCall<'_>) -> Result<(), Failure> {
        self.hooks.after(Operation::Provider(&self.workspace.name, call)).await
    }

    async fn change(
        &self,
        call: ProviderCall<'_>,
        change: impl FnOnce(&mut Model, Timestamp) -> Result<(), Refusal> + Send,
    ) -> Result<(), Failure> {
        self.before(call).await?;
        self.workspace.change(change)?;
        self.after(call).await
    }
}

#[async_trait]
impl Issuer for Client {
    async fn inventory(&self) -> Result<Inventory, Failure> {
        self.before(ProviderCall::List).await?;
        let inventory = self.workspace.inventory(self.hooks.listing_lag());
        self.after(ProviderCall::List).await?;
        Ok(inventory)
    }

    async fn create_account(&self, name: &str, groups: &SharingGroups) -> Result<ServiceAccountId, Failure> {
        self.before(ProviderCall::CreateAccount(name)).await?;
        let lag = self.hooks.listing_lag();
        let made = self.workspace.create_account(name, groups.clone(), lag)?;
        self.after(ProviderCall::CreateAccount(name)).await?;
        Ok(made)
    }

    async fn create(
        &self,
        account: &ServiceAccountId,
        name: &str,
        request: &KeyRequest,
    ) -> Result<Minted, Failure> {
        self.before(ProviderCall::Create { account, made: None }).await?;
        let mut attributes = request.attributes.clone();
        let lag = self.hooks.on_create(name, &mut attributes);
        let made = self.workspace.create_key(account, settings(name, attributes, request.expires_at), lag)?;
        self.after(ProviderCall::Create { account, made: Some(&made.key) }).await?;
        let value = SecretValue::new(made.value);
        let value = value.map_err(|error| Failure::rejected(Kind::Invalid, error.to_string()))?;
        Ok(Minted { key: made.key.id, value })
    }

    async fn authenticate(&self, value: &SecretValue) -> Result<(), Failure> {
        self.before(ProviderCall::Authenticate(value)).await?;
        let accepted = self.workspace.accepts(&value.fingerprint());
        self.after(ProviderCall::Authenticate(value)).await?;
        if accepted { Ok(()) } else { Err(Failure::rejected(Kind::NotActiveYet, "the key is not accepted")) }
    }

    async fn prove_admin(&self, value: &SecretValue) -> Result<(), Failure> {
        self.before(ProviderCall::ProveAdmin(value)).await?;
        self.after(ProviderCall::ProveAdmin(value)).await
    }

    async fn disable(&self, key: &Key) -> Result<(), Failure> {
        let id = key.id.as_str();
        self.change(ProviderCall::Disable(key), |model, now| model.disable_key(id, None, now)).await
    }

    async fn enable(&self, key: &Key) -> Result<(), Failure> {
        let id = key.id.as_str();
        self.change(ProviderCall::Enable(key), |model, now| model.enable_key(id, now)).await
    }

    async fn set_expiry(&self, key: &Key, at: Option<Timestamp>) -> Result<(), Failure> {
        let (id, at) = (key.id.as_str(), at.map(Timestamp::as_second));
        let change = |settings: &mut Settings| settings.expires_at = at;
        self.change(ProviderCall::SetExpiry(key), |model, now| model.change_key(id, now, change)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), Failure> {
        self.change(ProviderCall::Delete(key), |model, now| match model.delete_key(key.id.as_str(), now) {
            Err(Refusal::KeyNotFound) => Ok(()),
            deleted => deleted,
        })
        .await
    }
}

#[async_trait]
impl UsageSource for Client {
    async fn usage(&self, leaving: &[Key], staying: &[Key], since: Timestamp) -> Vec<Reading> {
        let keys = [leaving, staying].concat();
        let clock = &self.workspace.clock;
        let shown = match self.before(ProviderCall::Usage).await {
            Ok(()) => self.hooks.usage_is_visible(),
            Err(failure) => Err(failure.to_string()),
        };
        let since_in_truth = later(since, clock.truth().duration_since(clock.now()));
        let keys = if shown == Ok(true) { keys.as_slice() } else { &[] };
        let uses = shown.map(|_| self.workspace.uses(keys, since_in_truth));
        vec![Reading { source: Source::UsageByKey, at: clock.now(), since, uses, untold: BTreeMap::new() }]
    }

    async fn canary(&self, value: &SecretValue, voice: &str) -> Result<(), Failure> {
        self.before(ProviderCall::Canary(value, voice)).await?;
        self.after(ProviderCall::Canary(value, voice)).await
    }
}
