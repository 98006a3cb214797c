//! An imagined ElevenLabs workspace: it does what it is asked to at once, and shows every use of its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::adapters::elevenlabs::wire::Asked;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::{KeyId, ServiceAccountId, WorkspaceName};
use crate::domain::key::{Account, Inventory, Key, KeyRequest};
use crate::domain::secret::{Fingerprint, SecretValue};
use crate::domain::usage::{Reading, Source, Use};
use crate::ports::clock::Clock as _;
use crate::ports::issuer::{AdminKey, Issuer, Minted};
use crate::ports::usage::UsageSource;
use crate::rehearsal::call_log::CallLog;
use crate::rehearsal::clock::VirtualClock;
use crate::rehearsal::crash::Fuse;

/// The id of the first key that is made; later ones are numbered.
const NEW_KEY: &str = "NEW_KEY_ID";

pub(super) struct Workspace {
    name: WorkspaceName,
    clock: VirtualClock,
    ledger: CallLog,
    fuse: Fuse,
    admin_key: Arc<AdminKey>,
    state: Mutex<State>,
}

struct State {
    accounts: BTreeMap<ServiceAccountId, String>,
    keys: BTreeMap<KeyId, (Key, Fingerprint)>,
    made: u64,
    /// Since when consumers use the newest key; before that they used the one before.
    used: BTreeMap<KeyId, (Timestamp, Option<Timestamp>)>,
}

impl Workspace {
    pub(super) fn new(
        name: WorkspaceName,
        clock: VirtualClock,
        ledger: CallLog,
        fuse: Fuse,
        admin_key: Arc<AdminKey>,
    ) -> Self {
        let state =
            State { accounts: BTreeMap::new(), keys: BTreeMap::new(), made: 0, used: BTreeMap::new() };
        Self { name, clock, ledger, fuse, admin_key, state: Mutex::new(state) }
    }

    pub(super) fn admin_key(&self) -> Arc<AdminKey> {
        Arc::clone(&self.admin_key)
    }

    pub(super) fn add_account(&self, id: ServiceAccountId, name: String) {
        self.state().accounts.insert(id, name);
    }

    pub(super) fn add_key(&self, key: Key, print: Fingerprint) {
        self.state().keys.insert(key.id.clone(), (key, print));
    }

    /// Whether a value of this fingerprint is accepted now.
    pub(super) fn accepts(&self, print: &Fingerprint) -> bool {
        let now = self.clock.now();
        self.state().keys.values().any(|(key, of)| of == print && key.is_alive(now))
    }

    /// Consumers have taken this one up, and left those before it in its account.
    pub(super) fn is_used(&self, print: &Fingerprint, at: Timestamp) {
        let mut state = self.state();
        let Some(key) = state.keys.values().find(|(_, of)| of == print).map(|(key, _)| key.clone()) else {
            return;
        };
        let others: BTreeSet<KeyId> = state
            .keys
            .values()
            .filter(|(other, _)| other.account == key.account && other.id != key.id)
            .map(|(other, _)| other.id.clone())
            .collect();
        for other in others {
            if let Some((_, until)) = state.used.get_mut(&other) {
                until.get_or_insert(at);
            }
        }
        state.used.entry(key.id).or_insert((at, None)).1 = None;
    }

    async fn asked(&self, asked: Asked<'_>) {
        self.fuse.before(self.clock.now()).await;
        self.ledger.asked(self.clock.now(), &self.name, asked);
    }

    /// The call has had its effect.
    async fn done(&self) {
        self.fuse.after(self.clock.now()).await;
    }

    fn make(&self, account: &ServiceAccountId, name: &str, request: &KeyRequest) -> Option<Minted> {
        let now = self.clock.now();
        let mut state = self.state();
        state.made += 1;
        let id = if state.made == 1 { NEW_KEY.to_owned() } else { format!("{NEW_KEY}_{}", state.made) };
        let id = KeyId::new(id).ok()?;
        let value = SecretValue::new(format!("imagined-{}-{}", self.name, state.made)).ok()?;
        let key = Key {
            id: id.clone(),
            account: account.clone(),
            name: name.to_owned(),
            hint: String::new(),
            created_at: Some(now),
            enabled: true,
            disable_reason: None,
            attributes: request.attributes.clone(),
            expires_at: request.expires_at,
            usage_hash: Some(id.to_string()),
            character_count: Some(0),
        };
        state.keys.insert(id.clone(), (key, value.fingerprint()));
        Some(Minted { key: id, value })
    }

