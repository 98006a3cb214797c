//! What a kind of store declares about itself, once, in its adapter's folder. `src/stores.rs` lists the kinds; nothing
//! else in the program distinguishes them.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::examination::{CheckResult, StoreCheck};
use crate::domain::failure::Failure;
use crate::domain::ids::CredentialName;
use crate::domain::place::Place;
use crate::domain::plan::Destination;
use crate::ports::access_policy::{AccessPolicyForm, AccessScope, Grant};
use crate::ports::followed::FollowForm;
use crate::ports::secret_store::SecretStore;

/// What holds for every store of one kind.
#[derive(Debug)]
pub struct StoreKind {
    /// The key of its table in `[stores.NAME]`, and the name of its folder.
    pub key: &'static str,
    /// What a sentence calls such a store.
    pub title: &'static str,
    /// How the agent follows a secret of such a store; `None` if it cannot.
    pub followed: Option<FollowForm>,
    /// Which names a secret can have in the store.
    pub name_rule: NameRule,
    /// Whether rekeyd alone fills the store: secrets are created by default, and `create = false` is a warning.
    pub is_filled_by_rekeyd: bool,
    pub version_quota: Option<VersionQuota>,
    /// Whether the first version of an empty secret becomes current when it is staged.
    pub serves_first_version: bool,
    /// The calls that an operation makes where nothing goes wrong, for commands that show calls without making them.
    pub calls: fn(StoreOperation) -> Vec<&'static str>,
    /// What `rekeyd doctor` examines.
    pub checks: &'static [StoreCheck],
    /// What `rekeyd doctor --write-probe` does in such a store.
    pub write_probe: &'static str,
    /// How an operator permits what rekeyd does in such a store: see [`StoreConfig::grants`]; `None` if nothing has to be
    /// permitted.
    pub access_policy: Option<AccessPolicyForm>,
    /// How `rekeyd init` writes such a store; `None` if it cannot.
    pub init: Option<InitForm>,
}

/// How many versions of one secret a store takes within a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionQuota {
    pub per_day: u32,
    /// The service that refuses more.
    pub service: &'static str,
}

/// Which names a store accepts, and what an operator reads about any other.
#[derive(Debug, Clone, Copy)]
pub struct NameRule {
    pub accepts: fn(&str) -> bool,
    pub rule: &'static str,
    pub help: &'static str,
}

/// An operation of the port, with everything that its calls depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOperation {
    /// `exists`: the secret is there and has a current version.
    Preflight {
        exists: bool,
    },
    /// `after_preflight`: nothing was written since the preflight.
    Stage {
        exists: bool,
        after_preflight: bool,
    },
    Read,
    /// `is_current`: the version is current already.
    Promote {
        is_current: bool,
    },
    Discard,
}

/// How `rekeyd init --store SCHEME:VALUE` writes a store into a first policy.
#[derive(Debug)]
pub struct InitForm {
    pub scheme: &'static str,
    /// What VALUE is called, such as `REGION`.
    pub value: &'static str,
    pub accepts: fn(&str) -> bool,
    /// What to write where VALUE is not accepted.
    pub help: &'static str,
    /// The store's name in the policy.
    pub store_name: &'static str,
    /// The key of the store's table that VALUE is written to.
    pub key: &'static str,
    /// Whether `--prefix` stands before the names of its secrets.
    pub is_prefixed: bool,
}

/// A store of the policy, checked. It holds no secret.
#[async_trait]
pub trait StoreConfig: Debug + Send + Sync {
    fn kind(&self) -> &'static StoreKind;

    /// The local directory that the store writes to; no other store of the policy may have the same one.
    fn directory(&self) -> Option<&Path> {
        None
    }

    /// Where a secret of the store is, as far as the policy tells. Reads nothing.
    fn place(&self, secret: &str) -> Place;

    /// Connects for reading and writing, as the daemon does: what only one process may write is its own until it ends.
    ///
    /// # Errors
    /// The store cannot be used as it is configured, or another process owns it.
    async fn open(&self) -> Result<Arc<dyn SecretStore>, Failure>;

    /// Connects for reading only: creates and removes nothing.
    ///
    /// # Errors
    /// The store cannot be used as it is configured.
    async fn open_read_only(&self) -> Result<Arc<dyn SecretStore>, Failure> {
        self.open().await
    }

    /// Examines the store and its secrets for `rekeyd doctor`. Changes nothing that consumers read.
    async fn examine(&self, examination: &Examination) -> Vec<CheckResult>;

    /// What an operator has to permit so that rekeyd can publish to `destinations`; nothing for most stores.
    fn grants(&self, _destinations: &[&Destination], _scope: &AccessScope) -> Vec<Grant> {
        Vec::new()
    }
}

/// What an examination of a store is about.
#[derive(Debug, Clone)]
pub struct Examination {
    /// How findings name the store.
    pub about: String,
    /// Each destination in the store, with the credentials that are published there.
    pub destinations: Vec<(Destination, Vec<CredentialName>)>,
    /// Whether calls may be made that write without changing anything.
    pub write_probe: bool,
    /// Limits one call.
    pub time_limit: Duration,
    pub now: Timestamp,
}

/// How findings name a destination.
#[must_use]
pub fn about_destination(destination: &Destination, users: &[CredentialName]) -> String {
    let users: Vec<&str> = users.iter().map(CredentialName::as_str).collect();
    format!("{destination} ({})", users.join(", "))
}
