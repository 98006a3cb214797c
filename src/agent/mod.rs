//! `rekeyd agent`, the consumer side: follows secrets, writes them to files, notifies or restarts the application, checks
//! its health and reports to rekeyd which key is in use.
//!
//! Only the last step needs rekeyd. Everything runs on one thread, beside the one that writes the log. No log line and no message holds a secret's value.

mod ack_reporter;
mod child;
mod command;
mod follow;
mod health_tracker;
mod http_client;
mod output_file;
mod reload_hook;
mod secret_cache;
mod signals;
mod supervisor;
mod systemd;

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::agent::ack_reporter::AckReporter;
use crate::agent::child::Child;
use crate::agent::follow::{Change, Follower};
pub use crate::agent::output_file::OutputFile;
use crate::agent::reload_hook::ReloadHook;
pub use crate::agent::secret_cache::CachedSecret;
use crate::agent::secret_cache::SecretCache;
use crate::agent::signals::SignalEvent;
pub use crate::agent::signals::Signals;
use crate::agent::supervisor::{App, KeyStatuses, Supervisor};
use crate::config::agent::{Exec, Health, OnChange, RekeydConfig};
use crate::config_file::environment::Environment;
use crate::config_file::secret_source::SecretSource;
use crate::ports::followed::Followed;

/// Changes queued while the application is being notified of another one.
const CHANGES_MAX: usize = 64;
/// Time limit of the final report to rekeyd, when the agent exits because its application did.
const FINAL_REPORT: Duration = Duration::from_secs(5);

/// The parts of an agent, connected.
pub struct AgentContext {
    pub secrets: Vec<Secret>,
    pub env_file: Option<OutputFile>,
    pub on_change: Option<OnChange>,
    pub health: Option<Health>,
    pub rekeyd: Option<RekeydConfig>,
    /// The application's command line and settings, with `--exec`.
    pub app: Option<(Vec<String>, Exec)>,
    /// Exit once every secret is written, without notifying the application.
    pub once: bool,
    pub environment: Box<dyn Environment>,
}

/// A secret to follow.
pub struct Secret {
    pub cached: CachedSecret,
    pub source: Box<dyn Followed>,
    pub every: Duration,
    /// The longest interval between reads that fail.
    pub every_max: Duration,
}

/// How the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentExit {
    /// By a signal, or because `--once` is done; there is no application with an exit code.
    Stopped,
    /// With the application's own exit code.
    Code(u8),
}

/// Why the agent could not start, or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use `{path}` for the connection to rekeyd")]
    Authorities { path: PathBuf, source: std::io::Error },
    #[error("the agent's {0} ended unexpectedly")]
    TaskEnded(&'static str),
}

/// Runs until a signal stops the agent, or until the application that it runs has exited.
///
/// # Errors
/// The agent could not start, or a task of it panicked. Files that were written stay.
pub async fn run(context: AgentContext, mut signals: Signals) -> Result<AgentExit, Error> {
    let AgentContext { secrets, env_file, on_change, health, rekeyd, app, once, environment } = context;
    let (cached, followers): (Vec<_>, Vec<_>) =
        secrets.into_iter().map(|it| (it.cached, (it.source, it.every, it.every_max))).unzip();
    let names: Vec<_> = cached.iter().map(|it| it.name.clone()).collect();
    let cache = Arc::new(SecretCache::new(cached, env_file));
    cache.restore();
    let (changes, mut changed) = mpsc::channel(CHANGES_MAX);
    let poll_now = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    for (name, (source, every, every_max)) in names.into_iter().zip(followers) {
        let cache = Arc::clone(&cache);
        let follower = Follower { name, source, every, every_max, cache, changes: changes.clone() };
        tasks.spawn(follower.run(Arc::clone(&poll_now)));
    }
    // The agent's own token is not passed on to the processes that it starts.
    let withheld: Vec<String> =
        rekeyd.iter().filter_map(|it| it.token.as_ref()).filter_map(token_variable).collect();
    let app = match app {
        Some((command_line, exec)) => App::Child(Child::new(command_line, exec, withheld.clone())),
        None => App::External(on_change.map(|it| ReloadHook::new(it, withheld.clone()))),
    };
    let (statuses, mut reported) = watch::channel(KeyStatuses::new());
    let mut supervisor = Supervisor::new(Arc::clone(&cache), app, health, withheld, statuses);
    let mut reporter = rekeyd.map(|rekeyd| AckReporter::new(rekeyd, environment)).transpose()?;
    let exit = loop {
        let event = tokio::select! {
            biased;
            event = signals.next() => event,
            exit = supervise(&mut supervisor, &mut changed, once) => break exit,
            Some(_) = tasks.join_next() => return Err(Error::TaskEnded("follower of a secret")),
            () = report(reporter.as_mut(), &mut reported) => return Err(Error::TaskEnded("ack reporter")),
            () = systemd::feed_watchdog() => return Err(Error::TaskEnded("systemd watchdog")),
        };
        match event {
            SignalEvent::Hangup => {
                supervisor.forward_hangup();
                poll_now.notify_waiters();
            }
            SignalEvent::Stop(signal) => {
                systemd::stopping();
                tracing::info!("stopping");
                return Ok(supervisor.stop(signal, &mut signals).await);
            }
        }
    };
    if let Some(reporter) = &mut reporter {
        // The result does not matter: the agent exits either way and cannot retry.
        drop(tokio::time::timeout(FINAL_REPORT, reporter.report_once(&reported)).await);
    }
    Ok(exit)
}

async fn supervise(
    supervisor: &mut Supervisor,
    changes: &mut mpsc::Receiver<Change>,
    once: bool,
) -> AgentExit {
    if once {
        supervisor.wait_until_complete(changes).await;
        return AgentExit::Stopped;
    }
    supervisor.run(changes).await
}

async fn report(reporter: Option<&mut AckReporter>, statuses: &mut watch::Receiver<KeyStatuses>) {
    match reporter {
        Some(reporter) => reporter.run(statuses).await,
        None => std::future::pending().await,
    }
}

fn token_variable(token: &SecretSource) -> Option<String> {
    match token {
        SecretSource::EnvironmentVariable(name) => Some(name.clone()),
        SecretSource::SystemdCredential(_) | SecretSource::File(_) => None,
    }
}

/// A seed for jitter. Random, because each `RandomState` is made with new keys.
fn random() -> u64 {
    RandomState::new().hash_one(())
}
