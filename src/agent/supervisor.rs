//! Attends to the application: tells it of every change or starts it again, sees whether it is well, and decides what
//! there is to say of each key.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use rustix::process::Signal;
use jiff::SignedDuration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::agent::Ended;
use crate::agent::child::{self, Child};
use crate::agent::command;
use crate::agent::follow::Change;
use crate::agent::health_tracker::HealthTracker;
use crate::agent::http_client::{HttpClient, HttpRequest};
use crate::agent::notify;
use crate::agent::random;
use crate::agent::reload_hook::ReloadHook;
use crate::agent::secret_cache::SecretCache;
use crate::agent::signals::{Heard, Signals};
use crate::config::agent::{Health, Looking};
use crate::domain::ack;
use crate::domain::backoff::{self, Backoff};
use crate::domain::ids::CredentialName;
use crate::domain::secret::Fingerprint;

/// An application that runs so long is well, if nothing else is known of it.
const STEADY: Duration = Duration::from_secs(3);
/// How long an application without a health check may take until it was told, or runs steadily.
const DEADLINE: Duration = Duration::from_secs(60);
const RETRY: Backoff = Backoff { first: SignedDuration::from_secs(1), cap: SignedDuration::from_mins(1) };
const IDLE: Duration = Duration::from_secs(3600);

/// What there is to say of each credential.
pub(super) type Words = BTreeMap<CredentialName, Word>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) fingerprint: Fingerprint,
    pub(super) status: ack::Health,
}

pub(super) enum App {
    /// Somebody else runs it; it may be left to itself.
    Beside(Option<ReloadHook>),
    Child(Child),
}

pub(super) struct Supervisor {
    shelf: Arc<SecretCache>,
    app: App,
    health: Option<Health>,
    withheld: Vec<String>,
    judge: HealthTracker,
    /// What stands where the application reads it.
    current: BTreeMap<CredentialName, Fingerprint>,
    /// Of these the application has not been told.
    owed: BTreeSet<CredentialName>,
    tell_at: Instant,
    failures: u32,
    look_at: Option<Instant>,
    words: watch::Sender<Words>,
}

impl Supervisor {
    pub(super) fn new(
        shelf: Arc<SecretCache>,
        app: App,
        health: Option<Health>,
        withheld: Vec<String>,
        words: watch::Sender<Words>,
    ) -> Self {
        let now = Instant::now();
        let (deadline, misses) = health.as_ref().map_or((DEADLINE, 1), |it| (it.deadline, it.misses));
        Self {
            shelf,
            app,
            health,
            withheld,
            judge: HealthTracker::new(now, deadline, misses),
            current: BTreeMap::new(),
            owed: BTreeSet::new(),
            tell_at: now,
            failures: 0,
            look_at: None,
            words,
        }
    }

    /// Waits until every secret is in place, and does nothing about it.
    pub(super) async fn hears_of_all(&mut self, changes: &mut mpsc::Receiver<Change>) {
        while !self.is_whole() {
            let Some(change) = changes.recv().await else { return std::future::pending().await };
            self.hear(change);
        }
    }

    /// Works until the application that it runs has ended for good. When this is cancelled and begun again, what was
    /// under way is done again.
    pub(super) async fn work(&mut self, changes: &mut mpsc::Receiver<Change>) -> Ended {
        loop {
            self.report();
            let wake = self.wakes_at();
            tokio::select! {
                Some(change) = changes.recv() => {
                    self.hear(change);
                    while let Ok(change) = changes.try_recv() {
                        self.hear(change);
                    }
                }
                () = sleep_until(wake) => {}
                status = ended(&mut self.app) => {
                    if let Some(ended) = self.has_ended(status) {
                        self.report();
                        return ended;
                    }
                }
            }
            self.tell().await;
            self.look().await;
        }
    }

