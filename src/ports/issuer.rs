//! The issuer of keys: one ElevenLabs workspace, called with its admin key.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::failure::Failure;
use crate::domain::ids::{KeyId, ServiceAccountId};
use crate::domain::key::{Inventory, Key, KeyRequest};
use crate::domain::secret::{Fingerprint, SecretValue};
use crate::domain::sharing::SharingGroups;

/// A key just created, with the value that is shown this once.
pub struct Minted {
    pub key: KeyId,
    pub value: SecretValue,
}

/// The admin key that a workspace's calls are made with. The adapter reads it for each call, and the engine exchanges it
/// where the admin key is itself rotated. Not durable.
pub struct AdminKey {
    in_use: RwLock<InUse>,
}

struct InUse {
    value: SecretValue,
    /// Calls that were sent with it may still be answered.
    before: Option<SecretValue>,
}

impl AdminKey {
    #[must_use]
    pub fn new(value: SecretValue) -> Arc<Self> {
        Arc::new(Self { in_use: RwLock::new(InUse { value, before: None }) })
    }

    #[must_use]
    pub fn value(&self) -> SecretValue {
        self.in_use.read().unwrap_or_else(PoisonError::into_inner).value.clone()
    }

    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.value().fingerprint()
    }

    /// Every value that a response could hold.
    #[must_use]
    pub fn values(&self) -> Vec<SecretValue> {
        let in_use = self.in_use.read().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&in_use.value).chain(&in_use.before).cloned().collect()
    }

    /// Calls that are sent from here on are made with `value`. Repeatable.
    pub fn exchange(&self, value: SecretValue) {
        let mut in_use = self.in_use.write().unwrap_or_else(PoisonError::into_inner);
        let before = Some(std::mem::replace(&mut in_use.value, value));
        in_use.before = before;
    }
}

/// A workspace's keys.
///
/// No method repeats a call that could have had an effect twice. Each has its own time limit. A failure of kind
/// `Unauthenticated` always speaks of the admin key, never of the key acted on.
#[async_trait]
pub trait Issuer: Send + Sync {
    /// Lists every service account with every key, now: never from a cache.
    ///
    /// # Errors
    /// Nothing is known. An answer that may be incomplete (a page of a pagination that we do not know) is `Garbled`.
    async fn inventory(&self) -> Result<Inventory, Failure>;

    /// Creates one service account named `name` with these sharing groups. Sent once, whatever happens to the answer.
    ///
    /// # Errors
    /// `Rejected`: no account was created; `LimitReached` if the workspace may have no more. `Unknown`: there may be one,
    /// with this name.
    async fn create_account(&self, name: &str, groups: &SharingGroups) -> Result<ServiceAccountId, Failure>;

    /// Creates one key named `name`, with exactly the permissions and limits of `request`. Sent once, whatever happens to the answer.
    ///
    /// # Errors
    /// `Rejected`: no key was created. `Unknown`: there may be one, with this name; its value is lost, so it has to be
    /// found by its name and deleted.
    async fn create(
        &self,
        account: &ServiceAccountId,
        name: &str,
        request: &KeyRequest,
    ) -> Result<Minted, Failure>;

    /// Makes one harmless call that is free of charge with `value`, to see whether the provider accepts it. A refusal
    /// for want of a permission or of credits proves that the key itself is accepted.
    ///
    /// # Errors
    /// `NotActiveYet`: the provider does not know the key (yet). `Forbidden`: it knows the key and refuses this
    /// machine's address. Any other kind: nothing was learnt about the key.
    async fn authenticate(&self, value: &SecretValue) -> Result<(), Failure>;

    /// Lists the workspace with `value`, to see whether that could be the admin key.
    ///
    /// # Errors
    /// `NotActiveYet`: the provider does not know the key (yet). `Forbidden`: it knows the key, which may not
    /// administer, or not from here. Any other kind: nothing was learnt about the key.
    async fn prove_admin(&self, value: &SecretValue) -> Result<(), Failure>;

    /// Makes the provider refuse the key, reversibly. `key` is from a listing made just before. Repeatable.
    ///
    /// # Errors
    /// `NotFound`: the key is gone. Otherwise by certainty.
    async fn disable(&self, key: &Key) -> Result<(), Failure>;

    /// Makes the provider accept the key again, and changes nothing else of it. Repeatable.
    ///
    /// # Errors
    /// As of [`Self::disable`].
    async fn enable(&self, key: &Key) -> Result<(), Failure>;

    /// Has the key expire at `at`, or never, and changes nothing else of it. `at` is in whole seconds and within the
    /// provider's bounds. Repeatable. Whether it was done is for a listing to say: a workspace that does not know
    /// expiry may accept the call and ignore it.
    ///
    /// # Errors
    /// `Invalid`: the workspace cannot do it. `NotFound`: the key is gone. Otherwise by certainty.
    async fn set_expiry(&self, key: &Key, at: Option<Timestamp>) -> Result<(), Failure>;

    /// Deletes the key for ever. Repeatable: that it is gone already is success.
    ///
    /// # Errors
    /// By certainty. Whether the key is gone is for a listing to say.
    async fn delete(&self, key: &Key) -> Result<(), Failure>;

    /// Until when the provider wants no calls, if it said so: only those of the safety lane are sent before.
    fn silent_until(&self) -> Option<Timestamp> {
        None
    }
}
