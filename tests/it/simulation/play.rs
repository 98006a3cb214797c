//! Plays one scenario: the real engine with calls that fail, processes that die, and consumers that cache.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::memory::store::{FirstVersion, MemoryStore};
use rekeyd::adapters::{aws_secrets_manager, directory};
use rekeyd::domain::acceptance::AcceptanceRule;
use rekeyd::domain::hold::Hold;
use rekeyd::domain::ids::{ServiceAccountId, StoreName};
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::domain::policy::Policy;
use rekeyd::domain::secret::SecretValue;
use rekeyd::engine::{Command, Context, Controller, Handle, Periods, Timing, WorkspaceClient};
use rekeyd::ports::issuer::AdminKey;
use rekeyd::ports::journal::HoldRegister as _;
use rekeyd::ports::secret_store::SecretStore;
use rekeyd::rehearsal::clock::VirtualClock;
use rekeyd::rehearsal::hooks::Hooks;
use rekeyd::rehearsal::store::Store;
use rekeyd::rehearsal::workspace::{Workspace, client::Client, key::settings};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::by_hand::publish_by_hand;
use super::credentials::{AT_LEAST, AT_LEAST_OF_PROOF, attributes, credential, limits, workspace};
use super::evidence::{Endpoints, Proof};
use super::fate::{Doom, Fate, Odds};
use super::life::{Life, Quirks, Spoil};
use super::restraint::{Restraint, freeze};
use super::society::WrongClock;
use super::witness::{Place, Witness};
use super::{chronicle::Chronicle, dice::Dice};

/// How long a consumer keeps what it read, at most.
pub(super) const CACHE: SignedDuration = SignedDuration::from_mins(8);

/// Something that somebody does.
pub(super) type Act = fn(&Harness);

#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) hours: i64,
    pub(super) credentials: usize,
    pub(super) odds: Odds,
    pub(super) doom: Option<(u64, Doom)>,
    pub(super) spoil: Spoil,
    /// The provider refuses a new key again for some seconds after it has accepted it.
    pub(super) flaps: bool,
    /// The credential has no key yet.
    pub(super) first_key: bool,
    /// The credential's service account is not there yet, and the policy has it created.
    pub(super) creates_account: bool,
    pub(super) acks: bool,
    pub(super) then: AfterDeadline,
    pub(super) first_version: FirstVersion,
    /// Minutes between wishes of a restless operator; 0 for none.
    pub(super) wishes_every: u64,
    /// What the operator wishes; picked by chance.
    pub(super) wishes: Vec<Command>,
    /// Somebody else writes other fields of the shared secret.
    pub(super) neighbours: bool,
    /// Somebody else overwrites a destination once, after so many minutes; 0 for never.
    pub(super) tampering_after: u64,
    pub(super) lag_seconds_max: u64,
    /// How old a store's answers are, in milliseconds at most; 0 for never.
    pub(super) store_lag_max: u64,
    /// Our clock jumps now and then, by up to so many seconds either way, and comes right again; 0 for never.
    pub(super) clock_jumps: u64,
    pub(super) wrong_clock: WrongClock,
    /// Nothing starts and nothing is revoked in these minutes.
    pub(super) freeze: Option<(i64, i64)>,
    /// What is so before the first start.
    pub(super) prepare: Act,
    /// What is done after so many seconds; then the policy is reloaded.
    pub(super) script: Vec<(u64, Act)>,
    /// Minutes between changes of the policy; 0 for never.
    pub(super) reloads_every: u64,
    /// Minutes between inspections; 0 for none.
    pub(super) inspects_every: u64,
    /// Minutes between what people do to keys in the dashboard; 0 for never.
    pub(super) people_every: u64,
    pub(super) key_lifetime: Option<SignedDuration>,
    pub(super) quarantine: SignedDuration,
    pub(super) restraint: Restraint,
    /// In worlds where evidence decides.
    pub(super) proof: Option<Proof>,
}