    /// Ends the application, if it is ours, passing on what else is signalled meanwhile.
    pub(super) async fn stop(mut self, signal: Signal, signals: &mut Signals) -> Ended {
        let App::Child(child) = &mut self.app else { return Ended::Stopped };
        child.signal(signal);
        let status = loop {
            tokio::select! {
                status = child.finish() => break status,
                heard = signals.heard() => match heard {
                    Heard::Hangup => child.signal(Signal::HUP),
                    Heard::Stop(_) => {
                        tracing::warn!("asked a second time to stop: the application gets no more time");
                        break child.kill().await;
                    }
                }
            }
        };
        status.map_or(Ended::Stopped, |status| Ended::With(child::code(status)))
    }

    /// An application that is ours gets the signal too.
    pub(super) fn hang_up(&self) {
        if let App::Child(child) = &self.app {
            child.signal(Signal::HUP);
        }
    }

    fn hear(&mut self, change: Change) {
        let Change { name, fingerprint } = change;
        if self.current.get(&name) == Some(&fingerprint) {
            return;
        }
        let is_known =
            matches!(self.app, App::Beside(_)) && self.shelf.told(&name) == Some(fingerprint.clone());
        tracing::info!(secret = %name, %fingerprint, told = is_known, "in place");
        if is_known {
            self.owed.remove(&name);
        } else {
            self.owed.insert(name.clone());
        }
        let was_whole = self.is_whole();
        self.current.insert(name, fingerprint);
        if self.is_whole() && !was_whole {
            notify::ready();
            tracing::info!(secrets = self.current.len(), "ready");
        }
        let now = Instant::now();
        self.judge.changed(now);
        (self.tell_at, self.failures) = (now, 0);
        self.look_at = Some(now);
    }

    fn is_whole(&self) -> bool {
        self.current.len() == self.shelf.count()
    }

    fn wakes_at(&self) -> Instant {
        let tell_at = (!self.owed.is_empty() && self.is_whole()).then_some(self.tell_at);
        let again_at = match &self.app {
            App::Child(child) => child.again_at,
            App::Beside(_) => None,
        };
        let look_at = self.look_at.filter(|_| self.is_whole());
        [tell_at, again_at, look_at].into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// Tells the application what it has not been told; one that is ours is started, or started again.
    async fn tell(&mut self) {
        if !self.is_whole() {
            return;
        }
        let now = Instant::now();
        let is_due = !self.owed.is_empty() && self.tell_at <= now;
        let told = match &mut self.app {
            App::Child(child) => {
                let comes_again = child.again_at.is_some_and(|at| at <= now);
                if !is_due && !comes_again {
                    return;
                }
                if child.age().is_some() {
                    child.make_room().await;
                }
                let started = child.start(&self.shelf.variables());
                match &started {
                    Ok(()) => self.owed.clear(),
                    Err(_) => child.delay(),
                }
                started.map_err(|error| format!("the application cannot be started: {error}"))
            }
            App::Beside(_) if !is_due => return,
            App::Beside(teller) => tell_all(&self.shelf, teller, &self.current, &mut self.owed).await,
        };
        match told {
            Ok(()) => {
                self.failures = 0;
                let after = self.health.as_ref().map_or(STEADY, |health| health.after);
                let after = if matches!(self.app, App::Beside(_)) && self.health.is_none() {
                    Duration::ZERO
                } else {
                    after
                };
                self.look_at = Some(Instant::now() + after);
            }
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                if backoff::is_logged(self.failures) {
                    tracing::error!(
                        failures = self.failures,
                        why,
                        "the application could not be told of a change"
                    );
                }
                self.tell_at = Instant::now() + RETRY.wait(self.failures, None, random()).unsigned_abs();
            }
        }
    }

