//! The provider as the simulation sees it: keys, listings that lag, keys that take time to be accepted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::failure::{Failure, Kind};
use rekeyd::domain::ids::{KeyId, ServiceAccountId};
use rekeyd::domain::key::{Account, DisableReason, Inventory, Key, KeyAttributes, KeyRequest};
use rekeyd::domain::secret::{Fingerprint, SecretValue};
use rekeyd::ports::issuer::{Issuer, Minted};

use super::clock::VirtualClock;
use super::dice::Dice;
use super::fate::Fate;
use super::witness::Witness;

pub(super) struct Provider {
    clock: Arc<VirtualClock>,
    state: Mutex<State>,
}

struct State {
    accounts: BTreeMap<ServiceAccountId, String>,
    keys: BTreeMap<KeyId, SimKey>,
    /// What a listing at each instant would have shown.
    snapshots: Vec<(Timestamp, Vec<Key>)>,
    dice: Dice,
    lag_seconds_max: u64,
    made: u64,
    spoil: Spoil,
}

/// What is wrong with the keys that the provider makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Spoil {
    #[default]
    Nothing,
    /// The first so many lack a permission.
    Permissions(u64),
}

#[derive(Clone)]
pub(super) struct SimKey {
    pub(super) key: Key,
    pub(super) value: String,
    pub(super) print: Fingerprint,
    accepted_from: Timestamp,
}

impl Provider {
    pub(super) fn new(clock: Arc<VirtualClock>, dice: Dice, lag_seconds_max: u64, spoil: Spoil) -> Self {
        let state = State {
            accounts: BTreeMap::new(),
            keys: BTreeMap::new(),
            snapshots: Vec::new(),
            dice,
            lag_seconds_max,
            made: 0,
            spoil,
        };
        Self { clock, state: Mutex::new(state) }
    }

    pub(super) fn add_account(&self, name: &str) -> ServiceAccountId {
        let id = ServiceAccountId::new(format!("user-{name}")).unwrap();
        self.state.lock().unwrap().accounts.insert(id.clone(), name.to_owned());
        self.change(|_| ());
        id
    }

    /// What a person does in the dashboard.
    pub(super) fn add_key(
        &self,
        account: &ServiceAccountId,
        name: &str,
        attributes: KeyAttributes,
    ) -> SimKey {
        let now = self.clock.truth();
        self.change(|state| state.make(account, name, attributes, None, now, now))
    }

    pub(super) fn spoil_next(&self, keys: u64) {
        self.state.lock().unwrap().spoil = Spoil::Permissions(keys);
    }

    pub(super) fn keys(&self) -> Vec<SimKey> {
        self.state.lock().unwrap().keys.values().cloned().collect()
    }

    /// The key of a value, if it is accepted now.
    pub(super) fn accepted(&self, fingerprint: &Fingerprint) -> Option<Key> {
        let now = self.clock.truth();
        let state = self.state.lock().unwrap();
        let of = |key: &&SimKey| key.print == *fingerprint;
        let key = state.keys.values().find(of)?;
        (key.key.is_alive(now) && key.accepted_from <= now).then(|| key.key.clone())
    }

    /// What a person does in the dashboard: enables, disables or, with `None`, deletes.
    pub(super) fn meddle(&self, id: &KeyId, enabled: Option<bool>) {
        self.change(|state| match (state.keys.get_mut(id), enabled) {
            (Some(key), Some(enabled)) => key.key.enabled = enabled,
            (_, None) => drop(state.keys.remove(id)),
            (None, _) => {}
        });
    }

    /// A key was used: listings show it, where they show such things.
    pub(super) fn count(&self, id: &KeyId, shown: bool) {
        if shown {
            self.change(|state| {
                if let Some(key) = state.keys.get_mut(id) {
                    key.key.character_count = Some(key.key.character_count.unwrap_or(0) + 1);
                }
            });
        }
    }