impl Scenario {
    pub(super) fn plain(seed: u64) -> Self {
        Self {
            seed,
            hours: 3,
            credentials: 1,
            odds: Odds::default(),
            doom: None,
            spoil: Spoil::Nothing,
            flaps: false,
            first_key: false,
            creates_account: false,
            acks: false,
            then: AfterDeadline::Hold,
            first_version: FirstVersion::Pending,
            wishes_every: 0,
            wishes: Vec::new(),
            neighbours: false,
            tampering_after: 0,
            lag_seconds_max: 0,
            store_lag_max: 0,
            clock_jumps: 0,
            wrong_clock: WrongClock::default(),
            freeze: None,
            prepare: |_| {},
            script: Vec::new(),
            reloads_every: 0,
            inspects_every: 0,
            people_every: 0,
            key_lifetime: None,
            quarantine: SignedDuration::from_mins(10),
            restraint: Restraint::default(),
            proof: None,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) violations: Vec<String>,
    pub(super) points: u64,
    pub(super) trace: String,
    /// How often each event was journalled.
    pub(super) done: u64,
    pub(super) minted: u64,
    /// Of the time in which things could go wrong.
    pub(super) minted_before_the_end: u64,
    pub(super) begun_before_the_end: u64,
    pub(super) rolled_back: u64,
    pub(super) discarded: u64,
    pub(super) parked: u64,
    /// How often the old key was given an expiry, or a later one.
    pub(super) expiries: u64,
    pub(super) lives: u64,
    /// How often a rotation was parked because of a value of somebody else.
    pub(super) foreign_values: u64,
    pub(super) restaged: u64,
    /// The most versions that one new key took in one destination.
    pub(super) versions_max: usize,
    pub(super) held_before_the_end: Vec<Hold>,
    pub(super) accounts: Vec<String>,
}

impl Played {
    #[track_caller]
    pub(super) fn assert_sound(&self, scenario: &Scenario) {
        assert!(
            self.violations.is_empty(),
            "{scenario:#?}\n{}\n\n{}",
            self.trace
                .lines()
                .rev()
                .take(if std::env::var_os("REKEYD_SEED").is_some() { usize::MAX } else { 400 })
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join("\n"),
            self.violations.iter().take(12).cloned().collect::<Vec<_>>().join("\n"),
        );
    }
}

/// Plays it in virtual time.
pub(super) fn play(scenario: &Scenario) -> Played {
    let clock = VirtualClock::new(epoch());
    clock.runtime().unwrap().block_on(Arc::new(Harness::build(scenario, clock)).play())
}

/// When every simulation begins.
pub(super) fn epoch() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().unwrap()
}

pub(super) fn seconds(count: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(count).unwrap())
}

/// One scenario's world.
pub(super) struct Harness {
    pub(super) scenario: Scenario,
    pub(super) clock: VirtualClock,
    pub(super) fate: Arc<Fate>,
    pub(super) quirks: Arc<Quirks>,
    pub(super) provider: Arc<Workspace>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) witness: Arc<Witness>,
    pub(super) journal: MemoryJournal,
    pub(super) policy: Mutex<Policy>,
    pub(super) handle: Arc<Mutex<Option<Handle>>>,
}

impl Harness {
    fn build(scenario: &Scenario, clock: VirtualClock) -> Self {
        let dice = Dice::new(scenario.seed);
        let fate = Arc::new(Fate::new(clock.clone(), dice, scenario.odds, scenario.doom));
        let dice = Dice::new(scenario.seed ^ 0xABCD);
        let quirks = Arc::new(Quirks::new(dice, scenario));
        let admin = AdminKey::new(SecretValue::new("an-operators-admin-key".to_owned()).unwrap());
        let provider = Arc::new(Workspace::new(workspace(), clock.clone(), admin));
        let time = clock.clone();
        let store = Arc::new(MemoryStore::timed(scenario.first_version, move || time.truth()));
        let mut policy = Policy::default();
        policy.workspaces.insert(workspace(), limits(&scenario.restraint));
        let mut places = Vec::new();
        for index in 0..scenario.credentials {
            let credential = credential(scenario, index);
            let account = ServiceAccountId::new(format!("user-{}", credential.service_account)).unwrap();
            if !scenario.creates_account {
                provider.add_account(&account, &credential.service_account);
            }
            if !scenario.first_key {
                let lag = SignedDuration::ZERO;
                let by_hand = settings("made by hand", attributes(), None);
                let key = provider.create_key(&account, by_hand, lag).unwrap();
                publish_by_hand(&store, &credential, &key.value);
            }
            for destination in &credential.destinations {
                places.push(Place {
                    credential: credential.name.clone(),
                    destination: destination.clone(),
                    store: Arc::clone(&store),
                    attributes: attributes(),
                    at_least: if scenario.proof.is_some() { AT_LEAST_OF_PROOF } else { AT_LEAST },
                });
            }
            policy.credentials.insert(credential.name.clone(), credential);
        }
        let witness = Arc::new(Witness::new(
            clock.clone(),
            Arc::clone(&provider),
            places,
            if scenario.clock_jumps > 0 { scenario.wrong_clock.tolerance } else { SignedDuration::ZERO },
            scenario.freeze.map(freeze),
            scenario.restraint.clone(),
        ));
        if !scenario.first_key {
            (0..witness.places().len()).for_each(|place| witness.in_service(place));
        }
        Self {
            scenario: scenario.clone(),
            clock,
            fate,
            quirks,
            provider,
            store,
            witness,
            journal: MemoryJournal::new(),
            policy: Mutex::new(policy),
            handle: Arc::default(),
        }
    }

