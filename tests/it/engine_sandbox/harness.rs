//! A workspace, a directory, a journal and a controller over them, with a consumer that reads all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::adapters::directory::{self, Directory};
use rekeyd::adapters::elevenlabs::{ElevenLabs, Settings};
use rekeyd::adapters::prober::NetworkProber;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::acceptance::AcceptanceRule;
use rekeyd::domain::ack::{Ack, Health};
use rekeyd::domain::event::Event;
use rekeyd::domain::gate::Evidence;
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::ids::{ConsumerName, CredentialName, StoreName, WorkspaceName};
use rekeyd::domain::key::{KeyAttributes, Permissions};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::{AfterDeadline, Destination, RevocationPolicy};
use rekeyd::domain::policy::{Credential, IfVanished, Mode, Policy, WorkspaceLimits};
use rekeyd::domain::report::{CredentialReport, Facts};
use rekeyd::domain::schedule::{Cadence, Schedule};
use rekeyd::domain::secret::SecretValue;
use rekeyd::engine::{
    Command, CommandError, Context, Controller, ControllerError, Handle, Periods, Timing, WorkspaceClient,
};
use rekeyd::ports::clock::Clock;
use rekeyd::ports::issuer::{AdminKey, Issuer};
use rekeyd::ports::journal::{CredentialState, Journal};
use rekeyd::ports::prober::Prober;
use rekeyd::ports::secret_store::SecretStore;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings as KeySettings};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::clock::{BRISK, HurriedClock};

const LONGEST: Duration = Duration::from_secs(20);

/// What the service account has to begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    WithoutKey,
    WithKey,
}

/// A controller at work: the way to it, what stops it, and how it ends.
type Life = (Handle, CancellationToken, JoinHandle<Result<(), ControllerError>>);

