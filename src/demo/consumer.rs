//! Consumers: programs that hold a key for a while, use it all the time, and report which one they use. The provider must
//! never refuse any of them (I1).

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::CredentialName;
use crate::domain::secret::Fingerprint;

/// Between two requests of one consumer.
const PAUSE: Duration = Duration::from_millis(40);
/// Between attempts to acknowledge: the daemon may be away.
const ACK_AGAIN: Duration = Duration::from_millis(250);
const CALL: Duration = Duration::from_secs(10);
const FAILURES_KEPT_MAX: usize = 20;

/// One program.
#[derive(Clone)]
pub struct Consumer {
    pub name: String,
    pub credential: CredentialName,
    /// Where it reads the value.
    pub file: PathBuf,
    /// The value that it holds before the file is there.
    pub first: Option<String>,
    /// What it acknowledges with, if anybody waits for it.
    pub token: Option<String>,
    /// How long it uses a value before it reads the file again.
    pub cache: Duration,
    /// How long it goes on with the value that it holds at the beginning: longer, for one that is slow to notice.
    pub first_cache: Duration,
}

/// What became of a consumer's work.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub requests: u64,
    pub failed: u64,
    /// The first failures, for a person.
    pub failures: Vec<String>,
    pub switches: u64,
    pub acks: u64,
}

/// A consumer began to use another key.
#[derive(Debug, Clone)]
pub struct Switched {
    pub consumer: String,
    pub credential: CredentialName,
    pub fingerprint: Fingerprint,
}

/// Where consumers find others.
#[derive(Clone)]
pub struct Directions {
    /// The provider.
    pub provider: String,
    /// The daemon's listener, while it is known.
    pub daemon: watch::Receiver<Option<SocketAddr>>,
}

type Tallies = Arc<Mutex<BTreeMap<String, Tally>>>;

/// Consumers at work. Dropping it ends them.
pub struct Crowd {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    tallies: Tallies,
}

impl Crowd {
    /// Sets them to work. What they switch to is told to `switches`, if anybody still listens.
    ///
    /// # Errors
    /// No HTTP client could be made.
    pub fn start(
        consumers: Vec<Consumer>,
        directions: &Directions,
        switches: &mpsc::UnboundedSender<Switched>,
    ) -> reqwest::Result<Self> {
        // Everything is on loopback: no proxy, and no certificates that might be missing.
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(CALL).build()?;
        let (stop, tallies, mut tasks) = (CancellationToken::new(), Tallies::default(), JoinSet::new());
        for consumer in consumers {
            held(&tallies).insert(consumer.name.clone(), Tally::default());
            let at_work = AtWork {
                consumer,
                http: http.clone(),
                directions: directions.clone(),
                switches: switches.clone(),
                tallies: Arc::clone(&tallies),
                owed: None,
            };
            tasks.spawn(at_work.run(stop.clone()));
        }
        Ok(Self { tasks, stop, tallies })
    }

    /// What they have done until now.
    #[must_use]
    pub fn tallies(&self) -> BTreeMap<String, Tally> {
        held(&self.tallies).clone()
    }

    /// Lets each end the request that it is in, and says what they did. One that panicked counts as a failure.
    pub async fn stop(mut self) -> BTreeMap<String, Tally> {
        self.stop.cancel();
        let mut broken = 0;
        while let Some(ended) = self.tasks.join_next().await {
            broken += u64::from(ended.is_err());
        }
        let mut tallies = self.tallies();
        if broken > 0 {
            let failures = vec!["a consumer panicked".to_owned()];
            tallies.insert("(panicked)".to_owned(), Tally { failed: broken, failures, ..Tally::default() });
        }
        tallies
    }
}

fn held(tallies: &Tallies) -> MutexGuard<'_, BTreeMap<String, Tally>> {
    tallies.lock().unwrap_or_else(PoisonError::into_inner)
}

