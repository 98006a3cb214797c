//! A rehearsal whose consumers read the files that their agents write, and are well once they use what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::demo::consumer::{Consumer, Crowd, Directions, Switched};
use rekeyd::demo::fixture::{Fixture, Pace};
use rekeyd::domain::ack::{Ack, Health};
use rekeyd::domain::ids::CredentialName;
use rekeyd::domain::phase::PhaseName;
use rekeyd::ports::journal::JournalReader;
use rekeyd::sandbox::analytics::rules::RequestLogNames;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::random::Random;
use rekeyd::sandbox::truth::KeyTruth;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::agent::harness::{Agent, AgentHarness, fingerprint};
use crate::support::rehearsal::Rehearsal;

const PATIENCE: Duration = Duration::from_secs(30);
/// The credential that the tests look at: two consumers, and a key that was made by hand.
pub(super) const CREDENTIAL: &str = "tts-backend";
/// The application is well with the key that it says it uses, and as long as nobody has broken it.
const HEALTH: &str = "read used < in-use && test \"$used\" = \"$REKEYD_FINGERPRINT\" && ! test -e broken";

/// A consumer with its agent.
struct Ship {
    consumer: Consumer,
    agent_harness: AgentHarness,
    /// Whether it reads its key once and never again, and says that it does: its agent is deceived.
    caches: bool,
    agent: Option<Agent>,
}

pub(super) struct Harness {
    pub(super) rehearsal: Rehearsal,
    ships: Vec<Ship>,
    port: u16,
    /// What the policy waits for at [`CREDENTIAL`] beside acknowledgements.
    more: String,
    _scribe: JoinSet<()>,
}

impl Harness {
    /// Everything but the daemon and the agents. The consumer `caching` is not at work: it waits for
    /// [`Self::straggle`].
    pub(super) async fn set(seed: u64, pace: &Pace, more: &str, caching: Option<&str>) -> Self {
        let stage = Fixture::build(seed, pace).await.unwrap();
        let ship = |consumer: Consumer| {
            let agent_harness = AgentHarness::new();
            let caches = caching == Some(consumer.name.as_str());
            let cache = if caches { Duration::from_secs(3600) } else { Duration::ZERO };
            fs::copy(stage.root().join(format!("token-of-{}", consumer.name)), agent_harness.path("token"))
                .unwrap();
            // It is its agent who acknowledges.
            let consumer = Consumer {
                file: agent_harness.path("key"),
                token: None,
                cache,
                first_cache: cache,
                ..consumer
            };
            Ship { consumer, agent_harness, caches, agent: None }
        };
        let ships: Vec<Ship> = stage.consumers().into_iter().map(ship).collect();
        let logs = ships
            .iter()
            .map(|ship| (ship.consumer.name.clone(), ship.agent_harness.path("in-use")))
            .collect();
        let (switches, switched) = mpsc::unbounded_channel();
        let mut scribe = JoinSet::new();
        scribe.spawn(write_down(logs, switched));
        let at_work = ships.iter().filter(|ship| !ship.caches).map(|ship| ship.consumer.clone()).collect();
        let rehearsal = Rehearsal::on(stage, at_work, &switches);
        let harness = Self { rehearsal, ships, port: free_port(), more: more.to_owned(), _scribe: scribe };
        harness.write_policy(pace);
        harness
    }

    /// The stage's policy, with a listener that agents find again, and with every consumer waited for.
    pub(super) fn write_policy(&self, pace: &Pace) {
        let stage = &self.rehearsal.stage;
        stage.write_policy(pace).unwrap();
        let text = fs::read_to_string(stage.policy()).unwrap();
        let dubbing = "secret = \"dubbing\" }]\n";
        let changed = [
            ("127.0.0.1:0".to_owned(), format!("127.0.0.1:{}", self.port)),
            (dubbing.to_owned(), format!("{dubbing}wait_for = {{ acks = [\"dubbing-worker\"] }}\n")),
            ("\"tts-batch\"] }".to_owned(), format!("\"tts-batch\"]{} }}", self.more)),
        ];
        let text = changed.into_iter().fold(text, |text, (from, to)| {
            assert_eq!(text.matches(&from).count(), 1, "{from}");
            text.replace(&from, &to)
        });
        fs::write(stage.policy(), text).unwrap();
    }

