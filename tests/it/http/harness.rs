//! An engine over a sandbox with two credentials, `tts` and `wide`, served on both surfaces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::clock::SystemClock;
use rekeyd::adapters::elevenlabs::{ElevenLabs, Settings};
use rekeyd::adapters::memory::store::{FirstVersion, MemoryStore};
use rekeyd::adapters::prober::NetworkProber;
use rekeyd::domain::acceptance::AcceptanceRule;
use rekeyd::domain::event::Event;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::ids::{ConsumerName, CredentialName, StoreName, WorkspaceName};
use rekeyd::domain::plan::{AfterDeadline, Destination, RevocationPolicy};
use rekeyd::domain::policy::{Credential, IfVanished, Mode, Policy, WorkspaceLimits};
use rekeyd::domain::schedule::{Cadence, Schedule};
use rekeyd::domain::secret::{Fingerprint, SecretValue};
use rekeyd::domain::time::ClockSteps;
use rekeyd::engine::{Context, Controller, Handle, Periods, Timing, WorkspaceClient};
use rekeyd::http::{Consumers, Operator, OperatorSocket, Public, PublicListener, Readers, Reload, Status};
use rekeyd::ports::clock::Clock;
use rekeyd::ports::issuer::AdminKey;
use rekeyd::ports::journal::RotationLog;
use rekeyd::ports::secret_store::SecretStore;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::telemetry::meter::Meter;
use rekeyd::telemetry::metered::{MeteredStore, MeteredWorkspace};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fragile::Fragile;

/// The consumers' tokens.
pub(crate) const TOKENS: [(&str, &str); 3] =
    [("api", "tok_api_planted"), ("batch", "tok_batch_planted"), ("idle", "tok_idle_planted")];

const PATIENCE: Duration = Duration::from_secs(30);

/// The machine's clock, set wrong by some seconds, and a timer that has passed by some.
pub(crate) struct WrongClock(pub(crate) AtomicI64, pub(crate) AtomicU64, Mutex<ClockSteps>);

impl Default for WrongClock {
    fn default() -> Self {
        Self(AtomicI64::default(), AtomicU64::default(), Mutex::new(ClockSteps::NONE))
    }
}

#[async_trait]
impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.0.load(SeqCst))
    }

    fn uptime(&self) -> Duration {
        SystemClock.uptime() + Duration::from_secs(self.1.load(SeqCst))
    }

    fn steps(&self) -> u64 {
        self.2.lock().unwrap().count(self.now(), SystemClock.uptime())
    }

    async fn sleep(&self, lasts: SignedDuration) {
        SystemClock.sleep(lasts).await;
    }
}

pub(crate) struct Harness {
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: Arc<WrongClock>,
    pub(crate) journal: Arc<Fragile>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) handle: Handle,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) consumers: watch::Sender<Arc<Consumers>>,
    pub(crate) reloads: tokio::sync::Mutex<mpsc::Receiver<Reload>>,
    pub(crate) url: String,
    pub(crate) socket: PathBuf,
    /// Stops the engine, but not its surfaces.
    pub(crate) engine: CancellationToken,
    pub(crate) surfaces: CancellationToken,
    pub(crate) tasks: JoinSet<()>,
    seen: Mutex<Vec<String>>,
    _directory: TempDir,
}

/// What came back.
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("none").to_owned()
    }
}

pub(crate) fn name(text: &str) -> CredentialName {
    CredentialName::new(text).unwrap()
}

fn credential(text: &str) -> Credential {
    let destination = Destination {
        store: StoreName::new("local").unwrap(),
        secret: format!("secret-of-{text}"),
        json_field: None,
        create: true,
        create_field: false,
    };
    let awaited = ["api", "batch"].map(|consumer| ConsumerName::new(consumer).unwrap());
    Credential {
        name: name(text),
        workspace: WorkspaceName::new("prod").unwrap(),
        service_account: text.to_owned(),
        create_account: None,
        adopt: None,
        first: None,
        allow_unrestricted: false,
        key_lifetime: None,
        after: BTreeSet::new(),
        bake: SignedDuration::ZERO,
        expire_old_key: None,
        if_vanished: IfVanished::Alert,
        mode: Mode::Rotate,
        destinations: vec![destination],
        schedule: Schedule {
            cadence: Cadence::Every(SignedDuration::from_hours(24 * 30)),
            jitter: SignedDuration::ZERO,
            window: None,
            freezes: vec![],
        },
        terms: RevocationPolicy {
            at_least: SignedDuration::ZERO,
            at_most: SignedDuration::from_hours(1),
            then: AfterDeadline::Hold,
            gates: vec![Gate::Acks(awaited.into())],
            confirm: ConfirmWhen::Never,
            acks_valid_for: None,
            canary: None,
            quarantine: SignedDuration::ZERO,
        },
    }
}