    fn change(&self, key: &Key, change: impl FnOnce(&mut Key)) -> Result<(), Failure> {
        match self.state().keys.get_mut(&key.id) {
            Some((key, _)) => {
                change(key);
                Ok(())
            }
            None => Err(Failure::rejected(Kind::NotFound, "there is no such key")),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Issuer for Workspace {
    async fn inventory(&self) -> Result<Inventory, Failure> {
        self.asked(Asked::List).await;
        let state = self.state();
        let keys_of = |id: &ServiceAccountId| {
            let keys = state.keys.values().filter(|(key, _)| key.account == *id);
            keys.map(|(key, _)| key.clone()).collect()
        };
        let account = |(id, name): (&ServiceAccountId, &String)| Account {
            id: id.clone(),
            name: name.clone(),
            keys: keys_of(id),
        };
        Ok(Inventory { accounts: state.accounts.iter().map(account).collect(), clock_skew_seconds: Some(0) })
    }

    async fn create(
        &self,
        account: &ServiceAccountId,
        name: &str,
        request: &KeyRequest,
    ) -> Result<Minted, Failure> {
        self.asked(Asked::Create { account: account.as_str() }).await;
        let made = self.make(account, name, request);
        self.done().await;
        made.ok_or_else(|| Failure::rejected(Kind::Invalid, "no such key can be imagined"))
    }

    async fn authenticate(&self, value: &SecretValue) -> Result<(), Failure> {
        self.asked(Asked::Authenticate).await;
        if self.accepts(&value.fingerprint()) {
            return Ok(());
        }
        Err(Failure::rejected(Kind::NotActiveYet, "the imagined provider does not know the key"))
    }

    async fn prove_admin(&self, _: &SecretValue) -> Result<(), Failure> {
        self.asked(Asked::ProveAdmin).await;
        Ok(())
    }

    async fn disable(&self, key: &Key) -> Result<(), Failure> {
        self.asked(Asked::Disable { account: key.account.as_str(), key: key.id.as_str() }).await;
        self.change(key, |key| key.enabled = false)?;
        self.done().await;
        Ok(())
    }

    async fn enable(&self, key: &Key) -> Result<(), Failure> {
        self.asked(Asked::Enable { account: key.account.as_str(), key: key.id.as_str() }).await;
        self.change(key, |key| key.enabled = true)
    }

    async fn set_expiry(&self, key: &Key, at: Option<Timestamp>) -> Result<(), Failure> {
        self.asked(Asked::SetExpiry { account: key.account.as_str(), key: key.id.as_str() }).await;
        self.change(key, |key| key.expires_at = at)
    }

    async fn delete(&self, key: &Key) -> Result<(), Failure> {
        self.asked(Asked::Delete { account: key.account.as_str(), key: key.id.as_str() }).await;
        self.state().keys.remove(&key.id);
        self.done().await;
        Ok(())
    }
}

#[async_trait]
impl UsageSource for Workspace {
    async fn usage(&self, keys: &[Key], since: Timestamp) -> Vec<Reading> {
        self.asked(Asked::Usage).await;
        let (now, state) = (self.clock.now(), self.state());
        let mut uses: BTreeMap<KeyId, Vec<Use>> = BTreeMap::new();
        for key in keys {
            let Some((first, last)) = state.used.get(&key.id) else { continue };
            let last = last.unwrap_or(now);
            if last < since {
                continue;
            }
            let minute = SignedDuration::from_mins(1);
            let from = last.saturating_sub(minute).unwrap_or(last).max(*first);
            uses.entry(key.id.clone()).or_default().push(Use {
                from,
                until: last,
                amount: 1,
                about: BTreeMap::new(),
            });
        }
        vec![Reading { source: Source::UsageByKey, at: now, since, uses: Ok(uses) }]
    }

    async fn canary(&self, _: &SecretValue, voice: &str) -> Result<(), Failure> {
        self.asked(Asked::Canary { voice }).await;
        Ok(())
    }
}
