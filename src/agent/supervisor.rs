//! Supervises the application: notifies it of each change or restarts it, checks its health, and derives the status that
//! is reported for each key.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use jiff::SignedDuration;
use rustix::process::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::agent::AgentExit;
use crate::agent::child::{self, Child};
use crate::agent::command;
use crate::agent::follow::Change;
use crate::agent::health_tracker::HealthTracker;
use crate::agent::http_client::{HttpClient, HttpRequest};
use crate::agent::random;
use crate::agent::reload_hook::ReloadHook;
use crate::agent::secret_cache::SecretCache;
use crate::agent::signals::{SignalEvent, Signals};
use crate::agent::systemd;
use crate::config::agent::{Health, HealthMethod};
use crate::domain::ack;
use crate::domain::backoff::{self, Backoff};
use crate::domain::ids::CredentialName;
use crate::domain::secret::Fingerprint;

/// Without a health check, an application is healthy after it ran for this long.
const STEADY: Duration = Duration::from_secs(3);
/// How long an application without a health check may take until it was notified, or runs steadily.
const DEADLINE: Duration = Duration::from_secs(60);
const RETRY: Backoff = Backoff { first: SignedDuration::from_secs(1), cap: SignedDuration::from_mins(1) };
const IDLE: Duration = Duration::from_secs(3600);

/// The status to report for each credential.
pub(super) type KeyStatuses = BTreeMap<CredentialName, KeyStatus>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyStatus {
    pub(super) fingerprint: Fingerprint,
    pub(super) health: ack::Health,
}

pub(super) enum App {
    /// Something else runs it; without a hook it reads its file by itself.
    External(Option<ReloadHook>),
    Child(Child),
}

pub(super) struct Supervisor {
    cache: Arc<SecretCache>,
    app: App,
    health: Option<Health>,
    withheld: Vec<String>,
    tracker: HealthTracker,
    /// The key that is written for the application.
    current: BTreeMap<CredentialName, Fingerprint>,
    /// Changes that the application has not been notified of.
    pending: BTreeSet<CredentialName>,
    notify_at: Instant,
    failures: u32,
    check_at: Option<Instant>,
    statuses: watch::Sender<KeyStatuses>,
}

impl Supervisor {
    pub(super) fn new(
        cache: Arc<SecretCache>,
        app: App,
        health: Option<Health>,
        withheld: Vec<String>,
        statuses: watch::Sender<KeyStatuses>,
    ) -> Self {
        let now = Instant::now();
        let (deadline, misses) = health.as_ref().map_or((DEADLINE, 1), |it| (it.deadline, it.misses));
        Self {
            cache,
            app,
            health,
            withheld,
            tracker: HealthTracker::new(now, deadline, misses),
            current: BTreeMap::new(),
            pending: BTreeSet::new(),
            notify_at: now,
            failures: 0,
            check_at: None,
            statuses,
        }
    }

    /// Waits until every secret is written, without notifying the application.
    pub(super) async fn wait_until_complete(&mut self, changes: &mut mpsc::Receiver<Change>) {
        while !self.is_complete() {
            let Some(change) = changes.recv().await else { return std::future::pending().await };
            self.apply(change);
        }
    }

    /// Runs until the application that the agent runs has exited for good. If this is cancelled and called again, the
    /// step under way is repeated.
    pub(super) async fn run(&mut self, changes: &mut mpsc::Receiver<Change>) -> AgentExit {
        loop {
            self.report();
            let wake = self.next_wake();
            tokio::select! {
                Some(change) = changes.recv() => {
                    self.apply(change);
                    while let Ok(change) = changes.try_recv() {
                        self.apply(change);
                    }
                }
                () = sleep_until(wake) => {}
                status = exited(&mut self.app) => {
                    if let Some(exit) = self.on_exit(status) {
                        self.report();
                        return exit;
                    }
                }
            }
            self.notify().await;
            self.check_health().await;
        }
    }

