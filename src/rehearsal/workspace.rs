//! An imagined ElevenLabs workspace: the sandbox's model in virtual time, and the use of keys; [`client::Client`] is how
//! the engine reaches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::{KeyId, ServiceAccountId, WorkspaceName};
use crate::domain::key::{Account, Inventory, Key};
use crate::domain::secret::Fingerprint;
use crate::domain::sharing::SharingGroups;
use crate::domain::time::{earlier, later};
use crate::domain::usage::Use;
use crate::ports::issuer::AdminKey;
use crate::rehearsal::clock::VirtualClock;
use crate::rehearsal::workspace::key::{LiveKey, key_of, live};
use crate::sandbox::key::StoredKey;
use crate::sandbox::random::Random;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::rules::Rules;
use crate::sandbox::settings::Settings;
use crate::sandbox::workspace::{CreatedKey, Workspace as Model};

pub mod client;
pub mod key;

/// The id of the first key that is created; later ones are numbered.
const NEW_KEY: &str = "NEW_KEY_ID";
/// The oldest that a listing can be.
const LISTING_LAG_MAX: SignedDuration = SignedDuration::from_mins(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Everything in it goes by the true time of its clock.
pub struct Workspace {
    name: WorkspaceName,
    clock: VirtualClock,
    admin_key: Arc<AdminKey>,
    state: Mutex<State>,
}

struct State {
    model: Model,
    created: u64,
    uses: Vec<KeyUse>,
}

/// A key was used at one time, or all the time since then.
struct KeyUse {
    key: String,
    from: Timestamp,
    /// `None`: it is still in use.
    until: Option<Timestamp>,
    /// From when on the provider shows it.
    shown_from: Timestamp,
}

impl KeyUse {
    /// One use is shown in the bucket of its minute.
    fn as_shown(&self, until: Timestamp) -> Use {
        let minute = Timestamp::from_second(until.as_second() / 60 * 60).unwrap_or(until);
        let (from, until) = if self.from == until {
            (minute, later(minute, MINUTE))
        } else {
            (earlier(until, MINUTE).max(self.from), until)
        };
        Use { from, until, amount: 1, about: BTreeMap::new() }
    }
}

impl Workspace {
    #[must_use]
    pub fn new(name: WorkspaceName, clock: VirtualClock, admin_key: Arc<AdminKey>) -> Self {
        // The keys of a policy may be for one machine.
        let rules = Rules { private_addresses_allowed: true, ..Rules::default() };
        let model = Model::new(rules, Random::seeded(0), None, clock.truth());
        let state = Mutex::new(State { model, created: 0, uses: Vec::new() });
        Self { name, clock, admin_key, state }
    }

    #[must_use]
    pub fn admin_key(&self) -> Arc<AdminKey> {
        Arc::clone(&self.admin_key)
    }

    /// Several credentials may have one service account.
    pub fn add_account(&self, id: &ServiceAccountId, name: &str) {
        let model = &mut self.state().model;
        if !model.accounts().iter().any(|account| account.id == id.as_str()) {
            model.add_account(id.to_string(), name.to_owned(), self.clock.truth());
        }
    }

    /// Creates a service account that a listing shows after `listing_lag`.
    ///
    /// # Errors
    /// What the workspace does not want of it.
    pub fn create_account(
        &self,
        name: &str,
        groups: SharingGroups,
        listing_lag: SignedDuration,
    ) -> Result<ServiceAccountId, Failure> {
        let model = &mut self.state().model;
        model.rules.listing_lag = listing_lag;
        let made = model.request_account(name, groups, self.clock.truth());
        let id = made.map_err(|refusal| refused(&refusal))?;
        ServiceAccountId::new(id).map_err(|error| Failure::rejected(Kind::Invalid, error.to_string()))
    }

    /// A key that is there already, and accepted.
    pub fn add_key(
        &self,
        id: &KeyId,
        account: &ServiceAccountId,
        value: String,
        settings: Settings,
        created: Timestamp,
    ) {
        let (id, account) = (id.to_string(), Some(account.to_string()));
        // Journals of a clock that was ahead know of keys that are created later.
        let created = created.min(self.clock.truth());
        let key = StoredKey::new(id, account, value, settings, created, SignedDuration::ZERO);
        self.state().model.add(key);
    }

    /// Creates a key that is refused for `activation_lag`.
    ///
    /// # Errors
    /// What the workspace does not want of it.
    pub fn create_key(
        &self,
        account: &ServiceAccountId,
        settings: Settings,
        activation_lag: SignedDuration,
    ) -> Result<LiveKey, Failure> {
        let mut state = self.state();
        state.created += 1;
        let number = state.created;
        let id = if number == 1 { NEW_KEY.to_owned() } else { format!("{NEW_KEY}_{number}") };
        let value = format!("imagined-{}-{number}", self.name);
        let print = Fingerprint::of(value.as_bytes());
        state.model.rules.activation_lag = activation_lag;
        let now = self.clock.truth();
        state
            .model
            .create_key_as(CreatedKey { id, value }, account.as_str(), settings, now)
            .map_err(|refusal| refused(&refusal))?;
        let made = state.model.of_print(&print).and_then(live);
        made.ok_or_else(|| Failure::rejected(Kind::Invalid, "no such key can be imagined"))
    }

    /// What the engine, an operator or the provider itself does in the workspace now.
    ///
    /// # Errors
    /// The workspace refuses it.
    pub fn change(
        &self,
        change: impl FnOnce(&mut Model, Timestamp) -> Result<(), Refusal>,
    ) -> Result<(), Failure> {
        change(&mut self.state().model, self.clock.truth()).map_err(|refusal| refused(&refusal))
    }

    /// The name of every service account.
    #[must_use]
    pub fn account_names(&self) -> Vec<String> {
        self.state().model.accounts().iter().map(|account| account.name.clone()).collect()
    }

    /// Every key that exists.
    #[must_use]
    pub fn keys(&self) -> Vec<LiveKey> {
        self.state().model.keys().filter_map(live).collect()
    }

    /// The key with this value, if it is accepted now.
    #[must_use]
    pub fn accepted(&self, print: &Fingerprint) -> Option<Key> {
        let state = self.state();
        let key = state.model.accepted(print, self.clock.truth())?;
        key_of(key, key.settings()?)
    }

    /// Whether a value of this fingerprint is accepted now.
    #[must_use]
    pub fn accepts(&self, print: &Fingerprint) -> bool {
        self.state().model.accepted(print, self.clock.truth()).is_some()
    }

    /// A key was used now; the provider shows it after a while.
    pub fn record_use(&self, key: &KeyId, shown_after: SignedDuration) {
        let now = self.clock.truth();
        let shown_from = later(now, shown_after);
        self.state().uses.push(KeyUse { key: key.to_string(), from: now, until: Some(now), shown_from });
    }

    /// Consumers use this key all the time from now on, and no other one of its account.
    pub fn switch_use(&self, print: &Fingerprint) {
        let now = self.clock.truth();
        let mut state = self.state();
        let State { model, uses, .. } = &mut *state;
        let exists = |key: &&StoredKey| key.settings().is_some();
        let Some(key) = model.of_print(print).filter(exists) else { return };
        let account = |id: &str| model.key(id).ok().filter(exists).map(|key| &key.account);
        uses.retain(|it| account(&it.key).is_some());
        for other in uses.iter_mut().filter(|it| account(&it.key) == Some(&key.account)) {
            other.until.get_or_insert(now);
        }
        uses.push(KeyUse { key: key.id.clone(), from: now, until: None, shown_from: now });
    }

    /// What a listing shows that is `lag` old.
    fn inventory(&self, lag: SignedDuration) -> Inventory {
        let now = self.clock.truth();
        let model = &mut self.state().model;
        model.rules.listing_lag = lag;
        model.forget_deleted(earlier(now, LISTING_LAG_MAX));
        let accounts = model.listed_accounts(now).filter_map(|account| {
            let keys = model.listing(account, now).filter_map(|(key, settings)| key_of(key, settings));
            let id = ServiceAccountId::new(&account.id).ok()?;
            let (name, groups) = (account.name.clone(), Some(account.groups.clone()));
            Some(Account { id, name, groups, keys: keys.collect() })
        });
        let skew = SignedDuration::ZERO - self.clock.ahead();
        Inventory { accounts: accounts.collect(), clock_skew_seconds: Some(skew.as_secs()) }
    }

    /// The use of these keys that is shown, from `since` on.
    fn uses(&self, of: &[Key], since: Timestamp) -> BTreeMap<KeyId, Vec<Use>> {
        let now = self.clock.truth();
        let mut uses: BTreeMap<KeyId, Vec<Use>> = BTreeMap::new();
        for it in &self.state().uses {
            let until = it.until.unwrap_or(now);
            let key = of.iter().find(|key| key.id.as_str() == it.key);
            if let Some(key) = key.filter(|_| until >= since && it.shown_from <= now) {
                uses.entry(key.id.clone()).or_default().push(it.as_shown(until));
            }
        }
        uses
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As the adapter tells the engine of a refusal.
fn refused(refusal: &Refusal) -> Failure {
    let is_missing = matches!(refusal, Refusal::AccountNotFound | Refusal::KeyNotFound);
    let is_limit = matches!(refusal, Refusal::AccountLimit | Refusal::KeyLimit);
    let otherwise = if is_limit { Kind::LimitReached } else { Kind::Invalid };
    let kind = if is_missing { Kind::NotFound } else { otherwise };
    Failure::rejected(kind, format!("the workspace refuses it: {}", refusal.code()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key::{DisableReason, KeyAttributes, Limits, Permissions};
    use crate::domain::secret::SecretValue;
    use crate::rehearsal::workspace::key::settings;

    fn empty() -> (Workspace, ServiceAccountId) {
        let clock = VirtualClock::new("2026-11-23T10:00:00.5Z".parse().unwrap());
        let admin_key = AdminKey::new(SecretValue::new("an-admin-key".to_owned()).unwrap());
        let workspace = Workspace::new(WorkspaceName::new("prod").unwrap(), clock, admin_key);
        let account = ServiceAccountId::new("tts").unwrap();
        workspace.add_account(&account, "tts");
        (workspace, account)
    }

    fn create(
        workspace: &Workspace,
        account: &ServiceAccountId,
        expires_in: i64,
    ) -> Result<LiveKey, Failure> {
        let attributes = KeyAttributes::of(Permissions::All);
        let at = workspace.clock.truth() + SignedDuration::from_secs(expires_in);
        workspace.create_key(account, settings("one", attributes, Some(at)), SignedDuration::ZERO)
    }

    #[test]
    fn the_providers_rules_hold_in_a_rehearsal() {
        let (workspace, account) = empty();
        let days = 24 * 60 * 60;
        for (account, expires_in, expected) in [
            (account.clone(), 5 * 60, Some(Kind::Invalid)),
            (account.clone(), 91 * days, Some(Kind::Invalid)),
            (ServiceAccountId::new("nobody").unwrap(), days, Some(Kind::NotFound)),
            (account, days, None),
        ] {
            let refused = create(&workspace, &account, expires_in).err().map(|failure| failure.kind);
            assert_eq!(refused, expected, "{account} {expires_in}");
        }
        assert_eq!(workspace.keys().len(), 1);
    }

    #[test]
    fn a_key_is_listed_as_the_provider_lists_it() {
        let (workspace, account) = empty();
        let limits = Limits::default().with("a_limit_of_2031", Some(7));
        let permissions = Permissions::Only(["a_permission_of_2031".to_owned()].into());
        let attributes = KeyAttributes { permissions, limits };
        let asked = settings("two", attributes.clone(), None);
        let limited = workspace.create_key(&account, asked, SignedDuration::ZERO).unwrap().key;
        assert_eq!(limited.attributes, attributes, "what nobody knows yet is kept");
        let made = create(&workspace, &account, 3600).unwrap();
        let why = Some("exposed_publicly");
        workspace.change(|model, now| model.disable_key(made.key.id.as_str(), why, now)).unwrap();
        let key = workspace.inventory(SignedDuration::ZERO).key(&made.key.id).cloned().unwrap();
        assert_eq!(key.attributes.permissions, Permissions::Unlisted);
        assert_eq!(key.expires_at, Some("2026-11-23T11:00:00Z".parse().unwrap()), "in whole seconds");
        assert_eq!((key.enabled, key.disable_reason), (false, Some(DisableReason::ExposedPublicly)));
        assert!(!workspace.accepts(&made.print));
    }
}