    pub(super) fn context(&self, number: u64) -> Context {
        let seed_of = self.scenario.seed;
        let (fate, witness) = (|| Arc::clone(&self.fate), || Arc::clone(&self.witness));
        let life = Life {
            number,
            fate: fate(),
            witness: witness(),
            quirks: Arc::clone(&self.quirks),
            proof: self.scenario.proof.map(|proof| (proof, Mutex::new(Dice::new(seed_of ^ number << 16)))),
        };
        let hooks: Arc<dyn Hooks> = Arc::new(life);
        let kind = match self.scenario.first_version {
            FirstVersion::Pending => &directory::kind::KIND,
            FirstVersion::Current => &aws_secrets_manager::kind::KIND,
        };
        let store = Store::new(Arc::clone(&self.store), kind, Arc::clone(&hooks));
        let again = Store::new(Arc::clone(&self.store), kind, hooks.clone());
        let named = |name: &str, store: Store| {
            (StoreName::new(name).unwrap(), Arc::new(store) as Arc<dyn SecretStore>)
        };
        // One store under two names.
        let stores: BTreeMap<StoreName, Arc<dyn SecretStore>> =
            [named("local", store), named("again", again)].into();
        let journal =
            Chronicle { journal: self.journal.clone(), fate: fate(), witness: witness(), life: number };
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&seed_of.to_be_bytes());
        seed[8..].copy_from_slice(&number.to_be_bytes());
        Context {
            policy: self.policy.lock().unwrap().clone(),
            workspaces: [(workspace(), Arc::new(self.workspace_client(hooks)))].into(),
            stores,
            journal: Arc::new(journal),
            prober: Arc::new(Endpoints { witness: witness(), dice: Mutex::new(Dice::new(seed_of ^ number)) }),
            clock: Arc::new(self.clock.clone()),
            timing: Timing {
                settle: SignedDuration::from_secs(90),
                activation_deadline: SignedDuration::from_mins(10),
                acceptances: AcceptanceRule { count: 3, over: SignedDuration::from_secs(5) },
                clock_skew_max: SignedDuration::from_mins(2),
                look_again: SignedDuration::from_mins(5),
                periods: Periods::NEVER,
            },
            seed,
        }
    }

    fn workspace_client(&self, hooks: Arc<dyn Hooks>) -> WorkspaceClient {
        let client = Arc::new(Client::new(Arc::clone(&self.provider), hooks));
        let limits = limits(&self.scenario.restraint);
        let workspace = WorkspaceClient::new(workspace(), Arc::clone(&client) as _, limits);
        if self.scenario.proof.is_some() { workspace.watched_by(client) } else { workspace }
    }

    async fn play(self: Arc<Self>) -> Played {
        (self.scenario.prepare)(&self);
        let consumers = self.start_consumers();
        let operator = self.start_operator();
        let neighbour = self.start_neighbour();
        let clockmaker = self.start_clockmaker();
        let meddlers = self.start_meddlers();
        let horizon = self.clock.truth() + SignedDuration::from_hours(self.scenario.hours);
        let mut dice = Dice::new(self.scenario.seed ^ 0x5EED);
        // What people have written before rekeyd came is no news.
        self.clock
            .sleep(SignedDuration::from_millis(2 * i64::try_from(self.scenario.store_lag_max).unwrap()))
            .await;
        let mut lives = 0;
        while self.clock.truth() < horizon {
            lives += 1;
            self.live(self.clock.wait(horizon)).await;
            self.clock.sleep(seconds(dice.below(600))).await;
        }
        operator.abort();
        neighbour.abort();
        clockmaker.abort();
        meddlers.iter().for_each(tokio::task::JoinHandle::abort);
        self.restore_policy();
        self.calm_down();
        self.clock.set_ahead(SignedDuration::ZERO);
        let begun_before_the_end = self.witness.count("begun");
        let minted_before_the_end = self.witness.count("minted");
        let held_before_the_end = self.journal.holds().await.unwrap();
        self.fate.be_kind();
        self.live(self.come_to_rest()).await;
        consumers.iter().for_each(tokio::task::JoinHandle::abort);
        let count = |event: &str| self.witness.count(event);
        Played {
            violations: self.witness.violations(),
            points: self.fate.points(),
            trace: self.fate.trace(),
            done: count("old_key_gone"),
            minted: count("minted"),
            minted_before_the_end,
            begun_before_the_end,
            rolled_back: count("new_key_gone"),
            discarded: count("discarded"),
            parked: count("parked"),
            expiries: count("expiry_settled"),
            lives,
            foreign_values: self.witness.foreign_values(),
            restaged: count("destination_changed"),
            versions_max: self.versions_max().await,
            held_before_the_end,
            accounts: self.provider.account_names(),
        }
    }

    /// One life of the process: until it dies, or until `end`, which it does not see coming either.
    pub(super) async fn live(&self, end: impl Future<Output = ()>) {
        let life = self.fate.begin_life();
        self.fate.note(format!("== life {life} at {}", self.clock.truth()));
        let (controller, handle) =
            Controller::load(self.context(life), Arc::new(Notify::new())).await.unwrap();
        *self.handle.lock().unwrap() = Some(handle);
        tokio::select! {
            stopped = controller.run(CancellationToken::new(), Duration::from_secs(1)) => {
                self.witness.blame("I7", &format!("the engine stopped: {stopped:?}"));
            }
            () = self.fate.death() => {}
            () = end => {}
        }
        *self.handle.lock().unwrap() = None;
    }
}