    /// Stops an application that the agent runs, and forwards signals to it meanwhile.
    pub(super) async fn stop(mut self, signal: Signal, signals: &mut Signals) -> AgentExit {
        let App::Child(child) = &mut self.app else { return AgentExit::Stopped };
        child.signal(signal);
        let status = loop {
            tokio::select! {
                status = child.finish() => break status,
                event = signals.next() => match event {
                    SignalEvent::Hangup => child.signal(Signal::HUP),
                    SignalEvent::Stop(_) => {
                        tracing::warn!("second stop signal: killing the application");
                        break child.kill().await;
                    }
                }
            }
        };
        status.map_or(AgentExit::Stopped, |status| AgentExit::Code(child::code(status)))
    }

    /// Sends SIGHUP to an application that the agent runs.
    pub(super) fn forward_hangup(&self) {
        if let App::Child(child) = &self.app {
            child.signal(Signal::HUP);
        }
    }

    fn apply(&mut self, change: Change) {
        let Change { name, fingerprint } = change;
        if self.current.get(&name) == Some(&fingerprint) {
            return;
        }
        let is_notified =
            matches!(self.app, App::External(_)) && self.cache.notified(&name) == Some(fingerprint.clone());
        tracing::info!(secret = %name, %fingerprint, notified = is_notified, "secret written");
        if is_notified {
            self.pending.remove(&name);
        } else {
            self.pending.insert(name.clone());
        }
        let was_complete = self.is_complete();
        self.current.insert(name, fingerprint);
        if self.is_complete() && !was_complete {
            systemd::ready();
            tracing::info!(secrets = self.current.len(), "ready");
        }
        let now = Instant::now();
        self.tracker.changed(now);
        (self.notify_at, self.failures) = (now, 0);
        self.check_at = Some(now);
    }

    fn is_complete(&self) -> bool {
        self.current.len() == self.cache.count()
    }

    fn next_wake(&self) -> Instant {
        let notify_at = (!self.pending.is_empty() && self.is_complete()).then_some(self.notify_at);
        let restart_at = match &self.app {
            App::Child(child) => child.restart_at,
            App::External(_) => None,
        };
        let check_at = self.check_at.filter(|_| self.is_complete());
        [notify_at, restart_at, check_at].into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// Notifies the application of pending changes; one that the agent runs is started or restarted.
    async fn notify(&mut self) {
        if !self.is_complete() {
            return;
        }
        let now = Instant::now();
        let is_due = !self.pending.is_empty() && self.notify_at <= now;
        let result = match &mut self.app {
            App::Child(child) => {
                let restart_is_due = child.restart_at.is_some_and(|at| at <= now);
                if !is_due && !restart_is_due {
                    return;
                }
                if child.age().is_some() {
                    child.stop_for_restart().await;
                }
                let started = child.start(&self.cache.variables());
                match &started {
                    Ok(()) => self.pending.clear(),
                    Err(_) => child.delay(),
                }
                started.map_err(|error| format!("cannot start the application: {error}"))
            }
            App::External(_) if !is_due => return,
            App::External(hook) => notify_all(&self.cache, hook, &self.current, &mut self.pending).await,
        };
        match result {
            Ok(()) => {
                self.failures = 0;
                let after = self.health.as_ref().map_or(STEADY, |health| health.after);
                let after = if matches!(self.app, App::External(_)) && self.health.is_none() {
                    Duration::ZERO
                } else {
                    after
                };
                self.check_at = Some(Instant::now() + after);
            }
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                if backoff::is_logged(self.failures) {
                    tracing::error!(
                        failures = self.failures,
                        why,
                        "cannot notify the application of a change; will retry"
                    );
                }
                self.notify_at = Instant::now() + RETRY.wait(self.failures, None, random()).unsigned_abs();
            }
        }
    }