async fn issuer(sandbox: &Sandbox, clock: &Arc<WrongClock>) -> ElevenLabs {
    for (account, permissions) in [("tts", json!(["text_to_speech"])), ("wide", json!("all"))] {
        let id = sandbox.workspace().create_account(account, clock.now());
        let url = format!("{}/sandbox/accounts/{id}/keys", sandbox.base_url());
        let body = json!({ "name": "by hand", "permissions": permissions });
        let made = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        assert!(made.status().is_success(), "{:?}", made.text().await);
    }
    let settings = Settings {
        base_url: sandbox.base_url(),
        admin_key: AdminKey::new(SecretValue::new(sandbox.admin_key()).unwrap()),
        request_timeout: Duration::from_secs(10),
        in_flight: 4.try_into().unwrap(),
        requests_per_second: None,
        ca_pem: None,
        clock: Arc::<WrongClock>::clone(clock),
    };
    ElevenLabs::new(settings).unwrap()
}

async fn metered_issuer(
    sandbox: &Sandbox,
    clock: &Arc<WrongClock>,
    meter: &Arc<Meter>,
) -> Arc<MeteredWorkspace<ElevenLabs>> {
    let name = WorkspaceName::new("prod").unwrap();
    Arc::new(MeteredWorkspace::new(issuer(sandbox, clock).await, name, Arc::clone(meter)))
}

fn metered_shelf(store: &Arc<MemoryStore>, meter: &Arc<Meter>) -> BTreeMap<StoreName, Arc<dyn SecretStore>> {
    let name = StoreName::new("local").unwrap();
    let shelf = Arc::<MemoryStore>::clone(store);
    let shelf = MeteredStore::new(shelf, name.clone(), Arc::clone(meter));
    BTreeMap::from([(name, Arc::new(shelf) as Arc<dyn SecretStore>)])
}

fn status(now: Timestamp, meter: Arc<Meter>) -> Status {
    Status {
        policy_hash: "abc123".to_owned(),
        policy_loaded: Some(now),
        started: Some(now),
        meter,
        ..Status::default()
    }
}

const TIMING: Timing = Timing {
    settle: SignedDuration::from_secs(5),
    activation_deadline: SignedDuration::from_secs(30),
    acceptances: AcceptanceRule { count: 2, over: SignedDuration::ZERO },
    clock_skew_max: SignedDuration::from_hours(24),
    look_again: SignedDuration::from_secs(30),
    periods: Periods::NEVER,
};

