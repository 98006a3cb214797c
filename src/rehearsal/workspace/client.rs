//! The issuer and usage ports over an imagined workspace, with hooks around each call.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::ServiceAccountId;
use crate::domain::key::{Inventory, Key, KeyRequest};
use crate::domain::secret::SecretValue;
use crate::domain::time::later;
use crate::domain::usage::{Reading, Source};
use crate::ports::clock::Clock as _;
use crate::ports::issuer::{Issuer, Minted};
use crate::ports::usage::UsageSource;
use crate::rehearsal::hooks::{Hooks, Operation, ProviderCall};
use crate::rehearsal::workspace::Workspace;

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
        key: &Key,
        change: impl FnOnce(&mut Key) + Send,
    ) -> Result<(), Failure> {
        self.before(call).await?;
        self.workspace.change_key(&key.id, change)?;
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

    async fn create(
        &self,
        account: &ServiceAccountId,
        name: &str,
        request: &KeyRequest,
    ) -> Result<Minted, Failure> {
        self.before(ProviderCall::Create { account, made: None }).await?;
        let mut attributes = request.attributes.clone();
        let lag = self.hooks.on_create(name, &mut attributes);
        let made = self.workspace.create_key(account, name, attributes, request.expires_at, lag);
        self.after(ProviderCall::Create { account, made: made.as_ref().map(|made| &made.key) }).await?;
        let minted = made
            .and_then(|made| Some(Minted { key: made.key.id, value: SecretValue::new(made.value).ok()? }));
        minted.ok_or_else(|| Failure::rejected(Kind::Invalid, "no such key can be imagined"))
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
        self.change(ProviderCall::Disable(key), key, |key| key.enabled = false).await
    }

    async fn enable(&self, key: &Key) -> Result<(), Failure> {
        self.change(ProviderCall::Enable(key), key, |key| key.enabled = true).await
    }

    async fn set_expiry(&self, key: &Key, at: Option<Timestamp>) -> Result<(), Failure> {
        self.change(ProviderCall::SetExpiry(key), key, |key| key.expires_at = at).await
    }

    async fn delete(&self, key: &Key) -> Result<(), Failure> {
        self.before(ProviderCall::Delete(key)).await?;
        self.workspace.delete_key(&key.id);
        self.after(ProviderCall::Delete(key)).await
    }
}

#[async_trait]
impl UsageSource for Client {
    async fn usage(&self, keys: &[Key], since: Timestamp) -> Vec<Reading> {
        let clock = &self.workspace.clock;
        let shown = match self.before(ProviderCall::Usage).await {
            Ok(()) => self.hooks.usage_is_visible(),
            Err(failure) => Err(failure.to_string()),
        };
        let since_in_truth = later(since, clock.truth().duration_since(clock.now()));
        let keys = if shown == Ok(true) { keys } else { &[] };
        let uses = shown.map(|_| self.workspace.uses(keys, since_in_truth));
        vec![Reading { source: Source::UsageByKey, at: clock.now(), since, uses }]
    }

    async fn canary(&self, value: &SecretValue, voice: &str) -> Result<(), Failure> {
        self.before(ProviderCall::Canary(value, voice)).await?;
        self.after(ProviderCall::Canary(value, voice)).await
    }
}
