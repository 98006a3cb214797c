//! Loads the policy again when asked: what is read may hang, as on a network file system, and is read on a thread of its own.
//! The policy in force stays until the new one is read whole; requests that come meanwhile are one more reload together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::assembly::Base;
use crate::app::notify;
use crate::app::reload::{InForce, Readied};
use crate::current_read::CurrentRead;
use crate::domain::audit::Actor;
use crate::http::Reload;

/// What takes longer hangs. Shorter than an operator's command waits.
const READING_MAX: Duration = Duration::from_secs(30);

/// Serves reloads, one at a time.
pub(super) struct Reloads {
    in_force: InForce,
    path: Arc<Path>,
    /// A reading that took too long, and has not ended yet.
    hanging: Option<Reading>,
    /// Who asked last for a policy that could not be read because of that.
    owed_to: Option<Actor>,
}

/// A policy that is being read.
struct Reading {
    thread: JoinHandle<Result<Readied, String>>,
    current: CurrentRead,
    begun: Instant,
}

impl Reading {
    fn begin(path: &Arc<Path>, base: &Base) -> Self {
        let current = CurrentRead::default();
        let (watched, path, base, runtime) =
            (current.clone(), Arc::clone(path), base.clone(), Handle::current());
        let thread = spawn_blocking(move || watched.watch(|| runtime.block_on(Readied::read(&path, &base))));
        Self { thread, current, begun: Instant::now() }
    }

    /// Cancel-safe.
    async fn ended(&mut self) -> Result<Readied, String> {
        let ended = (&mut self.thread).await;
        ended.unwrap_or_else(|error| Err(format!("reading the policy ended by itself: {error}")))
    }

    fn hangs(&self) -> String {
        let what = self.current.what().unwrap_or_else(|| "the policy".to_owned());
        format!(
            "reading {what} has taken {} seconds so far: its file system or store may hang; the policy is loaded when it answers",
            self.begun.elapsed().as_secs()
        )
    }
}

impl Reloads {
    pub(super) fn of(in_force: InForce, path: PathBuf) -> Self {
        Self { in_force, path: path.into(), hanging: None, owed_to: None }
    }

    /// Serves requests until `stop`, which no read delays.
    pub(super) async fn serve(mut self, mut requests: mpsc::Receiver<Reload>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.serve_all(&mut requests) => {}
        }
    }

    async fn serve_all(&mut self, requests: &mut mpsc::Receiver<Reload>) {
        loop {
            let first = tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => request,
                    None => return std::future::pending().await,
                },
                () = ended(&mut self.hanging) => {
                    self.hanging = None;
                    if let Some(by) = self.owed_to.take() {
                        self.announced(&by).await.ok();
                    }
                    continue;
                }
            };
            let mut together = vec![first];
            while let Ok(more) = requests.try_recv() {
                together.push(more);
            }
            let Some(by) = together.last().map(|last| last.by.clone()) else { continue };
            let outcome = self.announced(&by).await;
            for request in together {
                // The requester may be gone.
                drop(request.answer.send(outcome.clone()));
            }
        }
    }

    async fn announced(&mut self, by: &Actor) -> Result<String, String> {
        notify::reloading();
        let outcome = self.reload(by).await;
        notify::ready(&notify::reloaded(&outcome));
        outcome
    }

    /// Nothing is read beside a reading that hangs: it would hang too.
    async fn reload(&mut self, by: &Actor) -> Result<String, String> {
        if let Some(hanging) = &self.hanging {
            self.owed_to = Some(by.clone());
            return Err(hanging.hangs());
        }
        let mut reading = Reading::begin(&self.path, &self.in_force.base);
        let readied = match timeout(READING_MAX, reading.ended()).await {
            Ok(readied) => readied,
            Err(_) => {
                let why = reading.hangs();
                (self.hanging, self.owed_to) = (Some(reading), Some(by.clone()));
                Err(why)
            }
        };
        self.in_force.put(&self.path, readied, by).await
    }
}

/// Waits for a reading that hangs; for ever if there is none. Cancel-safe.
async fn ended(hanging: &mut Option<Reading>) {
    match hanging {
        // What it read may be older than what was asked for since.
        Some(reading) => drop(reading.ended().await),
        None => std::future::pending().await,
    }
}
