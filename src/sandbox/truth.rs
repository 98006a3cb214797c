//! The complete state of the workspace, for tests: every key that ever existed, the calls made with it, and orphans. The
//! provider's API shows none of this.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::Nonce;
use crate::domain::secret::Fingerprint;
use crate::domain::sharing::SharingGroups;
use crate::sandbox::api_version::ApiVersion;
use crate::sandbox::key::{Calls, State, StoredKey};
use crate::sandbox::route::Route;
use crate::sandbox::workspace::Workspace;

/// Everything that the workspace knows at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    pub now: Timestamp,
    pub api_version: ApiVersion,
    pub workspace_id: String,
    pub accounts: Vec<AccountTruth>,
    /// The admin key; it has no account.
    pub admin: Option<KeyTruth>,
    /// Requests that arrived, by route.
    pub requests: BTreeMap<Route, u64>,
    /// Requests with a key that never was.
    pub unknown_key_calls: BTreeMap<Route, u64>,
    /// Administrative calls that are being answered; one whose client went away is not.
    pub administration_calls_now: usize,
    /// The most of them that there ever were at a time.
    pub peak_administration_calls: usize,
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountTruth {
    pub service_account_user_id: String,
    pub name: String,
    pub groups: SharingGroups,
    /// Deleted ones too, oldest first.
    pub keys: Vec<KeyTruth>,
}

/// A key, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTruth {
    pub key_id: String,
    /// The last name that it had.
    pub name: String,
    pub fingerprint: Fingerprint,
    pub state: State,
    pub disable_reason: Option<String>,
    pub created_at: Timestamp,
    /// When it was last changed, disabled, enabled or deleted.
    pub changed_at: Timestamp,
    pub character_count: i64,
    pub calls: BTreeMap<Route, Calls>,
    /// Accepted calls by what the caller said that it was.
    pub callers: BTreeMap<String, u64>,
}

impl KeyTruth {
    /// Whether rekeyd made the key: its name carries a nonce.
    #[must_use]
    pub fn is_rekeyds(&self) -> bool {
        Nonce::find_in(&self.name).is_some()
    }

    /// How many calls were accepted and refused, on every route.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let accepted = self.calls.values().map(|calls| calls.accepted).sum();
        let refused = self.calls.values().flat_map(|calls| calls.refused.values()).sum();
        (accepted, refused)
    }
}

impl Truth {
    pub fn keys(&self) -> impl Iterator<Item = &KeyTruth> {
        self.accounts.iter().flat_map(|account| &account.keys)
    }

    #[must_use]
    pub fn key(&self, id: &str) -> Option<&KeyTruth> {
        self.keys().find(|key| key.key_id == id)
    }

    #[must_use]
    pub fn account(&self, name: &str) -> Option<&AccountTruth> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// The keys that rekeyd made, that are enabled or disabled but not gone, and that are not among `published`.
    #[must_use]
    pub fn orphans(&self, published: &BTreeSet<Fingerprint>) -> Vec<&KeyTruth> {
        self.keys()
            .filter(|key| {
                key.state != State::Deleted && key.is_rekeyds() && !published.contains(&key.fingerprint)
            })
            .collect()
    }
}

impl Workspace {
    #[must_use]
    pub fn truth(&self, now: Timestamp) -> Truth {
        let accounts = self.accounts.iter().map(|account| AccountTruth {
            service_account_user_id: account.id.clone(),
            name: account.name.clone(),
            groups: account.groups.clone(),
            keys: self.keys_of(account).map(|key| key_truth(key, now)).collect(),
        });
        Truth {
            now,
            api_version: self.rules.api_version,
            workspace_id: self.id.clone(),
            accounts: accounts.collect(),
            admin: self.keys.first().map(|key| key_truth(key, now)),
            requests: self.requests.clone(),
            unknown_key_calls: self.unknown_key_calls.clone(),
            administration_calls_now: self.administration.now,
            peak_administration_calls: self.administration.peak,
        }
    }

    /// Every value that the workspace ever gave out, for searching what a program wrote for them.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.value.as_str())
    }

    /// Whether the provider accepts this value now.
    #[must_use]
    pub fn accepts(&self, value: &str, now: Timestamp) -> bool {
        self.accepted(&Fingerprint::of(value.as_bytes()), now).is_some()
    }
}

fn key_truth(key: &StoredKey, now: Timestamp) -> KeyTruth {
    let settings = key.last_settings();
    KeyTruth {
        key_id: key.id.clone(),
        name: settings.map(|settings| settings.name.clone()).unwrap_or_default(),
        fingerprint: key.print.clone(),
        state: key.state(now),
        disable_reason: settings.and_then(|settings| settings.disable_reason.clone()),
        created_at: key.created,
        changed_at: key.changed(),
        character_count: key.character_count,
        calls: key.calls.clone(),
        callers: key.callers.clone(),
    }
}
