//! An imagined ElevenLabs workspace: keys, listings, and the use of keys; [`Client`] is how the engine reaches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::{KeyId, ServiceAccountId, WorkspaceName};
use crate::domain::key::{Account, Inventory, Key, KeyAttributes};
use crate::domain::secret::Fingerprint;
use crate::domain::time::later;
use crate::domain::usage::Use;
use crate::ports::issuer::AdminKey;
use crate::rehearsal::clock::VirtualClock;

pub mod client;

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
    accounts: BTreeMap<ServiceAccountId, String>,
    keys: BTreeMap<KeyId, StoredKey>,
    by_print: BTreeMap<Fingerprint, KeyId>,
    created: u64,
    uses: Vec<KeyUse>,
}

struct StoredKey {
    /// Oldest first and never empty; `None` is deleted.
    versions: Vec<(Timestamp, Option<Key>)>,
    value: String,
    print: Fingerprint,
    accepted_from: Timestamp,
}

/// A key that exists, with its value.
#[derive(Clone)]
pub struct LiveKey {
    pub key: Key,
    pub value: String,
    pub print: Fingerprint,
}

/// A key was used at one time, or all the time since then.
struct KeyUse {
    key: KeyId,
    from: Timestamp,
    /// `None`: it is still in use.
    until: Option<Timestamp>,
    /// From when on the provider shows it.
    shown_from: Timestamp,
}

impl StoredKey {
    fn now(&self) -> Option<&Key> {
        self.versions.last().and_then(|(_, key)| key.as_ref())
    }

    /// As a listing shows it that was true at `at`.
    fn seen(&self, at: Timestamp) -> Option<&Key> {
        self.versions.iter().rev().find(|(since, _)| *since <= at).and_then(|(_, key)| key.as_ref())
    }

    fn change(&mut self, key: Option<Key>, now: Timestamp) {
        let oldest = later(now, SignedDuration::ZERO - LISTING_LAG_MAX);
        while self.versions.get(1).is_some_and(|(since, _)| *since <= oldest) {
            self.versions.remove(0);
        }
        self.versions.push((now, key));
    }

    fn live(&self) -> Option<LiveKey> {
        let key = self.now()?.clone();
        Some(LiveKey { key, value: self.value.clone(), print: self.print.clone() })
    }
}

impl KeyUse {
    /// One use is shown in the bucket of its minute.
    fn as_shown(&self, until: Timestamp) -> Use {
        let minute = Timestamp::from_second(until.as_second() / 60 * 60).unwrap_or(until);
        let (from, until) = if self.from == until {
            (minute, later(minute, MINUTE))
        } else {
            (later(until, SignedDuration::ZERO - MINUTE).max(self.from), until)
        };
        Use { from, until, amount: 1, about: BTreeMap::new() }
    }
}

impl Workspace {
    #[must_use]
    pub fn new(name: WorkspaceName, clock: VirtualClock, admin_key: Arc<AdminKey>) -> Self {
        let state = State {
            accounts: BTreeMap::new(),
            keys: BTreeMap::new(),
            by_print: BTreeMap::new(),
            created: 0,
            uses: Vec::new(),
        };
        Self { name, clock, admin_key, state: Mutex::new(state) }
    }

    #[must_use]
    pub fn admin_key(&self) -> Arc<AdminKey> {
        Arc::clone(&self.admin_key)
    }

    pub fn add_account(&self, id: ServiceAccountId, name: String) {
        self.state().accounts.insert(id, name);
    }

    /// A key that is there already, and accepted.
    pub fn add_key(&self, key: Key, value: String) {
        self.insert(key, value, SignedDuration::ZERO);
    }

    /// Creates a key that is refused for `activation_lag`; `None` if its id or value would be invalid.
    pub fn create_key(
        &self,
        account: &ServiceAccountId,
        name: &str,
        attributes: KeyAttributes,
        expires_at: Option<Timestamp>,
        activation_lag: SignedDuration,
    ) -> Option<LiveKey> {
        let created = {
            let mut state = self.state();
            state.created += 1;
            state.created
        };
        let id = if created == 1 { NEW_KEY.to_owned() } else { format!("{NEW_KEY}_{created}") };
        let key = Key {
            created_at: Some(self.clock.truth()),
            name: name.to_owned(),
            expires_at,
            ..plain_key(KeyId::new(id).ok()?, account.clone(), attributes)
        };
        Some(self.insert(key, format!("imagined-{}-{created}", self.name), activation_lag))
    }