    /// The provider shows use by the request log alone, which tells to the second. Usage by key has buckets of a minute.
    pub(super) fn show_single_calls(&self) {
        let mut workspace = self.rehearsal.stage.sandbox.workspace();
        workspace.rules.analytics.billed_by_money = true;
        workspace.rules.analytics.request_log_names = RequestLogNames::Hash;
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.ships.iter().map(|ship| ship.consumer.name.clone()).collect()
    }

    fn ship(&self, name: &str) -> &Ship {
        self.ships.iter().find(|ship| ship.consumer.name == name).unwrap()
    }

    fn ship_mut(&mut self, name: &str) -> &mut Ship {
        self.ships.iter_mut().find(|ship| ship.consumer.name == name).unwrap()
    }

    pub(super) fn start_agent(&mut self, name: &str) {
        let url = format!("http://127.0.0.1:{}", self.port);
        let source = self.rehearsal.stage.secret(&self.ship(name).consumer.credential);
        let ship = self.ship_mut(name);
        let health = if ship.caches {
            "[on_change]\ncommand = [\"true\"]\n".to_owned()
        } else {
            format!(
                "[health]\ncommand = [\"sh\", \"-c\", {HEALTH:?}]\nafter = \"20ms\"\nevery = \"150ms\"\n\
                 deadline = \"20s\"\n"
            )
        };
        let config = format!(
            "[secrets.{}]\nfrom.file = \"{}\"\nevery = \"30ms\"\n{}\n{health}{}",
            ship.consumer.credential,
            source.display(),
            ship.agent_harness.to_key(),
            ship.agent_harness.rekeyd(&url, "1s").replace("\"api\"", &format!("\"{name}\"")),
        );
        ship.agent = Some(ship.agent_harness.agent(&config));
    }

    pub(super) fn start_agents(&mut self) {
        for name in self.names() {
            self.start_agent(&name);
        }
    }

    /// SIGKILL.
    pub(super) fn kill_agent(&mut self, name: &str) {
        self.ship_mut(name).agent.take().unwrap().kill();
    }

    /// Ends the agents in order.
    pub(super) fn stop_agents(&mut self) {
        for ship in &mut self.ships {
            ship.agent.take().unwrap().stop();
        }
    }

    /// From now on the application is not well.
    pub(super) fn break_app(&self, name: &str) {
        fs::write(self.ship(name).agent_harness.path("broken"), "").unwrap();
    }

    /// Sets the consumer to work that caches.
    pub(super) fn straggle(&self) -> Crowd {
        let consumers = self.ships.iter().filter(|ship| ship.caches).map(|ship| ship.consumer.clone());
        let launcher = &self.rehearsal.launcher;
        let provider = self.rehearsal.stage.sandbox.base_url();
        let directions = Directions { provider, daemon: launcher.address.subscribe() };
        Crowd::start(consumers.collect(), &directions, &mpsc::unbounded_channel().0).unwrap()
    }

    /// What the consumer's agent gave it last, as the provider knows it.
    pub(super) fn key_of(&self, name: &str) -> KeyTruth {
        let held = self.ship(name).agent_harness.read("key");
        self.key(&held)
    }

    /// The key that [`CREDENTIAL`] had before rekeyd.
    pub(super) fn first_key(&self) -> KeyTruth {
        self.key(self.ship("tts-api").consumer.first.as_ref().unwrap())
    }

    fn key(&self, value: &str) -> KeyTruth {
        let print = fingerprint(value.trim_end());
        self.rehearsal
            .stage
            .sandbox
            .truth()
            .keys()
            .find(|key| key.fingerprint.as_str() == print)
            .unwrap()
            .clone()
    }

    pub(super) fn state(&self, key: &KeyTruth) -> State {
        self.now(key).state
    }

    /// The same key as it is now.
    pub(super) fn now(&self, key: &KeyTruth) -> KeyTruth {
        self.rehearsal.stage.sandbox.truth().key(&key.key_id).unwrap().clone()
    }

    /// How many rotations are done.
    pub(super) fn done(&self) -> usize {
        let rotations = self.rehearsal.chronicle.rotations().unwrap_or_default();
        rotations.iter().filter(|told| told.rotation.phase.name() == PhaseName::Done).count()
    }