impl Harness {
    /// Everything runs, and the rotations that adopt have come as far as they come by themselves.
    pub(crate) async fn open() -> Self {
        let clock = Arc::new(WrongClock::default());
        let sandbox = Sandbox::start(Options::new(Arc::<WrongClock>::clone(&clock))).await.unwrap();
        let limits =
            WorkspaceLimits { rotations_at_once: 4, mints_per_hour: 20, ..WorkspaceLimits::default() };
        let workspace = WorkspaceName::new("prod").unwrap();
        let meter = Arc::<Meter>::default();
        let workspace_client =
            WorkspaceClient::new(workspace.clone(), metered_issuer(&sandbox, &clock, &meter).await, limits);
        let journal = Arc::new(Fragile::default());
        let store = Arc::new(MemoryStore::new(FirstVersion::Pending));
        let credentials = ["tts", "wide"].map(|it| (name(it), credential(it))).into();
        let setup = Context {
            policy: Policy {
                workspaces: [(workspace.clone(), limits)].into(),
                credentials,
                ..Policy::default()
            },
            workspaces: BTreeMap::from([(workspace, Arc::new(workspace_client))]),
            stores: metered_shelf(&store, &meter),
            journal: Arc::<Fragile>::clone(&journal),
            prober: Arc::new(NetworkProber::default()),
            clock: Arc::<WrongClock>::clone(&clock),
            timing: TIMING,
            seed: [7; 16],
        };
        let (controller, handle) = Controller::load(setup, Arc::new(Notify::new())).await.unwrap();
        let controller = controller.metered_by(Arc::<Meter>::clone(&meter));
        let (engine, surfaces, mut tasks) =
            (CancellationToken::new(), CancellationToken::new(), JoinSet::new());
        let stop = engine.clone();
        tasks.spawn(async move { controller.run(stop, Duration::from_secs(5)).await.unwrap() });
        let consumers = TOKENS.map(|(who, token)| {
            (ConsumerName::new(who).unwrap(), SecretValue::new(token.to_owned()).unwrap())
        });
        let consumers = Consumers::new(consumers).unwrap().with_readers(Readers::Anybody).unwrap();
        let (consumers, known) = watch::channel(Arc::new(consumers));
        let (status, statuses) = watch::channel(status(clock.now(), meter));
        let (reload, reloads) = mpsc::channel(1);
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("rekeyd.sock");
        let listener = PublicListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let url = format!("http://{}", listener.address());
        let public = Public { handle: handle.clone(), consumers: known, status: statuses.clone() };
        tasks.spawn(listener.serve(public, surfaces.clone()));
        let operator = Operator { handle: handle.clone(), status: statuses, reload };
        tasks.spawn(OperatorSocket::bind(&socket).unwrap().serve(operator, surfaces.clone()));
        let reloads = tokio::sync::Mutex::new(reloads);
        let seen = Mutex::default();
        let harness = Self {
            sandbox,
            clock,
            journal,
            store,
            handle,
            status,
            consumers,
            reloads,
            url,
            socket,
            engine,
            surfaces,
            tasks,
            seen,
            _directory: directory,
        };
        harness.until("tts", |report| report["rotation"]["phase"] == "overlap").await;
        harness.until("wide", |report| report["rotation"]["phase"] == "parked").await;
        harness
    }

    pub(crate) async fn until(&self, credential: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let report = self.order(Method::GET, &format!("/v1/credentials/{credential}"), None).await.json();
            if wanted(&report) {
                return report;
            }
            assert!(tokio::time::Instant::now() < deadline, "it never came so far: {report:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Seen {
        let response = request.timeout(PATIENCE).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        self.seen.lock().unwrap().push(format!("{headers:?}{text}"));
        Seen { status, headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Seen {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn ack(&self, credential: &str, token: &str, body: Value) -> Seen {
        let request = self.request(Method::POST, &format!("/v1/credentials/{credential}/acks"));
        self.send(request.bearer_auth(token).body(body.to_string())).await
    }

    /// Over the socket.
    pub(crate) async fn order(&self, method: Method, path: &str, body: Option<Value>) -> Seen {
        let client =
            reqwest::Client::builder().no_proxy().unix_socket(self.socket.as_path()).build().unwrap();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(client.request(method, format!("http://rekeyd{path}")).body(body)).await
    }

    /// What the destination of a credential serves.
    pub(crate) fn served(&self, credential: &str) -> Fingerprint {
        Fingerprint::of(self.store.text(&format!("secret-of-{credential}")).unwrap().as_bytes())
    }

    pub(crate) async fn events(&self, credential: &str) -> Vec<Event> {
        let chapters = self.journal.history(&name(credential), 10).await.unwrap();
        chapters.into_iter().flat_map(|chapter| chapter.entries).map(|entry| entry.event).collect()
    }

    pub(crate) async fn stop_engine(&self) {
        self.engine.cancel();
        // The last sender of the heartbeat goes with the engine.
        while self.handle.sweep().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Everything that was answered so far holds none of the values that exist.
    pub(crate) async fn nothing_leaked(&self, more: &str) {
        let values = reqwest::get(format!("{}/sandbox/values", self.sandbox.base_url())).await.unwrap();
        let values: Value = values.json().await.unwrap();
        let mut secrets: Vec<String> = strings(&values);
        assert!(secrets.len() >= 3, "{values}");
        secrets.push(self.sandbox.admin_key());
        secrets.extend(TOKENS.map(|(_, token)| token.to_owned()));
        let seen = self.seen.lock().unwrap().join("\n") + more;
        for secret in secrets {
            assert!(!seen.contains(&secret), "a value was told");
        }
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => vec![],
    }
}