    /// What an operator, or the provider itself, does to a key.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn change_key(&self, id: &KeyId, change: impl FnOnce(&mut Key)) -> Result<(), Failure> {
        let now = self.clock.truth();
        let mut state = self.state();
        let stored = state.keys.get_mut(id);
        let Some((stored, mut key)) =
            stored.and_then(|stored| stored.now().cloned().map(|key| (stored, key)))
        else {
            return Err(Failure::rejected(Kind::NotFound, "there is no such key"));
        };
        change(&mut key);
        stored.change(Some(key), now);
        Ok(())
    }

    /// Deletes a key for ever. Repeatable.
    pub fn delete_key(&self, id: &KeyId) {
        let now = self.clock.truth();
        if let Some(stored) = self.state().keys.get_mut(id) {
            stored.change(None, now);
        }
    }

    /// Every key that exists.
    #[must_use]
    pub fn keys(&self) -> Vec<LiveKey> {
        self.state().keys.values().filter_map(StoredKey::live).collect()
    }

    /// The key with this value, if it is accepted now.
    #[must_use]
    pub fn accepted(&self, print: &Fingerprint) -> Option<Key> {
        let now = self.clock.truth();
        let state = self.state();
        let stored = state.keys.get(state.by_print.get(print)?)?;
        let key = stored.now().filter(|key| key.is_alive(now) && stored.accepted_from <= now);
        key.cloned()
    }

    /// Whether a value of this fingerprint is accepted now.
    #[must_use]
    pub fn accepts(&self, print: &Fingerprint) -> bool {
        self.accepted(print).is_some()
    }

    /// A key was used now; the provider shows it after a while.
    pub fn record_use(&self, key: KeyId, shown_after: SignedDuration) {
        let now = self.clock.truth();
        let shown_from = later(now, shown_after);
        self.state().uses.push(KeyUse { key, from: now, until: Some(now), shown_from });
    }

    /// Consumers use this key all the time from now on, and no other one of its account.
    pub fn switch_use(&self, print: &Fingerprint) {
        let now = self.clock.truth();
        let mut state = self.state();
        let State { keys, by_print, uses, .. } = &mut *state;
        let key = by_print.get(print).and_then(|id| keys.get(id)?.now());
        let Some(key) = key else { return };
        let account = |id: &KeyId| keys.get(id).and_then(StoredKey::now).map(|key| &key.account);
        uses.retain(|it| account(&it.key).is_some());
        for other in uses.iter_mut().filter(|it| account(&it.key) == Some(&key.account)) {
            other.until.get_or_insert(now);
        }
        uses.push(KeyUse { key: key.id.clone(), from: now, until: None, shown_from: now });
    }

    fn insert(&self, key: Key, value: String, activation_lag: SignedDuration) -> LiveKey {
        let now = self.clock.truth();
        let print = Fingerprint::of(value.as_bytes());
        let live = LiveKey { key: key.clone(), value: value.clone(), print: print.clone() };
        let mut state = self.state();
        state.by_print.insert(print.clone(), key.id.clone());
        let accepted_from = later(now, activation_lag);
        let id = key.id.clone();
        state.keys.insert(id, StoredKey { versions: vec![(now, Some(key))], value, print, accepted_from });
        live
    }

    /// What a listing shows that is `lag` old.
    fn inventory(&self, lag: SignedDuration) -> Inventory {
        let seen = later(self.clock.truth(), SignedDuration::ZERO - lag);
        let mut state = self.state();
        let State { accounts, keys, by_print, .. } = &mut *state;
        // Nothing shows any more what was deleted before the oldest listing that there can be.
        let oldest = later(self.clock.truth(), SignedDuration::ZERO - LISTING_LAG_MAX);
        keys.retain(|_, stored| {
            let gone = stored.now().is_none() && stored.versions.last().is_none_or(|(at, _)| *at <= oldest);
            if gone {
                by_print.remove(&stored.print);
            }
            !gone
        });
        let mut listed: BTreeMap<&ServiceAccountId, Vec<Key>> = BTreeMap::new();
        for key in keys.values().filter_map(|stored| stored.seen(seen)) {
            listed.entry(&key.account).or_default().push(key.clone());
        }
        let account = |(id, name): (&ServiceAccountId, &String)| Account {
            id: id.clone(),
            name: name.clone(),
            keys: listed.remove(id).unwrap_or_default(),
        };
        let skew = SignedDuration::ZERO - self.clock.ahead();
        Inventory {
            accounts: accounts.iter().map(account).collect(),
            clock_skew_seconds: Some(skew.as_secs()),
        }
    }

    /// The use of these keys that is shown, from `since` on.
    fn uses(&self, of: &[Key], since: Timestamp) -> BTreeMap<KeyId, Vec<Use>> {
        let now = self.clock.truth();
        let mut uses: BTreeMap<KeyId, Vec<Use>> = BTreeMap::new();
        for it in &self.state().uses {
            let until = it.until.unwrap_or(now);
            if until >= since && it.shown_from <= now && of.iter().any(|key| key.id == it.key) {
                let used = it.as_shown(until);
                uses.entry(it.key.clone()).or_default().push(used);
            }
        }
        uses
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key as a listing shows it that says no more than it must.
pub(super) fn plain_key(id: KeyId, account: ServiceAccountId, attributes: KeyAttributes) -> Key {
    Key {
        usage_hash: Some(id.to_string()),
        id,
        account,
        name: "imagined".to_owned(),
        hint: String::new(),
        created_at: None,
        enabled: true,
        disable_reason: None,
        attributes,
        expires_at: None,
        character_count: Some(0),
    }
}