    async fn check_health(&mut self) {
        let now = Instant::now();
        if !self.is_complete() || self.check_at.is_none_or(|at| at > now) {
            return;
        }
        let result = match (&self.app, &self.health) {
            (_, _) if !self.pending.is_empty() => Err("it was not notified of a change yet".to_owned()),
            (App::Child(child), _) if child.age().is_none() => Err("it is not running".to_owned()),
            (_, Some(health)) => self.probe(health).await,
            (App::Child(child), None) => match child.age() {
                Some(age) if age >= STEADY => Ok(()),
                Some(_) | None => Err("it has not run steadily yet".to_owned()),
            },
            (App::External(_), None) => Ok(()),
        };
        let every = match (&self.health, &self.app) {
            (Some(health), _) => Some(health.every),
            (None, App::Child(_)) => Some(STEADY),
            (None, App::External(_)) => (!self.pending.is_empty()).then_some(RETRY.first.unsigned_abs()),
        };
        self.check_at = every.map(|every| Instant::now() + backoff::jittered(every, random()));
        let before = self.tracker.health();
        self.tracker.record(result.is_ok(), Instant::now());
        match (before, self.tracker.health(), result) {
            (before, Some(ack::Health::Using), _) if before != Some(ack::Health::Using) => {
                tracing::info!("application is healthy");
                systemd::status("application is healthy");
            }
            (before, Some(ack::Health::Failing), Err(why)) if before != Some(ack::Health::Failing) => {
                tracing::error!(why, "application is failing");
                systemd::status("application is failing");
            }
            (_, _, Err(why)) => tracing::debug!(why, "application is not healthy"),
            (_, _, Ok(())) => {}
        }
    }

    async fn probe(&self, health: &Health) -> Result<(), String> {
        let limit = health.time_limit;
        match &health.how {
            HealthMethod::Command(command_line) => {
                let listed = |text: &mut dyn Iterator<Item = String>| text.collect::<Vec<_>>().join(" ");
                let names = listed(&mut self.current.keys().map(ToString::to_string));
                let fingerprints = listed(&mut self.current.values().map(ToString::to_string));
                let variables =
                    [("REKEYD_SECRET", names.as_str()), ("REKEYD_FINGERPRINT", fingerprints.as_str())];
                command::run(command_line, &variables, &self.withheld, limit).await
            }
            HealthMethod::Url(url) => {
                let request = HttpRequest { method: Method::GET, url, token: None, body: None, limit };
                let response = HttpClient::PLAIN.send(request).await?;
                if response.status.is_success() {
                    Ok(())
                } else {
                    Err(format!("`{url}` answered {}", response.status))
                }
            }
        }
    }

    /// `None` if the application is started again.
    fn on_exit(&mut self, status: ExitStatus) -> Option<AgentExit> {
        let App::Child(child) = &mut self.app else { return None };
        let code = child::code(status);
        if child.is_restarting() {
            return None;
        }
        if child.will_restart(status) {
            tracing::warn!(%status, "application exited; restarting it");
            return None;
        }
        tracing::info!(%status, "application exited");
        if code != 0 && self.tracker.health().is_none() {
            self.tracker.fail();
        }
        Some(AgentExit::Code(code))
    }

    fn report(&self) {
        let health = self.tracker.health();
        self.statuses.send_if_modified(|statuses| {
            let before = statuses.clone();
            for (name, fingerprint) in &self.current {
                let reported = match (health, self.pending.contains(name)) {
                    // Until it is notified, it still uses the key of the last notification.
                    (Some(ack::Health::Using) | None, true) => continue,
                    (health, _) => health,
                };
                match reported {
                    Some(health) => {
                        statuses.insert(name.clone(), KeyStatus { fingerprint: fingerprint.clone(), health });
                    }
                    None => {
                        statuses.remove(name);
                    }
                }
            }
            *statuses != before
        });
    }
}

async fn exited(app: &mut App) -> ExitStatus {
    match app {
        App::Child(child) => child.exited().await,
        App::External(_) => std::future::pending().await,
    }
}

/// Notifies the application of each pending change. A failure leaves the later ones pending.
async fn notify_all(
    cache: &SecretCache,
    hook: &Option<ReloadHook>,
    current: &BTreeMap<CredentialName, Fingerprint>,
    pending: &mut BTreeSet<CredentialName>,
) -> Result<(), String> {
    while let Some(name) = pending.first().cloned() {
        if let (Some(hook), Some(fingerprint)) = (hook, current.get(&name)) {
            let change = Change { name: name.clone(), fingerprint: fingerprint.clone() };
            // A notification that is interrupted may have taken effect.
            cache.clear_notified(&name);
            hook.notify(&change, cache.path(&name)).await?;
            tracing::info!(secret = %name, %fingerprint, "application notified");
            cache.record_notified(&name, fingerprint);
        }
        pending.remove(&name);
    }
    Ok(())
}