pub(super) struct Harness {
    pub(super) sandbox: Sandbox,
    pub(super) folder: TempDir,
    pub(super) journal: Arc<dyn Journal>,
    prober: Arc<dyn Prober>,
    terms: RevocationPolicy,
    pub(super) timing: Timing,
    start: Start,
    /// What is different about the credential.
    pub(super) change: fn(&mut Credential),
    pub(super) emergencies_at_once: usize,
    pub(super) mints_per_hour: u32,
    /// The provider, or a person, has taken a key out of service: that it is refused is not our doing.
    pub(super) outage: bool,
    pub(super) life: Option<Life>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Harness {
    pub(super) async fn start(rules: Rules, start: Start) -> Self {
        let mut harness = Self::prepare(rules, start).await;
        harness.live().await;
        harness
    }

    /// Everything but the controller.
    pub(super) async fn prepare(rules: Rules, start: Start) -> Self {
        Self::prepare_on(Arc::new(SystemClock), BRISK, rules, start).await
    }

    /// The same where a minute passes in a second, so that the provider's buckets of a minute do.
    pub(super) async fn hurried(rules: Rules, start: Start) -> Self {
        let clock = HurriedClock { factor: 60, began: Instant::now(), from: SystemClock.now() };
        let timing = Timing {
            settle: SignedDuration::from_secs(30),
            activation_deadline: SignedDuration::from_mins(10),
            acceptances: AcceptanceRule { count: 2, over: SignedDuration::ZERO },
            clock_skew_max: SignedDuration::from_mins(10),
            look_again: SignedDuration::from_secs(10),
            periods: Periods::NEVER,
        };
        Self::prepare_on(Arc::new(clock), timing, rules, start).await
    }

    pub(super) async fn prepare_on(
        clock: Arc<dyn Clock>,
        timing: Timing,
        rules: Rules,
        start: Start,
    ) -> Self {
        let options = Options { seed: Some(1), rules, ..Options::new(Arc::clone(&clock)) };
        let sandbox = Sandbox::start(options).await.unwrap();
        let now = clock.now();
        let account = sandbox.workspace().create_account("tts-backend", now);
        if start == Start::WithKey {
            let permissions = Granted::Only(vec!["text_to_speech".to_owned(), "voices_read".to_owned()]);
            let settings = KeySettings::new("made by hand", permissions);
            drop(sandbox.workspace().create_key(&account, settings, now).unwrap());
        }
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
        let terms = RevocationPolicy {
            at_least: SignedDuration::from_millis(300),
            at_most: SignedDuration::from_hours(1),
            then: AfterDeadline::Hold,
            gates: vec![],
            confirm: ConfirmWhen::Never,
            acks_valid_for: None,
            canary: None,
            quarantine: SignedDuration::from_millis(200),
        };
        let (change, emergencies_at_once, outage): (fn(&mut Credential), _, _) = (|_| (), 3, false);
        Self {
            sandbox,
            folder,
            journal: Arc::new(journal),
            prober: Arc::new(NetworkProber::default()),
            terms,
            timing,
            start,
            change,
            emergencies_at_once,
            mints_per_hour: 100,
            outage,
            life: None,
            clock,
        }
    }

    pub(super) async fn live(&mut self) {
        let (controller, handle) = Controller::load(self.setup(), Arc::new(Notify::new())).await.unwrap();
        let shutdown = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "the test is the engine's supervisor")]
        let task = tokio::spawn(controller.run(shutdown.clone(), Duration::from_secs(5)));
        self.life = Some((handle, shutdown, task));
    }

    fn setup(&self) -> Context {
        let workspace = WorkspaceName::new("sandbox").unwrap();
        let limits = WorkspaceLimits {
            rotations_at_once: 4,
            mints_per_hour: self.mints_per_hour,
            ..WorkspaceLimits::default()
        };
        let issuer = ElevenLabs::new(Settings {
            base_url: self.sandbox.base_url(),
            admin_key: AdminKey::new(SecretValue::new(self.sandbox.admin_key()).unwrap()),
            request_timeout: Duration::from_secs(5),
            in_flight: NonZeroUsize::new(3).unwrap(),
            requests_per_second: None,
            ca_pem: None,
            clock: Arc::clone(&self.clock),
        });
        let issuer = Arc::new(issuer.unwrap());
        let workspace_client =
            WorkspaceClient::new(workspace.clone(), Arc::clone(&issuer) as Arc<dyn Issuer>, limits);
        let workspace_client = workspace_client.watched_by(issuer);
        let directory = Directory::open(&directory::Settings::new(self.folder.path().join("secrets")));
        let stores: BTreeMap<StoreName, Arc<dyn SecretStore>> =
            [(store(), Arc::new(directory.unwrap()) as Arc<dyn SecretStore>)].into();
        let mut credential = self.credential(&workspace);
        (self.change)(&mut credential);
        let credentials = [(name(), credential)].into();
        Context {
            policy: Policy {
                workspaces: [(workspace.clone(), limits)].into(),
                credentials,
                emergencies_at_once: self.emergencies_at_once,
                ..Policy::default()
            },
            workspaces: [(workspace, Arc::new(workspace_client))].into(),
            stores,
            journal: Arc::clone(&self.journal),
            prober: Arc::clone(&self.prober),
            clock: Arc::clone(&self.clock),
            timing: self.timing,
            seed: [7; 16],
        }
    }

    fn credential(&self, workspace: &WorkspaceName) -> Credential {
        let permissions = Permissions::Only(["text_to_speech".to_owned()].into());
        Credential {
            name: name(),
            workspace: workspace.clone(),
            service_account: "tts-backend".to_owned(),
            create_account: None,
            adopt: None,
            first: (self.start == Start::WithoutKey).then(|| KeyAttributes::of(permissions)),
            allow_unrestricted: false,
            key_lifetime: None,
            after: BTreeSet::new(),
            bake: SignedDuration::ZERO,
            expire_old_key: None,
            if_vanished: IfVanished::Alert,
            mode: Mode::Rotate,
            destinations: vec![Destination {
                store: store(),
                secret: "tts-backend".to_owned(),
                json_field: None,
                create: true,
                create_field: false,
            }],
            schedule: Schedule {
                cadence: Cadence::Every(SignedDuration::from_hours(24)),
                jitter: SignedDuration::ZERO,
                window: None,
                freezes: vec![],
            },
            terms: self.terms.clone(),
        }
    }

    /// Other terms from the next life on.
    pub(super) fn agree(&mut self, change: impl FnOnce(&mut RevocationPolicy)) {
        change(&mut self.terms);
    }

    /// Asks probes in another way from the next life or reload on.
    pub(super) fn ask_by(&mut self, prober: impl Prober + 'static) {
        self.prober = Arc::new(prober);
    }

    /// Puts a policy with other terms in force.
    pub(super) async fn revise(&mut self, change: impl FnOnce(&mut RevocationPolicy)) {
        change(&mut self.terms);
        let setup = self.setup();
        self.life.as_ref().unwrap().0.reload(setup).await.unwrap();
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.life.as_ref().unwrap().0
    }

    pub(super) async fn request(&self, command: Command) -> Result<String, CommandError> {
        self.life.as_ref().unwrap().0.request(name(), command, "a test".to_owned()).await
    }

    pub(super) async fn acknowledge(&self, consumer: &str, health: Health) {
        let now = self.clock.now();
        let consumer = ConsumerName::new(consumer).unwrap();
        let fingerprint = self.served().unwrap().fingerprint();
        let ack = Ack { consumer, fingerprint, health, since: now, at: now };
        self.life.as_ref().unwrap().0.acknowledge(name(), ack).await.unwrap();
    }

    /// What is told of the credential, from the journal as it is.
    pub(super) async fn report(&self) -> CredentialReport {
        let known = self.journal.load_one(&name()).await.unwrap().unwrap();
        let rotation = known.rotation.as_ref();
        let observed = match rotation {
            Some(rotation) => self.journal.observed(&name(), rotation.plan.rotation).await.unwrap(),
            None => None,
        };
        let acks = self.journal.acks(&name()).await.unwrap();
        let evidence = Evidence { acks, observed: observed.unwrap_or_default() };
        let policy = self.setup().policy;
        let policy = policy.credentials.get(&name());
        let facts = Facts { record: &known.record, rotation, evidence: &evidence, policy };
        CredentialReport::new(facts, self.clock.now())
    }

    /// Until the report is as wanted.
    pub(super) async fn told(
        &self,
        what: &str,
        wanted: impl Fn(&CredentialReport) -> bool,
    ) -> CredentialReport {
        let mut told = None;
        self.until(what, async |harness, _| {
            told = Some(harness.report().await).filter(&wanted);
            told.is_some()
        })
        .await;
        told.unwrap()
    }

    /// Ends the daemon's part; the world stays.
    pub(super) async fn stop_controller(&mut self) {
        let (handle, shutdown, task) = self.life.take().unwrap();
        drop(handle);
        shutdown.cancel();
        task.await.unwrap().unwrap();
    }

    pub(super) async fn stop(mut self) {
        self.stop_controller().await;
        self.sandbox.shutdown().await;
    }

    /// What the journal holds.
    pub(super) async fn known(&self) -> CredentialState {
        self.journal.load_one(&name()).await.unwrap().unwrap()
    }

    /// Every event so far, of all rotations.
    pub(super) async fn events(&self) -> Vec<Event> {
        let chapters = self.journal.history(&name(), 100).await.unwrap();
        chapters.into_iter().flat_map(|chapter| chapter.entries).map(|entry| entry.event).collect()
    }

    /// The value that consumers read.
    pub(super) fn served(&self) -> Option<SecretValue> {
        let text = std::fs::read_to_string(self.folder.path().join("secrets/tts-backend")).ok()?;
        SecretValue::new(text.trim_end().to_owned()).ok()
    }

    pub(super) fn states(&self) -> Vec<State> {
        self.sandbox.truth().keys().map(|key| key.state).collect()
    }

    pub(super) fn calls(&self, route: Route) -> u64 {
        self.sandbox.truth().requests.get(&route).copied().unwrap_or(0)
    }

    /// So many rotations are done.
    pub(super) async fn done(&mut self, wanted: usize) {
        let mut done = 0;
        self.until(&format!("{wanted} rotations are done"), async |harness, _| {
            let chapters = harness.journal.history(&name(), 100).await.unwrap();
            let over = |chapter: &&rekeyd::ports::journal::RotationHistory| {
                let events = chapter.entries.iter().map(|entry| (entry.at, entry.event.clone()));
                let folded = rekeyd::domain::rotation::Rotation::fold(events).unwrap();
                folded.phase.name() == PhaseName::Done
            };
            done = chapters.iter().filter(over).count();
            done >= wanted
        })
        .await;
        assert_eq!(done, wanted);
    }

    pub(super) async fn reaches(&self, phase: PhaseName) {
        self.until(&format!("{phase:?}"), async |_, known| {
            known.rotation.is_some_and(|rotation| rotation.phase.name() == phase)
        })
        .await;
    }

    pub(super) async fn ended(&self, phase: PhaseName) {
        self.until(&format!("{phase:?}"), async |_, known| {
            known.record.open.is_none() && known.record.last.is_some_and(|last| last.outcome == phase)
        })
        .await;
    }

    /// Waits, and looks all the while whether what is served is accepted (I1).
    pub(super) async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self, CredentialState) -> bool) {
        let begun = Instant::now();
        loop {
            if let Some(value) = self.served().filter(|_| !self.outage) {
                let accepted = self.sandbox.workspace().accepts(value.expose(), self.clock.now());
                assert!(accepted, "{} is served and refused", value.fingerprint());
            }
            let known = self.journal.load_one(&name()).await.unwrap();
            if let Some(known) = known.clone()
                && holds(self, known).await
            {
                return;
            }
            assert!(begun.elapsed() < LONGEST, "not in time: {what}; {known:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(super) fn name() -> CredentialName {
    CredentialName::new("tts-backend").unwrap()
}

fn store() -> StoreName {
    StoreName::new("local").unwrap()
}