    async fn look(&mut self) {
        let now = Instant::now();
        if !self.is_whole() || self.look_at.is_none_or(|at| at > now) {
            return;
        }
        let seen = match (&self.app, &self.health) {
            (_, _) if !self.owed.is_empty() => Err("it has not been told of a change".to_owned()),
            (App::Child(child), _) if child.age().is_none() => Err("it does not run".to_owned()),
            (_, Some(health)) => self.ask(health).await,
            (App::Child(child), None) => match child.age() {
                Some(age) if age >= STEADY => Ok(()),
                Some(_) | None => Err("it does not run steadily".to_owned()),
            },
            (App::Beside(_), None) => Ok(()),
        };
        let every = match (&self.health, &self.app) {
            (Some(health), _) => Some(health.every),
            (None, App::Child(_)) => Some(STEADY),
            (None, App::Beside(_)) => (!self.owed.is_empty()).then_some(RETRY.first.unsigned_abs()),
        };
        self.look_at = every.map(|every| Instant::now() + backoff::jittered(every, random()));
        let before = self.judge.verdict();
        self.judge.looked(seen.is_ok(), Instant::now());
        match (before, self.judge.verdict(), seen) {
            (before, Some(ack::Health::Using), _) if before != Some(ack::Health::Using) => {
                tracing::info!("the application is well");
                notify::status("the application is well");
            }
            (before, Some(ack::Health::Failing), Err(why)) if before != Some(ack::Health::Failing) => {
                tracing::error!(why, "the application fails");
                notify::status("the application fails");
            }
            (_, _, Err(why)) => tracing::debug!(why, "the application is not well"),
            (_, _, Ok(())) => {}
        }
    }

    async fn ask(&self, health: &Health) -> Result<(), String> {
        let limit = health.time_limit;
        match &health.how {
            Looking::Command(words) => {
                let listed = |text: &mut dyn Iterator<Item = String>| text.collect::<Vec<_>>().join(" ");
                let names = listed(&mut self.current.keys().map(ToString::to_string));
                let fingerprints = listed(&mut self.current.values().map(ToString::to_string));
                let told = [("REKEYD_SECRET", names.as_str()), ("REKEYD_FINGERPRINT", fingerprints.as_str())];
                command::run(words, &told, &self.withheld, limit).await
            }
            Looking::Url(url) => {
                let parcel = HttpRequest { method: Method::GET, url, token: None, body: None, limit };
                let reply = HttpClient::PLAIN.carry(parcel).await?;
                if reply.status.is_success() {
                    Ok(())
                } else {
                    Err(format!("`{url}` answered with {}", reply.status))
                }
            }
        }
    }

    /// `None` if it is started again.
    fn has_ended(&mut self, status: ExitStatus) -> Option<Ended> {
        let App::Child(child) = &mut self.app else { return None };
        let code = child::code(status);
        if child.is_replaced() {
            return None;
        }
        if child.comes_again(status) {
            tracing::warn!(%status, "the application ended by itself; it is started again");
            return None;
        }
        tracing::info!(%status, "the application ended by itself");
        if code != 0 && self.judge.verdict().is_none() {
            self.judge.gave_up();
        }
        Some(Ended::With(code))
    }

    fn report(&self) {
        let verdict = self.judge.verdict();
        self.words.send_if_modified(|words| {
            let before = words.clone();
            for (name, fingerprint) in &self.current {
                let status = match (verdict, self.owed.contains(name)) {
                    // What it was told of before is what it still uses.
                    (Some(ack::Health::Using) | None, true) => continue,
                    (verdict, _) => verdict,
                };
                match status {
                    Some(status) => {
                        words.insert(name.clone(), Word { fingerprint: fingerprint.clone(), status });
                    }
                    None => {
                        words.remove(name);
                    }
                }
            }
            *words != before
        });
    }
}

async fn ended(app: &mut App) -> ExitStatus {
    match app {
        App::Child(child) => child.ended().await,
        App::Beside(_) => std::future::pending().await,
    }
}

/// What was told stays told when a later one cannot be.
async fn tell_all(
    shelf: &SecretCache,
    teller: &Option<ReloadHook>,
    current: &BTreeMap<CredentialName, Fingerprint>,
    owed: &mut BTreeSet<CredentialName>,
) -> Result<(), String> {
    while let Some(name) = owed.first().cloned() {
        if let (Some(teller), Some(fingerprint)) = (teller, current.get(&name)) {
            let change = Change { name: name.clone(), fingerprint: fingerprint.clone() };
            // Half told of this one, it may use it already, whatever comes next.
            shelf.forget_told(&name);
            teller.tell(&change, shelf.path(&name)).await?;
            tracing::info!(secret = %name, %fingerprint, "the application is told");
            shelf.note_told(&name, fingerprint);
        }
        owed.remove(&name);
    }
    Ok(())
}
