//! A workspace's state, and what an operator can change in its dashboard. Pure: each call passes the time, so that a
//! workspace can run in virtual time. The API in front of it is [`Workspace::answer`].

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::domain::key::network;
use crate::sandbox::analytics::{AuditLog, CallLog, UsageLog};
use crate::sandbox::key::StoredKey;
use crate::sandbox::random::Random;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::route::Route;
use crate::sandbox::rules::Rules;
use crate::sandbox::settings::{Granted, Settings};

/// The `key_id` of the admin key, which is a person's key and therefore in no listing.
pub const ADMIN_KEY_ID: &str = "admin";

const EXPIRY_SECONDS: std::ops::RangeInclusive<i64> = 15 * 60..=90 * 24 * 60 * 60;

/// Service accounts, keys, and what was done with them.
pub struct Workspace {
    pub rules: Rules,
    pub(super) id: String,
    pub(super) random: Random,
    pub(super) accounts: Vec<StoredAccount>,
    pub(super) keys: Vec<StoredKey>,
    by_value: HashMap<String, usize>,
    by_id: HashMap<String, usize>,
    pub(super) third_party_policy: Option<bool>,
    pub(super) usage: UsageLog,
    pub(super) calls: CallLog,
    pub(super) audit: AuditLog,
    pub(super) requests: BTreeMap<Route, u64>,
    /// The first requests, in the order in which they arrived.
    pub(super) asked: Vec<Route>,
    pub(super) unknown_key_calls: BTreeMap<Route, u64>,
    pub(super) administration: InFlight,
}

/// Administrative calls that are being answered, and the most that ever were at a time.
#[derive(Default)]
pub(super) struct InFlight {
    pub(super) now: usize,
    pub(super) peak: usize,
}

impl InFlight {
    pub(super) fn begin(&mut self) {
        self.now += 1;
        self.peak = self.peak.max(self.now);
    }

    pub(super) fn end(&mut self) {
        self.now = self.now.saturating_sub(1);
    }
}

pub(super) struct StoredAccount {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: Timestamp,
    /// Positions in the workspace's keys.
    pub(super) keys: Vec<usize>,
}

/// A key just made, with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct CreatedKey {
    pub id: String,
    pub value: String,
}

impl Workspace {
    /// A workspace without accounts, and with an admin key that may do everything: `admin_key`, or one made up.
    #[must_use]
    pub fn new(rules: Rules, mut random: Random, admin_key: Option<String>, now: Timestamp) -> Self {
        let admin_key = admin_key.unwrap_or_else(|| random.key_value());
        let mut workspace = Self {
            rules,
            id: format!("workspace_{}", random.hex(20)),
            random,
            accounts: Vec::new(),
            keys: Vec::new(),
            by_value: HashMap::new(),
            by_id: HashMap::new(),
            third_party_policy: None,
            usage: UsageLog::default(),
            calls: CallLog::default(),
            audit: AuditLog::default(),
            requests: BTreeMap::new(),
            asked: Vec::new(),
            unknown_key_calls: BTreeMap::new(),
            administration: InFlight::default(),
        };
        let settings = Settings::new("administrator", Granted::All);
        let zero = jiff::SignedDuration::ZERO;
        workspace.add(StoredKey::new(ADMIN_KEY_ID.to_owned(), None, admin_key, settings, now, zero));
        workspace
    }

    /// The first requests that arrived, in their order.
    #[must_use]
    pub fn asked(&self) -> &[Route] {
        &self.asked
    }

    /// Makes a service account and returns its id. People are not bound by the account limit here.
    pub fn create_account(&mut self, name: &str, now: Timestamp) -> String {
        let id = self.random.hex(28);
        let name = name.to_owned();
        self.accounts.push(StoredAccount { id: id.clone(), name, created: now, keys: Vec::new() });
        id
    }

    /// Makes a key, active after the activation lag.
    ///
    /// # Errors
    /// `AccountNotFound`; or what the provider does not want of the settings. Nothing was made.
    pub fn create_key(
        &mut self,
        account: &str,
        settings: Settings,
        now: Timestamp,
    ) -> Result<CreatedKey, Refusal> {
        self.account(account)?;
        self.check_room(account)?;
        self.check_settings(&settings, None, now)?;
        let created = CreatedKey { id: self.random.hex(20), value: self.random.key_value() };
        let lag = self.rules.activation_lag;
        let owner = Some(account.to_owned());
        self.add(StoredKey::new(created.id.clone(), owner, created.value.clone(), settings, now, lag));
        self.audit.record(now, "API Key Creation", &created.id);
        Ok(created)
    }

    /// Changes a key's settings to what `change` makes of them.
    ///
    /// # Errors
    /// `KeyNotFound`; or what the provider does not want of the new settings. Nothing was changed.
    pub fn change_key(
        &mut self,
        key: &str,
        now: Timestamp,
        change: impl FnOnce(&Settings) -> Settings,
    ) -> Result<(), Refusal> {
        let old = self.key(key)?.settings().ok_or(Refusal::KeyNotFound)?;
        let (old, new) = (old.clone(), change(old));
        self.check_settings(&new, Some(&old), now)?;
        let lag = self.rules.revocation_lag;
        self.key_mut(key)?.change(Some(new), now, lag);
        self.audit.record(now, "API Key Update", key);
        Ok(())
    }

    /// Disables a key, with the reason that listings then show. Repeatable.
    ///
    /// # Errors
    /// `KeyNotFound`.
    pub fn disable_key(&mut self, key: &str, reason: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
        let reason = reason.map(str::to_owned);
        self.change_key(key, now, |old| Settings { disabled: true, disable_reason: reason, ..old.clone() })
    }

