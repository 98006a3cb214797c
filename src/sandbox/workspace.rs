//! The one model of an ElevenLabs workspace: its accounts and keys, and the rules by which they are created, changed,
//! listed and accepted. Pure: each call passes the time, so that a workspace can run in virtual time, where
//! `rehearsal` has one. The API in front of it is [`Workspace::answer`].

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::domain::secret::Fingerprint;
use crate::domain::sharing::SharingGroups;
use crate::domain::time::later;
use crate::sandbox::analytics::{AuditLog, CallLog, UsageLog};
use crate::sandbox::key::StoredKey;
use crate::sandbox::random::Random;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::route::Route;
use crate::sandbox::rules::Rules;
use crate::sandbox::settings::{Granted, Settings};

/// The `key_id` of the admin key, which is a person's key and therefore in no listing.
pub const ADMIN_KEY_ID: &str = "admin";

/// Service accounts, keys, and what was done with them.
pub struct Workspace {
    pub rules: Rules,
    pub(super) id: String,
    pub(super) random: Random,
    pub(super) accounts: Vec<StoredAccount>,
    pub(super) keys: Vec<StoredKey>,
    by_print: HashMap<Fingerprint, usize>,
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

pub struct StoredAccount {
    pub id: String,
    pub name: String,
    /// Where its resources come from.
    pub groups: SharingGroups,
    pub(super) created: Timestamp,
    /// A listing may show an account late that was created over the API.
    pub(super) listed_from: Timestamp,
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
            by_print: HashMap::new(),
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
        self.add_account(id.clone(), name.to_owned(), now);
        id
    }

    /// A service account of this id, which is not taken.
    pub fn add_account(&mut self, id: String, name: String, now: Timestamp) {
        self.accounts.push(StoredAccount {
            id,
            name,
            groups: SharingGroups::default(),
            created: now,
            listed_from: now,
            keys: Vec::new(),
        });
    }

    /// Makes a service account as a call of the API does, and returns its id.
    ///
    /// # Errors
    /// `AccountLimit`: nothing was made.
    pub fn request_account(
        &mut self,
        name: &str,
        groups: SharingGroups,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        if self.accounts.len() >= self.rules.accounts_max {
            return Err(Refusal::AccountLimit);
        }
        let id = self.create_account(name, now);
        let listed_from = later(now, self.rules.listing_lag);
        if let Some(account) = self.accounts.last_mut() {
            (account.groups, account.listed_from) = (groups, listed_from);
        }
        self.audit.record(now, "Service Account Creation", &id);
        Ok(id)
    }