    /// The provider finds the key in public, and disables it.
    pub(super) fn expose(&self, id: &KeyId) {
        self.change(|state| {
            if let Some(key) = state.keys.get_mut(id) {
                key.key.enabled = false;
                key.key.disable_reason = Some(DisableReason::ExposedPublicly);
            }
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        let result = change(&mut state);
        let listed = state.keys.values().map(|key| key.key.clone()).collect();
        state.snapshots.push((self.clock.truth(), listed));
        result
    }

    fn set_expiry(&self, id: &KeyId, at: Option<Timestamp>) -> Result<(), Failure> {
        self.change(|state| match state.keys.get_mut(id) {
            Some(key) => {
                key.key.expires_at = at;
                Ok(())
            }
            None => Err(Failure::rejected(Kind::NotFound, "no such key")),
        })
    }

    fn set_enabled(&self, id: &KeyId, enabled: bool) -> Result<(), Failure> {
        self.change(|state| match state.keys.get_mut(id) {
            Some(key) => {
                key.key.enabled = enabled;
                Ok(())
            }
            None => Err(Failure::rejected(Kind::NotFound, "no such key")),
        })
    }
}

impl State {
    fn make(
        &mut self,
        account: &ServiceAccountId,
        name: &str,
        mut attributes: KeyAttributes,
        expires_at: Option<Timestamp>,
        now: Timestamp,
        accepted_from: Timestamp,
    ) -> SimKey {
        self.made += 1;
        let value = format!("sk_{:048x}", u128::from(self.made) * 0x0123_4567_89AB_CDEF);
        let id = KeyId::new(format!("key-{}", self.made)).unwrap();
        if let (Spoil::Permissions(first), true) = (self.spoil, name.contains("rk-")) {
            if let (rekeyd::domain::key::Permissions::Only(names), true) =
                (&mut attributes.permissions, first > 0)
            {
                names.pop_first();
            }
            self.spoil = Spoil::Permissions(first.saturating_sub(1));
        }
        let key = Key {
            id: id.clone(),
            account: account.clone(),
            name: name.to_owned(),
            hint: String::new(),
            created_at: Some(now),
            enabled: true,
            disable_reason: None,
            attributes,
            expires_at,
            usage_hash: Some(format!("hash-{}", self.made)),
            character_count: Some(0),
        };
        let print = Fingerprint::of(value.as_bytes());
        let made = SimKey { key, value, print, accepted_from };
        self.keys.insert(id, made.clone());
        made
    }
}

/// The provider's door for one life of the process.
pub(super) struct Door {
    pub(super) provider: Arc<Provider>,
    pub(super) fate: Arc<Fate>,
    pub(super) witness: Arc<Witness>,
    pub(super) life: u64,
}

#[async_trait]
impl Issuer for Door {
    async fn inventory(&self) -> Result<Inventory, Failure> {
        self.fate.before(self.life, "list").await?;
        let truth = self.provider.clock.truth();
        let inventory = {
            let mut state = self.provider.state.lock().unwrap();
            let lag_max = state.lag_seconds_max;
            let lag = if state.dice.chance(30) { state.dice.below(lag_max + 1) } else { 0 };
            let seen = truth - SignedDuration::from_secs(i64::try_from(lag).unwrap());
            let snapshot =
                state.snapshots.iter().rev().find(|(at, _)| *at <= seen).or_else(|| state.snapshots.first());
            let keys = snapshot.map(|(_, keys)| keys.clone()).unwrap_or_default();
            let of = |id: &ServiceAccountId| keys.iter().filter(|key| key.account == *id).cloned().collect();
            let account = |(id, name): (&ServiceAccountId, &String)| Account {
                id: id.clone(),
                name: name.clone(),
                keys: of(id),
            };
            let skew = -self.provider.clock.ahead();
            Inventory {
                accounts: state.accounts.iter().map(account).collect(),
                clock_skew_seconds: Some(skew),
            }
        };
        self.fate.after(self.life, "list").await?;
        Ok(inventory)
    }

    async fn create(
        &self,
        account: &ServiceAccountId,
        name: &str,
        request: &KeyRequest,
    ) -> Result<Minted, Failure> {
        self.fate.before(self.life, "create").await?;
        let now = self.provider.clock.truth();
        let made = self.provider.change(|state| {
            let lag = i64::try_from(state.dice.below(5)).unwrap();
            let accepted_from = now + SignedDuration::from_secs(lag);
            state.make(account, name, request.attributes.clone(), request.expires_at, now, accepted_from)
        });
        self.witness.minted(&made.key);
        self.fate.after(self.life, "create").await?;
        Ok(Minted { key: made.key.id, value: SecretValue::new(made.value).unwrap() })
    }

    async fn authenticate(&self, value: &SecretValue) -> Result<(), Failure> {
        self.fate.before(self.life, "authenticate").await?;
        self.witness.probed(&value.fingerprint());
        let accepted = self.provider.accepted(&value.fingerprint()).is_some();
        self.fate.after(self.life, "authenticate").await?;
        if accepted { Ok(()) } else { Err(Failure::rejected(Kind::NotActiveYet, "the key is not accepted")) }
    }

    async fn prove_admin(&self, value: &SecretValue) -> Result<(), Failure> {
        self.authenticate(value).await
    }

    async fn disable(&self, key: &Key) -> Result<(), Failure> {
        self.fate.before(self.life, "disable").await?;
        self.witness.revoking(key, "disabled");
        self.provider.set_enabled(&key.id, false)?;
        self.witness.look();
        self.fate.after(self.life, "disable").await
    }

    async fn enable(&self, key: &Key) -> Result<(), Failure> {
        self.fate.before(self.life, "enable").await?;
        self.provider.set_enabled(&key.id, true)?;
        self.fate.after(self.life, "enable").await
    }

    async fn set_expiry(&self, key: &Key, at: Option<Timestamp>) -> Result<(), Failure> {
        self.fate.before(self.life, "set expiry").await?;
        self.provider.set_expiry(&key.id, at)?;
        self.fate.after(self.life, "set expiry").await
    }

    async fn delete(&self, key: &Key) -> Result<(), Failure> {
        self.fate.before(self.life, "delete").await?;
        self.witness.revoking(key, "deleted");
        self.provider.change(|state| state.keys.remove(&key.id));
        self.witness.look();
        self.fate.after(self.life, "delete").await
    }
}
