//! The hooks of one life of the process: everything that can go wrong in a call, with the witness looking on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::failure::{Failure, Kind};
use rekeyd::domain::key::{KeyAttributes, Permissions};
use rekeyd::domain::secret::Fingerprint;
use rekeyd::rehearsal::hooks::{Hooks, Operation, ProviderCall, StoreCall};

use super::dice::Dice;
use super::evidence::Proof;
use super::fate::Fate;
use super::play::{Scenario, seconds};
use super::witness::Witness;

/// What is wrong with the keys that the provider creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Spoil {
    #[default]
    Nothing,
    /// The first so many lack a permission.
    Permissions(u64),
}

/// How the provider lags and what it spoils, in every life.
pub(super) struct Quirks {
    state: Mutex<(Dice, Spoil)>,
    lag_seconds_max: u64,
    /// In worlds whose stores answer late: the longest, in milliseconds, with the dice.
    store: (u64, Mutex<Dice>),
    /// When each new key was first accepted, where that comes and goes.
    flapping: Option<Mutex<BTreeMap<Fingerprint, Timestamp>>>,
}

/// How long a key that was accepted may be refused again.
const FLAPS_FOR: SignedDuration = SignedDuration::from_secs(4);

impl Quirks {
    pub(super) fn new(dice: Dice, scenario: &Scenario) -> Self {
        let flapping = scenario.flaps.then(Mutex::default);
        let state = Mutex::new((dice, scenario.spoil));
        let late = Dice::new(scenario.seed ^ 0x1A7E);
        let store = (scenario.store_lag_max, Mutex::new(late));
        Self { state, lag_seconds_max: scenario.lag_seconds_max, store, flapping }
    }

    /// A key is accepted once, then refused for some seconds, then accepted.
    fn flap(&self, key: &Fingerprint, now: Timestamp) -> Result<(), Failure> {
        let Some(flapping) = &self.flapping else { return Ok(()) };
        let mut first = flapping.lock().unwrap();
        let first = *first.entry(key.clone()).or_insert(now);
        if first < now && now < first + FLAPS_FOR {
            return Err(Failure::rejected(Kind::NotActiveYet, "the key is not accepted just now"));
        }
        Ok(())
    }

    fn is_any_flapping(&self, now: Timestamp) -> bool {
        let flapping = self.flapping.as_ref().map(|flapping| flapping.lock().unwrap());
        flapping.is_some_and(|first| first.values().any(|first| now < *first + FLAPS_FOR))
    }

    pub(super) fn spoil_next(&self, keys: u64) {
        self.state.lock().unwrap().1 = Spoil::Permissions(keys);
    }
}

pub(super) struct Life {
    pub(super) number: u64,
    pub(super) fate: Arc<Fate>,
    pub(super) witness: Arc<Witness>,
    pub(super) quirks: Arc<Quirks>,
    /// In worlds where evidence decides, with the dice by which analytics are silent.
    pub(super) proof: Option<(Proof, Mutex<Dice>)>,
}

#[async_trait]
impl Hooks for Life {
    async fn before(&self, operation: Operation<'_>) -> Result<(), Failure> {
        self.fate.before(self.number, operation.name()).await?;
        match operation {
            Operation::Provider(_, ProviderCall::Disable(key)) => {
                self.witness.revoking(self.number, key, "disabled")
            }
            Operation::Provider(_, ProviderCall::Delete(key)) => {
                self.witness.revoking(self.number, key, "deleted")
            }
            Operation::Provider(_, ProviderCall::Authenticate(value)) => {
                self.witness.probed(&value.fingerprint());
                if self.witness.is_accepted(&value.fingerprint()) {
                    self.quirks.flap(&value.fingerprint(), self.witness.now())?;
                }
            }
            Operation::Store(_, StoreCall::Promote, _) if self.quirks.is_any_flapping(self.witness.now()) => {
                self.witness.blame("I1", "a key is promoted while it is refused now and then");
            }
            Operation::Provider(_, ProviderCall::ProveAdmin(value) | ProviderCall::Canary(value, _)) => {
                self.witness.probed(&value.fingerprint())
            }
            Operation::Provider(..) | Operation::Store(..) => {}
        }
        Ok(())
    }

    async fn after(&self, operation: Operation<'_>) -> Result<(), Failure> {
        match operation {
            Operation::Provider(_, ProviderCall::Create { made: Some(made), .. }) => {
                self.witness.minted(self.number, made);
            }
            Operation::Provider(_, ProviderCall::Disable(_) | ProviderCall::Delete(_))
            | Operation::Store(_, StoreCall::Stage | StoreCall::Promote, _) => self.witness.look(),
            Operation::Provider(..) | Operation::Store(..) => {}
        }
        self.fate.after(self.number, operation.name()).await
    }

    fn on_create(&self, name: &str, attributes: &mut KeyAttributes) -> SignedDuration {
        let (dice, spoil) = &mut *self.quirks.state.lock().unwrap();
        let lag = seconds(dice.below(5));
        if let (Spoil::Permissions(first), true) = (*spoil, name.contains("rk-")) {
            if let (Permissions::Only(names), true) = (&mut attributes.permissions, first > 0) {
                names.pop_first();
            }
            *spoil = Spoil::Permissions(first.saturating_sub(1));
        }
        lag
    }

    fn listing_lag(&self) -> SignedDuration {
        let (dice, _) = &mut *self.quirks.state.lock().unwrap();
        let lag = if dice.chance(30) { dice.below(self.quirks.lag_seconds_max + 1) } else { 0 };
        seconds(lag)
    }

    fn store_lag(&self) -> SignedDuration {
        let (longest, dice) = &self.quirks.store;
        let mut dice = dice.lock().unwrap();
        // Most answers are old, and each comes from another replica.
        let lag = if *longest > 0 && dice.chance(70) { dice.below(longest + 1) } else { 0 };
        SignedDuration::from_millis(i64::try_from(lag).unwrap())
    }

    fn usage_is_visible(&self) -> Result<bool, String> {
        let Some((proof, dice)) = &self.proof else { return Ok(true) };
        if dice.lock().unwrap().chance(proof.silent) {
            return Err("the analytics do not answer".to_owned());
        }
        Ok(!proof.narrowed)
    }
}