    /// Gives a service account other sharing groups, as a person does in the dashboard.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub fn share(&mut self, account: &str, groups: SharingGroups) -> Result<(), Refusal> {
        let account = self.accounts.iter_mut().find(|known| known.id == account);
        account.ok_or(Refusal::AccountNotFound)?.groups = groups;
        Ok(())
    }

    /// The service accounts that a listing shows now.
    pub fn listed_accounts(&self, now: Timestamp) -> impl Iterator<Item = &StoredAccount> {
        self.accounts.iter().filter(move |account| account.listed_from <= now)
    }

    /// Makes a key with an id and a value of the workspace's own.
    ///
    /// # Errors
    /// As of [`Self::create_key_as`].
    pub fn create_key(
        &mut self,
        account: &str,
        settings: Settings,
        now: Timestamp,
    ) -> Result<CreatedKey, Refusal> {
        let created = CreatedKey { id: self.random.hex(20), value: self.random.key_value() };
        self.create_key_as(created.clone(), account, settings, now)?;
        Ok(created)
    }

    /// Makes a key of this id and value, which are not taken; active after the activation lag.
    ///
    /// # Errors
    /// `AccountNotFound`; or what the provider does not want of the settings. Nothing was made.
    pub fn create_key_as(
        &mut self,
        CreatedKey { id, value }: CreatedKey,
        account: &str,
        settings: Settings,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.account(account)?;
        self.check_room(account)?;
        self.check_settings(&settings, None, now)?;
        self.audit.record(now, "API Key Creation", &id);
        let owner = Some(account.to_owned());
        self.add(StoredKey::new(id, owner, value, settings, now, self.rules.activation_lag));
        Ok(())
    }

    /// Changes a key's settings by `change`.
    ///
    /// # Errors
    /// `KeyNotFound`; or what the provider does not want of the new settings. Nothing was changed.
    pub fn change_key(
        &mut self,
        key: &str,
        now: Timestamp,
        change: impl FnOnce(&mut Settings),
    ) -> Result<(), Refusal> {
        let old = self.key(key)?.settings().ok_or(Refusal::KeyNotFound)?;
        let mut new = old.clone();
        change(&mut new);
        self.check_settings(&new, Some(old), now)?;
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
        self.change_key(key, now, |settings| {
            settings.disabled = true;
            settings.disable_reason = reason.map(str::to_owned);
        })
    }

    /// Enables a key. Repeatable.
    ///
    /// # Errors
    /// `KeyNotFound`.
    pub fn enable_key(&mut self, key: &str, now: Timestamp) -> Result<(), Refusal> {
        self.change_key(key, now, |settings| {
            settings.disabled = false;
            settings.disable_reason = None;
        })
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

    /// Spends credits of a key's budget.
    ///
    /// # Errors
    /// `KeyNotFound`, or `QuotaExceeded`: nothing was spent.
    pub fn spend(&mut self, key: &str, credits: i64) -> Result<(), Refusal> {
        let stored = self.key_mut(key)?;
        let spent = stored.character_count.saturating_add(credits);
        let limit = stored.settings().and_then(Settings::character_limit);
        if limit.is_some_and(|limit| spent > limit) {
            return Err(Refusal::QuotaExceeded);
        }
        stored.character_count = spent;
        Ok(())
    }

    /// The value of the admin key.
    #[must_use]
    pub fn admin_key(&self) -> &str {
        self.keys.first().map_or("", |key| &key.value)
    }

    pub(super) fn account(&self, id: &str) -> Result<&StoredAccount, Refusal> {
        self.accounts.iter().find(|account| account.id == id).ok_or(Refusal::AccountNotFound)
    }

    /// # Errors
    /// `KeyNotFound`; a deleted key is found.
    pub fn key(&self, id: &str) -> Result<&StoredKey, Refusal> {
        self.by_id.get(id).and_then(|position| self.keys.get(*position)).ok_or(Refusal::KeyNotFound)
    }

    fn key_mut(&mut self, id: &str) -> Result<&mut StoredKey, Refusal> {
        self.by_id.get(id).and_then(|position| self.keys.get_mut(*position)).ok_or(Refusal::KeyNotFound)
    }

    /// Every service account.
    #[must_use]
    pub fn accounts(&self) -> &[StoredAccount] {
        &self.accounts
    }

    /// The keys of an account that a listing shows now, each with the settings that it shows.
    pub fn listing<'a>(
        &'a self,
        account: &'a StoredAccount,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a StoredKey, &'a Settings)> {
        self.keys_of(account)
            .filter_map(move |key| Some((key, key.settings_seen(now, self.rules.listing_lag)?)))
    }

    /// Every key of a service account, deleted ones too.
    pub fn keys(&self) -> impl Iterator<Item = &StoredKey> {
        self.accounts.iter().flat_map(|account| self.keys_of(account))
    }

    pub(super) fn keys_of<'a>(&'a self, account: &'a StoredAccount) -> impl Iterator<Item = &'a StoredKey> {
        account.keys.iter().filter_map(|position| self.keys.get(*position))
    }

    /// Nothing tells of keys any more that were deleted before `at`: for workspaces that live long.
    pub fn forget_deleted(&mut self, at: Timestamp) {
        let is_kept = |key: &StoredKey| key.settings().is_some() || key.changed() > at;
        for account in &mut self.accounts {
            account.keys.retain(|position| self.keys.get(*position).is_some_and(is_kept));
        }
    }

    /// The key that has, or had, the value of this fingerprint.
    #[must_use]
    pub fn of_print(&self, print: &Fingerprint) -> Option<&StoredKey> {
        self.keys.get(self.position_of(print)?)
    }

    /// The key with the value of this fingerprint, if it is accepted now.
    #[must_use]
    pub fn accepted(&self, print: &Fingerprint, now: Timestamp) -> Option<&StoredKey> {
        self.of_print(print).filter(|key| key.accepted_under(now).is_some())
    }

    pub(super) fn position_of(&self, print: &Fingerprint) -> Option<usize> {
        self.by_print.get(print).copied()
    }

    /// Adds a key that is there already, whatever the rules for a new one.
    pub fn add(&mut self, key: StoredKey) {
        let position = self.keys.len();
        self.by_print.insert(key.print.clone(), position);
        self.by_id.insert(key.id.clone(), position);
        if let Some(account) =
            self.accounts.iter_mut().find(|account| Some(&account.id) == key.account.as_ref())
        {
            account.keys.push(position);
        }
        self.keys.push(key);
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