struct AtWork {
    consumer: Consumer,
    http: reqwest::Client,
    directions: Directions,
    switches: mpsc::UnboundedSender<Switched>,
    tallies: Tallies,
    /// The acknowledgement that has not been taken yet, and when it is tried next.
    owed: Option<(Fingerprint, Instant)>,
}

impl AtWork {
    async fn run(mut self, stop: CancellationToken) {
        let mut value = self.consumer.first.clone();
        let mut read_at = None;
        while !stop.is_cancelled() {
            let first = value == self.consumer.first;
            let cache = if first { self.consumer.first_cache } else { self.consumer.cache };
            if read_at.is_none_or(|at: Instant| at.elapsed() >= cache) {
                // A value that was read before this instant is at least so old.
                let now = Instant::now();
                if let Some(newer) = self.read().filter(|newer| value.as_ref() != Some(newer)) {
                    self.switch_to(&newer);
                    value = Some(newer);
                }
                read_at = value.as_ref().map(|_| now);
            }
            if let Some(value) = &value {
                self.speak(value).await;
            }
            self.acknowledge().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    fn read(&self) -> Option<String> {
        let text = std::fs::read_to_string(&self.consumer.file).ok()?;
        Some(text.trim_end().to_owned())
    }

    fn switch_to(&mut self, value: &str) {
        let fingerprint = Fingerprint::of(value.as_bytes());
        self.tally(|tally| tally.switches += 1);
        self.owed = self.consumer.token.as_ref().map(|_| (fingerprint.clone(), Instant::now()));
        let (consumer, credential) = (self.consumer.name.clone(), self.consumer.credential.clone());
        // Nobody may be listening.
        drop(self.switches.send(Switched { consumer, credential, fingerprint }));
    }

    async fn speak(&self, value: &str) {
        let url = format!("{}/v1/text-to-speech/rachel", self.directions.provider);
        let request = self.http.post(url).header("xi-api-key", value).json(&json!({"text": "hello"}));
        // By this the provider's evidence tells who it is.
        let request = request.header("x-request-source", &self.consumer.name);
        let fingerprint = Fingerprint::of(value.as_bytes());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                let heard = answer.bytes().await.is_ok();
                self.tally(|tally| tally.requests += 1);
                if !heard {
                    self.failed(&fingerprint, &"the answer was cut");
                }
            }
            Ok(answer) => {
                let status = answer.status();
                self.tally(|tally| tally.requests += 1);
                self.failed(&fingerprint, &format!("refused with {status}"));
            }
            Err(error) => {
                self.tally(|tally| tally.requests += 1);
                self.failed(&fingerprint, &error.without_url());
            }
        }
    }

    /// Says which key is in use, until somebody has heard it.
    async fn acknowledge(&mut self) {
        let (Some((fingerprint, due)), Some(token)) = (&self.owed, &self.consumer.token) else { return };
        let daemon = *self.directions.daemon.borrow();
        let Some(address) = daemon.filter(|_| *due <= Instant::now()) else { return };
        let url = format!("http://{address}/v1/credentials/{}/acks", self.consumer.credential);
        let request = self.http.post(url).bearer_auth(token).json(&json!({"fingerprint": fingerprint}));
        let taken = request.send().await.is_ok_and(|answer| answer.status().is_success());
        if taken {
            self.owed = None;
            self.tally(|tally| tally.acks += 1);
        } else {
            self.owed = Some((fingerprint.clone(), Instant::now() + ACK_AGAIN));
        }
    }

    fn failed(&self, fingerprint: &Fingerprint, why: &dyn fmt::Display) {
        let name = &self.consumer.name;
        self.tally(|tally| {
            tally.failed += 1;
            if tally.failures.len() < FAILURES_KEPT_MAX {
                tally.failures.push(format!("{name} with key {fingerprint}: {why}"));
            }
        });
    }

    fn tally(&self, change: impl FnOnce(&mut Tally)) {
        change(held(&self.tallies).entry(self.consumer.name.clone()).or_default());
    }
}