    /// Enables a key. Repeatable.
    ///
    /// # Errors
    /// `KeyNotFound`.
    pub fn enable_key(&mut self, key: &str, now: Timestamp) -> Result<(), Refusal> {
        self.change_key(key, now, |old| Settings { disabled: false, disable_reason: None, ..old.clone() })
    }

    /// Deletes a key for ever.
    ///
    /// # Errors
    /// `KeyNotFound`, also when it was deleted before.
    pub fn delete_key(&mut self, key: &str, now: Timestamp) -> Result<(), Refusal> {
        let lag = self.rules.revocation_lag;
        let stored = self.key_mut(key)?;
        stored.settings().ok_or(Refusal::KeyNotFound)?;
        stored.change(None, now, lag);
        self.audit.record(now, "API Key Deletion", key);
        Ok(())
    }

    /// The value of the admin key.
    #[must_use]
    pub fn admin_key(&self) -> &str {
        self.keys.first().map_or("", |key| &key.value)
    }

    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    pub(super) fn account(&self, id: &str) -> Result<&StoredAccount, Refusal> {
        self.accounts.iter().find(|account| account.id == id).ok_or(Refusal::AccountNotFound)
    }

    pub(super) fn key(&self, id: &str) -> Result<&StoredKey, Refusal> {
        self.by_id.get(id).and_then(|position| self.keys.get(*position)).ok_or(Refusal::KeyNotFound)
    }

    fn key_mut(&mut self, id: &str) -> Result<&mut StoredKey, Refusal> {
        self.by_id.get(id).and_then(|position| self.keys.get_mut(*position)).ok_or(Refusal::KeyNotFound)
    }

    /// Where the key with this value is among the keys.
    pub(super) fn position_of(&self, value: &str) -> Option<usize> {
        self.by_value.get(value).copied()
    }

    fn add(&mut self, key: StoredKey) {
        let position = self.keys.len();
        self.by_value.insert(key.value.clone(), position);
        self.by_id.insert(key.id.clone(), position);
        if let Some(account) =
            self.accounts.iter_mut().find(|account| Some(&account.id) == key.account.as_ref())
        {
            account.keys.push(position);
        }
        self.keys.push(key);
    }

    fn check_room(&self, account: &str) -> Result<(), Refusal> {
        let there = self.account(account)?.keys.iter().filter_map(|position| self.keys.get(*position));
        let count = there.filter(|key| key.settings().is_some()).count();
        match self.rules.keys_per_account {
            Some(most) if count >= most => Err(Refusal::KeyLimit),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks what may not be set; what stays as it was is not checked again.
    fn check_settings(&self, new: &Settings, old: Option<&Settings>, now: Timestamp) -> Result<(), Refusal> {
        if let Some(field) = new.enterprise_field().filter(|_| !self.rules.enterprise) {
            return Err(Refusal::NeedsEnterprise(field));
        }
        if old.is_none_or(|old| old.allowed_ips != new.allowed_ips) && !self.rules.private_addresses_allowed {
            let networks = new.allowed_ips.iter().flatten().filter_map(|text| network(text));
            if let Some(network) = networks.into_iter().find(is_private) {
                let message = format!("{network} is a private range");
                return Err(Refusal::Unwanted { parameter: "allowed_ips", message });
            }
        }
        if old.is_some_and(|old| old.expires_at == new.expires_at) {
            return Ok(());
        }
        let message = match new.expires_at {
            None if self.rules.never_expiring_forbidden => "this workspace forbids keys that never expire",
            Some(expiry) if !EXPIRY_SECONDS.contains(&(expiry - now.as_second())) => {
                "the expiry must be at least 15 minutes and at most 90 days ahead"
            }
            Some(_) | None => return Ok(()),
        };
        Err(Refusal::Unwanted { parameter: "expires_at_unix", message: message.to_owned() })
    }
}

/// Whether the network begins in a range that the provider does not take.
fn is_private(network: &IpNet) -> bool {
    match network.addr() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use crate::sandbox::answer::{Answer, Body, Call, Content};
    use crate::sandbox::route::Target;

    use super::*;

    fn call(workspace: &mut Workspace, method: &str, path: &str, body: Body, now: Timestamp) -> Answer {
        let target = Target::find(workspace.rules.api_version, method, path).unwrap();
        let key = Some(workspace.admin_key().to_owned());
        let (query, source) = (BTreeMap::new(), "test".to_owned());
        workspace.answer(&Call { target, key, from: None, query, source, body }, now)
    }

    #[test]
    fn a_workspace_lives_in_virtual_time() {
        let hour = SignedDuration::from_hours(1);
        let rules = Rules { activation_lag: hour, revocation_lag: hour, ..Rules::default() };
        let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let mut workspace = Workspace::new(rules, Random::seeded(1), None, start);
        let account = workspace.create_account("tts", start);
        let path = format!("/v1/service-accounts/{account}/api-keys");
        let body = Body::Json(json!({"name": "one", "permissions": "all"}));
        let made = call(&mut workspace, "POST", &path, body, start);
        let Content::Json(made) = made.content else { panic!("no JSON") };
        let (id, value) = (made["key_id"].as_str().unwrap(), made["xi-api-key"].as_str().unwrap());

        let almost = SignedDuration::from_secs(3599);
        assert!(!workspace.accepts(value, start + almost));
        assert!(workspace.accepts(value, start + hour));
        let later = start + hour * 24;
        assert_eq!(call(&mut workspace, "DELETE", &format!("{path}/{id}"), Body::None, later).status, 200);
        assert!(workspace.accepts(value, later + almost));
        assert!(!workspace.accepts(value, later + hour));
        assert!(!workspace.accepts("", later));
    }
}
