//! The consumer's side: follows secrets, writes them where the application reads them, tells or restarts it, waits
//! until it is well, and acknowledges to rekeyd which key is in use, for as long as both live. Needs rekeyd for none
//! of it but the last. Everything runs on one thread, and nothing that is said holds a value.

mod ack_reporter;
mod backoff;
mod child;
mod command;
mod follow;
mod health_tracker;
mod http_client;
mod notify;
mod output_file;
mod reload_hook;
mod secret_cache;
mod signals;
mod supervisor;

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
use crate::agent::signals::{Heard, Signals};
use crate::agent::supervisor::{App, Supervisor, Words};
use crate::config::agent::{Exec, Health, OnChange, RekeydConfig};
use crate::config_file::environment::Environment;
use crate::config_file::secret_source::SecretSource;
use crate::ports::followed::Followed;

/// Changes that wait while the application is told of another.
const CHANGES_MAX: usize = 64;
/// How long a last word to rekeyd may take when the application has failed and the agent ends with it.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Everything that an agent does, connected.
pub struct AgentContext {
    pub secrets: Vec<Secret>,
    pub env_file: Option<OutputFile>,
    pub on_change: Option<OnChange>,
    pub health: Option<Health>,
    pub rekeyd: Option<RekeydConfig>,
    /// The application to run, with `--exec`.
    pub app: Option<(Vec<String>, Exec)>,
    /// End when every secret is in place, and tell nobody.
    pub once: bool,
    pub environment: Box<dyn Environment>,
}

/// A secret to follow.
pub struct Secret {
    pub shelved: CachedSecret,
    pub source: Box<dyn Followed>,
    pub every: Duration,
    /// Between looks that fail.
    pub every_max: Duration,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop, and there is no application to take an exit code from.
    Stopped,
    /// With the application's own exit code.
    With(u8),
}

/// Why it could not begin, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    #[error("`{path}` cannot be used to speak to rekeyd")]
    Authorities { path: PathBuf, source: std::io::Error },
    #[error("a part of the agent ended by itself")]
    PartEnded,
}

/// Works until it is told to stop, or until the application that it runs has ended.
///
/// # Errors
/// It could not begin; or a part of it panicked. The files that were written stay.
pub async fn run(setup: AgentContext) -> Result<Ended, Error> {
    let AgentContext { secrets, env_file, on_change, health, rekeyd, app, once, environment } = setup;
    let mut signals = Signals::listen().map_err(Error::Signals)?;
    let (shelved, followers): (Vec<_>, Vec<_>) =
        secrets.into_iter().map(|it| (it.shelved, (it.source, it.every, it.every_max))).unzip();
    let names: Vec<_> = shelved.iter().map(|it| it.name.clone()).collect();
    let shelf = Arc::new(SecretCache::new(shelved, env_file));
    shelf.restore();
    let (changes, mut changed) = mpsc::channel(CHANGES_MAX);
    let look_now = Arc::new(Notify::new());
    let mut parts = JoinSet::new();
    for (name, (source, every, every_max)) in names.into_iter().zip(followers) {
        let shelf = Arc::clone(&shelf);
        let follower = Follower { name, source, every, every_max, shelf, changes: changes.clone() };
        parts.spawn(follower.run(Arc::clone(&look_now)));
    }
    // What is for the agent alone is not for what it starts.
    let withheld: Vec<String> =
        rekeyd.iter().filter_map(|it| it.token.as_ref()).filter_map(withheld).collect();
    let app = match app {
        Some((words, exec)) => App::Child(Child::new(words, exec, withheld.clone())),
        None => App::Beside(on_change.map(|it| ReloadHook::new(it, withheld.clone()))),
    };
    let (words, mut spoken) = watch::channel(Words::new());
    let mut attendant = Supervisor::new(Arc::clone(&shelf), app, health, withheld, words);
    let mut herald = rekeyd.map(|rekeyd| AckReporter::new(rekeyd, environment)).transpose()?;
    let ended = loop {
        let heard = tokio::select! {
            biased;
            heard = signals.heard() => heard,
            ended = attend(&mut attendant, &mut changed, once) => break ended,
            Some(_) = parts.join_next() => return Err(Error::PartEnded),
            () = speak(herald.as_mut(), &mut spoken) => return Err(Error::PartEnded),
            () = notify::feed_watchdog() => return Err(Error::PartEnded),
        };
        match heard {
            Heard::Hangup => {
                attendant.hang_up();
                look_now.notify_waiters();
            }
            Heard::Stop(signal) => {
                notify::stopping();
                tracing::info!("stopping");
                return Ok(attendant.stop(signal, &mut signals).await);
            }
        }
    };
    if let Some(herald) = &mut herald {
        // Whether it was heard or not, there is nobody left to try again.
        drop(tokio::time::timeout(LAST_WORD, herald.speak_once(&spoken)).await);
    }
    Ok(ended)
}

async fn attend(attendant: &mut Supervisor, changes: &mut mpsc::Receiver<Change>, once: bool) -> Ended {
    if once {
        attendant.hears_of_all(changes).await;
        return Ended::Stopped;
    }
    attendant.work(changes).await
}

async fn speak(herald: Option<&mut AckReporter>, words: &mut watch::Receiver<Words>) {
    match herald {
        Some(herald) => herald.run(words).await,
        None => std::future::pending().await,
    }
}

fn withheld(token: &SecretSource) -> Option<String> {
    match token {
        SecretSource::EnvironmentVariable(name) => Some(name.clone()),
        SecretSource::SystemdCredential(_) | SecretSource::File(_) => None,
    }
}
