//! The daemon's life: open, bind, work, reload, drain.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::assembly::{self, Base};
use crate::app::channels;
use crate::app::journal::Database;
use crate::app::lifecycle::Lifecycle;
use crate::app::notify;
use crate::app::reload::{self, InForce};
use crate::app::traces;
use crate::app::with_causes;
use crate::config::Config;
use crate::config::components::{DaemonConfig, TlsConfig};
use crate::config_file::environment::ProcessEnvironment;
use crate::domain::audit::Actor;
use crate::engine::{Controller, Handle, Stopped, ticker};
use crate::http::{BindError, Operator, OperatorSocket, Public, PublicListener, Reload, Status};
use crate::http::{Tls, TlsError, TlsFiles};
use crate::notify::{Channels, NotificationService};
use crate::ports::journal::OpenError;
use crate::telemetry::meter::Meter;
use crate::telemetry::observation::{Detail, Observer};

/// Reloads that wait while one is under way.
const RELOADS_MAX: usize = 8;

/// Why the daemon did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Journal(#[from] OpenError),
    #[error(transparent)]
    Assembly(#[from] assembly::Error),
    #[error("{0}")]
    Consumers(String),
    #[error(transparent)]
    Channels(#[from] channels::Error),
    #[error("cannot listen on {address}; change `daemon.listen`, or stop what listens there")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("the listener cannot speak TLS: {0}")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Socket(#[from] BindError),
    #[error("the scheduler cannot be started")]
    Scheduler(#[from] tokio_cron_scheduler::JobSchedulerError),
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Traces(#[from] traces::Error),
    #[error(transparent)]
    Engine(#[from] Stopped),
    #[error("a part of the daemon ended by itself")]
    PartEnded,
}

/// Runs the daemon under the policy that was loaded from `path`, until it is told to stop.
///
/// # Errors
/// Nothing was changed outside if it did not start. If it stopped by itself, the journal says how far it came.
pub async fn run(path: &Path, config: Config) -> Result<(), Error> {
    let journal = config.daemon.journal.open()?;
    let base = Base::on_this_machine(Arc::<dyn Database>::clone(&journal));
    let (base, exporter) = traces::begin(base, &ProcessEnvironment).await?;
    let diary = Lifecycle::of(&base);
    let context = assembly::assemble(&config, &ProcessEnvironment, &base).await?;
    let consumers = reload::consumers(&config).map_err(Error::Consumers)?;
    let (listener, tls) = listen(&config.daemon).await?;
    let socket = OperatorSocket::bind(&config.daemon.socket)?;
    let signals = Signals::listen().map_err(Error::Signals)?;

    let (tick, sweep, inspect) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (controller, handle) = Controller::load(context, Arc::clone(&tick)).await?;
    let controller = controller.metered_by(Arc::<Meter>::clone(&base.meter));
    let (consumers, consumers_seen) = watch::channel(Arc::new(consumers));
    let (status, status_seen) = watch::channel(at_the_start(&config, &base));
    let (channels, notifications) = announcing(&config, &base, journal, &handle, &status)?;
    let (reloads, reloads_asked) = mpsc::channel(RELOADS_MAX);
    let drain = config.daemon.drain.unsigned_abs();
    let others = [
        (Arc::clone(&sweep), ticker::every(config.daemon.sweep_every)),
        (Arc::clone(&inspect), ticker::every(config.daemon.inspect_every)),
    ];
    let mut scheduler = ticker::start(tick, others).await?;

    let (stop, served) = (CancellationToken::new(), CancellationToken::new());
    let public = Public { handle: handle.clone(), consumers: consumers_seen, status: status_seen.clone() };
    let operator = Operator { handle: handle.clone(), status: status_seen, reload: reloads.clone() };
    let missing = diary.started(config.hash()).await;
    tracing::info!(
        listen = %listener.address(), socket = %config.daemon.socket.display(),
        credentials = config.policy.credentials.len(), policy = %path.display(), "ready"
    );
    let in_force = InForce {
        base,
        handle: handle.clone(),
        consumers,
        channels,
        status: status.clone(),
        daemon: config.daemon,
    };
    let mut parts = JoinSet::new();
    if let Some(exporter) = exporter {
        parts.spawn(exporter.run(served.clone()));
    }
    parts.spawn(listener.serve(public, served.clone()));
    if let Some(tls) = tls {
        parts.spawn(tls.follow(status.clone(), served.clone()));
    }
    parts.spawn(socket.serve(operator, served.clone()));
    parts.spawn(notifications.run(served.clone()));
    parts.spawn(answer_reloads(in_force, path.to_owned(), reloads_asked, served.clone()));
    parts.spawn(heed_schedules(handle.clone(), sweep, inspect, served.clone()));
    parts.spawn(notify::feed_watchdog(handle, served.clone()));
    parts.spawn(diary.clone().keep(missing, served.clone()));
    parts.spawn(signals.heed(reloads, stop.clone(), served.clone()));
    notify::ready(&notify::begun(config.policy.credentials.len()));

    let outcome = work(controller, &stop, drain, &status, &mut parts).await;
    served.cancel();
    let outcome = all_ended(&mut parts, outcome).await;
    // Its own tasks may outlive this call; they only notify.
    if let Err(error) = scheduler.shutdown().await {
        tracing::debug!(%error, "the scheduler did not stop in order");
    }
    diary.stopped(outcome.as_ref().err().map(|error| with_causes(error))).await;
    outcome
}

/// Lets the engine work until it is told to stop, or something breaks.
async fn work(
    controller: Controller,
    stop: &CancellationToken,
    drain: Duration,
    status: &watch::Sender<Status>,
    parts: &mut JoinSet<()>,
) -> Result<(), Error> {
    let engine = controller.run(stop.clone(), drain);
    tokio::pin!(engine);
    tokio::select! {
        stopped = &mut engine => stopped.map_err(Error::from),
        () = stop.cancelled() => {
            status.send_modify(|status| status.draining = true);
            notify::stopping(drain);
            tracing::info!("stopping: every rotation goes on to its next journalled point");
            engine.await.map_err(Error::from)
        }
        Some(_) = parts.join_next() => Err(Error::PartEnded),
    }
}

/// What only the program's frame knows, when it begins.
fn at_the_start(config: &Config, base: &Base) -> Status {
    Status {
        policy_hash: config.hash().to_owned(),
        policy_loaded: Some(base.clock.now()),
        started: Some(base.clock.now()),
        detail: Detail::of(config.metrics.per_credential),
        journal: config.daemon.journal.file().map(Path::to_owned),
        meter: Arc::clone(&base.meter),
        ..Status::default()
    }
}

/// What tells people, and the way by which it learns of other channels.
fn announcing(
    config: &Config,
    base: &Base,
    journal: Arc<dyn Database>,
    handle: &Handle,
    status: &watch::Sender<Status>,
) -> Result<(watch::Sender<Arc<Channels>>, NotificationService), Error> {
    let channels = channels::channels(config, &ProcessEnvironment, &base.clock)?;
    let (channels, channels_seen) = watch::channel(Arc::new(channels));
    let notifications = NotificationService {
        observer: Observer::new(handle.clone(), status.subscribe()),
        outbox: journal,
        clock: Arc::clone(&base.clock),
        channels: channels_seen,
        status: status.clone(),
        notify_after: config.daemon.notify_after,
    };
    Ok((channels, notifications))
}

/// Waits for every part; one that broke is why the daemon stopped, if nothing else is.
async fn all_ended(parts: &mut JoinSet<()>, mut outcome: Result<(), Error>) -> Result<(), Error> {
    while let Some(ended) = parts.join_next().await {
        if ended.is_err() && outcome.is_ok() {
            outcome = Err(Error::PartEnded);
        }
    }
    outcome
}

/// The public listener, and what it encrypts with, if it does.
async fn listen(config: &DaemonConfig) -> Result<(PublicListener, Option<Arc<Tls>>), Error> {
    let files = config.tls.clone();
    let files =
        files.map(|TlsConfig { certificate, key, client_ca }| TlsFiles { certificate, key, client_ca });
    let tls = files.map(Tls::load).transpose()?.map(Arc::new);
    let address = config.listen;
    let listener = PublicListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    Ok((listener.encrypted_by(tls.clone()), tls))
}

async fn heed_schedules(handle: Handle, sweep: Arc<Notify>, inspect: Arc<Notify>, stop: CancellationToken) {
    loop {
        let heard = tokio::select! {
            () = stop.cancelled() => return,
            () = sweep.notified() => handle.sweep().await,
            () = inspect.notified() => handle.inspect().await,
        };
        if heard.is_err() {
            return stop.cancelled().await;
        }
    }
}

async fn answer_reloads(
    in_force: InForce,
    path: PathBuf,
    mut asked: mpsc::Receiver<Reload>,
    stop: CancellationToken,
) {
    loop {
        let reload = tokio::select! {
            () = stop.cancelled() => return,
            Some(reload) = asked.recv() => reload,
        };
        notify::reloading();
        let outcome = in_force.reload(&path, &reload.by).await;
        notify::ready(&notify::reloaded(&outcome));
        // Nobody may be left to hear it.
        drop(reload.answer.send(outcome));
    }
}

/// The signals that the daemon heeds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// SIGHUP loads the policy again. The first SIGTERM or SIGINT stops in order, the second at once.
    async fn heed(mut self, reloads: mpsc::Sender<Reload>, stop: CancellationToken, done: CancellationToken) {
        loop {
            let code = tokio::select! {
                () = done.cancelled() => return,
                _ = self.hangup.recv() => {
                    let (answer, _) = tokio::sync::oneshot::channel();
                    let by = Actor::Operator("who sent SIGHUP".to_owned());
                    // A full queue means that the policy is about to be loaded again anyway.
                    drop(reloads.try_send(Reload { by, answer }));
                    continue;
                }
                _ = self.terminate.recv() => 143,
                _ = self.interrupt.recv() => 130,
            };
            if stop.is_cancelled() {
                tracing::warn!("stopping at once: asked a second time");
                leave(code);
            }
            stop.cancel();
        }
    }
}

/// As safe as being killed, which is what was asked for.
#[expect(clippy::exit, reason = "the second signal means now")]
fn leave(code: i32) {
    std::process::exit(code);
}