    /// The phase of the newest rotation of [`CREDENTIAL`].
    pub(super) fn phase(&self) -> Option<PhaseName> {
        let rotations = self.rehearsal.chronicle.rotations().unwrap_or_default();
        let newest = rotations.iter().rfind(|told| told.rotation.plan.credential.as_str() == CREDENTIAL);
        newest.map(|told| told.rotation.phase.name())
    }

    /// The newest word of a consumer of [`CREDENTIAL`], if it is that it fails.
    pub(super) fn failure_of(&self, name: &str) -> Option<Ack> {
        let journal = SqliteJournal::open_read_only(&self.rehearsal.stage.journal()).unwrap();
        let acks = journal.acks(&CredentialName::new(CREDENTIAL).unwrap()).unwrap();
        acks.into_iter().find(|ack| ack.consumer.as_str() == name && ack.health == Health::Failing)
    }

    fn program(&self, words: &[&str]) -> String {
        let output = Command::new(&self.rehearsal.launcher.program).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `rekeyd status --why` says to people.
    pub(super) fn why(&self) -> String {
        let policy = self.rehearsal.stage.policy();
        self.program(&["status", CREDENTIAL, "--why", "--policy", policy.to_str().unwrap()])
    }

    /// What it says to programs of the rotation under way.
    pub(super) fn why_rotation(&self) -> Value {
        let policy = self.rehearsal.stage.policy();
        let policy = policy.to_str().unwrap();
        let told = self.program(&["status", CREDENTIAL, "--why", "--policy", policy, "--output", "json"]);
        serde_json::from_str::<Value>(&told).unwrap()["credential"]["rotation"].clone()
    }

    /// The named waiting_on of one gate; empty if the gate is open.
    pub(super) fn waiting_on(&self, gate: &str) -> Vec<Value> {
        let rotation = self.why_rotation();
        let gates = rotation["gates"].as_array().cloned().unwrap_or_default();
        let gate = gates.into_iter().find(|it| it["gate"] == gate);
        gate.and_then(|gate| gate["waiting_on"].as_array().cloned()).unwrap_or_default()
    }

    pub(super) fn order(&self, words: &[&str]) {
        let socket = self.rehearsal.stage.socket();
        let socket = socket.to_str().unwrap();
        self.program(&[words, &["--socket", socket]].concat());
    }

    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}\n{}\n{}", self.why(), self.tails());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The last lines of everybody's log.
    pub(super) fn tails(&self) -> String {
        let mut text = self.rehearsal.tail();
        for ship in &self.ships {
            let log = ship.agent_harness.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(10)..].join("\n");
            text = format!("{text}\n--- agent of {}\n{tail}", ship.consumer.name);
        }
        text
    }

    /// No log, no output and no journal holds a key or a token.
    pub(super) fn nothing_leaked(&self) {
        let stage = &self.rehearsal.stage;
        let journal = ["journal.db", "journal.db-wal"].map(|name| stage.root().join(name));
        let of_ships =
            self.ships.iter().flat_map(|ship| ["log", "output"].map(|name| ship.agent_harness.path(name)));
        let files: Vec<PathBuf> = journal.into_iter().chain([stage.log()]).chain(of_ships).collect();
        let told: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap_or_default()).collect();
        assert!(told.iter().filter(|bytes| !bytes.is_empty()).count() > self.ships.len());
        for secret in stage.secrets() {
            let secret = secret.as_bytes();
            for (file, bytes) in files.iter().zip(&told) {
                assert!(!has(bytes, secret), "a key or a token stands in {}", file.display());
            }
        }
    }
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    let first = wanted[0];
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(wanted) {
            return true;
        }
        from += at + 1;
    }
    false
}

/// Writes down which key each application uses, where its agent's health command reads it.
async fn write_down(logs: BTreeMap<String, PathBuf>, mut switched: mpsc::UnboundedReceiver<Switched>) {
    while let Some(Switched { consumer, fingerprint, .. }) = switched.recv().await {
        let file = &logs[&consumer];
        let fresh = file.with_extension("fresh");
        fs::write(&fresh, format!("{fingerprint}\n")).unwrap();
        fs::rename(fresh, file).unwrap();
    }
}

/// A port that stays free while the daemon is away: none of those that outgoing connections get.
fn free_port() -> u16 {
    let mut random = Random::from_system();
    loop {
        let port = u16::from_str_radix(&random.hex(4), 16).unwrap() % 20_000 + 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
