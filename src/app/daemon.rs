//! Runs the daemon: opens the journal, binds the listeners, runs the engine and its parts, reloads, drains.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::adapters::endpoint;
use crate::app::assembly::{self, Base};
use crate::app::channels;
use crate::app::comparisons::Comparisons;
use crate::app::journal::Database;
use crate::app::lifecycle::Lifecycle;
use crate::app::notify;
use crate::app::parts::{EndedPart, Part, Parts};
use crate::app::reload::{self, InForce};
use crate::app::reloads::Reloads;
use crate::app::renames;
use crate::app::signals::Signals;
use crate::app::traces;
use crate::app::with_causes;
use crate::config::Config;
use crate::config::components::{DaemonConfig, TlsConfig};
use crate::config_file::environment::ProcessEnvironment;
use crate::engine::{Controller, ControllerError, Handle, ticker};
use crate::http::{BindError, Consumers, Operator, OperatorSocket, Public, PublicListener, Status};
use crate::http::{Tls, TlsError, TlsFiles};
use crate::notify::{Channels, NotificationService};
use crate::ports::journal::OpenError;
use crate::telemetry::meter::Meter;
use crate::telemetry::observation::{Detail, Observer};
use crate::telemetry::traces::Exporter;

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
    #[error("{0}")]
    Renamed(String),
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
    #[error(transparent)]
    Engine(#[from] ControllerError),
    #[error("{0}")]
    PartEnded(EndedPart),
}

/// Runs the daemon under the policy that was loaded from `path`, until a signal stops it. A SIGHUP that `signals` received
/// earlier loads the policy again as soon as the daemon is ready.
///
/// # Errors
/// Nothing was changed outside if it did not start. If it stopped by itself, the journal has how far it came.
pub async fn run(path: &Path, config: Config, mut signals: Signals) -> Result<(), Error> {
    // A task of its own: files and systems that do not answer must not keep a signal from being followed.
    let mut starting = JoinSet::new();
    starting.spawn(Prepared::by(config));
    let prepared = tokio::select! {
        biased;
        () = signals.stopped() => None,
        prepared = starting.join_next() => prepared,
    };
    match prepared {
        None => {
            tracing::info!("told to stop before it was ready");
            Ok(())
        }
        Some(Ok(prepared)) => prepared?.run(path, signals).await,
        Some(Err(ended)) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Ok(()),
        },
    }
}

/// Everything that the daemon needs, before it says that it has started.
struct Prepared {
    config: Config,
    journal: Arc<dyn Database>,
    base: Base,
    exporter: Option<Exporter>,
    consumers: Consumers,
    listener: PublicListener,
    tls: Option<Arc<Tls>>,
    socket: OperatorSocket,
    tick: Arc<Notify>,
    controller: Controller,
    handle: Handle,
}

impl Prepared {
    async fn by(config: Config) -> Result<Self, Error> {
        let journal = config.daemon.journal.open()?;
        let base = Base::on_this_machine(Arc::<dyn Database>::clone(&journal));
        let (base, exporter) = traces::begin(base, &ProcessEnvironment).await;
        let context = assembly::assemble(&config, &ProcessEnvironment, &base).await?;
        let checked = renames::check(base.journal.as_ref(), &config.policy, None, base.clock.now()).await;
        checked.map_err(ControllerError::from)?.map_err(Error::Renamed)?;
        let consumers = reload::consumers(&config).map_err(Error::Consumers)?;
        let (listener, tls) = listen(&config.daemon).await?;
        let socket = OperatorSocket::bind(&config.daemon.socket)?;
        let tick = Arc::new(Notify::new());
        let (controller, handle) = Controller::load(context, Arc::clone(&tick)).await?;
        let controller = controller.metered_by(Arc::<Meter>::clone(&base.meter));
        Ok(Self {
            config,
            journal,
            base,
            exporter,
            consumers,
            listener,
            tls,
            socket,
            tick,
            controller,
            handle,
        })
    }

    async fn run(self, path: &Path, signals: Signals) -> Result<(), Error> {
        let Self { config, journal, base, exporter, listener, tls, socket, tick, controller, handle, .. } =
            self;
        let lifecycle = Lifecycle::of(&base);
        let (sweep, inspect) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (consumers, consumer_updates) = watch::channel(Arc::new(self.consumers));
        let (status, status_updates) = watch::channel(initial_status(&config, &base));
        let (channels, notifications) = notifications(&config, &base, journal, &handle, &status)?;
        let (reloads, reload_requests) = mpsc::channel(RELOADS_MAX);
        let drain = config.daemon.drain.unsigned_abs();
        let inspect_every = config.daemon.inspect_every;
        let others = [
            (Arc::clone(&sweep), ticker::every(config.daemon.sweep_every)),
            (Arc::clone(&inspect), ticker::every(config.daemon.inspect_every)),
        ];
        let mut scheduler = ticker::start(tick, others).await?;

        let (stop, served) = (CancellationToken::new(), CancellationToken::new());
        let public =
            Public { handle: handle.clone(), consumers: consumer_updates, status: status_updates.clone() };
        let operator = Operator { handle: handle.clone(), status: status_updates, reload: reloads.clone() };
        let missing = lifecycle.started(config.hash()).await;
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
        let mut parts = Parts::default();
        if let Some(exporter) = exporter {
            parts.spawn(Part::TraceExporter, exporter.run(served.clone()));
        }
        parts.spawn(Part::PublicListener, listener.serve(public, served.clone()));
        if let Some(tls) = tls {
            parts.spawn(Part::TlsFiles, tls.follow(status.clone(), served.clone()));
        }
        parts.spawn(Part::OperatorSocket, socket.serve(operator, served.clone()));
        parts.spawn(Part::Notifier, notifications.run(served.clone()));
        parts.spawn(
            Part::Reloads,
            Reloads::of(in_force, path.to_owned()).serve(reload_requests, served.clone()),
        );
        parts.spawn(Part::Scans, scan_on_schedule(handle.clone(), sweep, inspect, served.clone()));
        let comparisons = Comparisons { handle: handle.clone(), status: status.clone(), inspect_every };
        parts.spawn(Part::JournalProbe, probe_journal(handle.clone(), served.clone()));
        parts.spawn(Part::Comparisons, comparisons.run(served.clone()));
        parts.spawn(Part::Watchdog, notify::feed_watchdog(handle, served.clone()));
        parts.spawn(Part::AuditLog, lifecycle.clone().keep(missing, served.clone()));
        parts.spawn(Part::Signals, signals.handle(reloads, stop.clone(), served.clone()));
        notify::ready(&notify::begun(config.policy.credentials.len()));

        let outcome = work(controller, &stop, drain, &status, &mut parts).await;
        served.cancel();
        let outcome = match (outcome, parts.all_ended().await) {
            (Ok(()), Some(broken)) => Err(Error::PartEnded(broken)),
            (outcome, _) => outcome,
        };
        // The scheduler's tasks may outlive this call; they only notify.
        if let Err(error) = scheduler.shutdown().await {
            tracing::debug!(%error, "the scheduler did not stop in order");
        }
        lifecycle.stopped(outcome.as_ref().err().map(|error| with_causes(error))).await;
        outcome
    }
}

/// Runs the engine until a signal stops it or a part ends.
async fn work(
    controller: Controller,
    stop: &CancellationToken,
    drain: Duration,
    status: &watch::Sender<Status>,
    parts: &mut Parts,
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
        Some(ended) = parts.next_ended() => Err(Error::PartEnded(ended)),
    }
}

/// The status of the program at its start, beside the engine's.
fn initial_status(config: &Config, base: &Base) -> Status {
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

/// The notifier, and the channel by which a reload gives it other notification channels.
fn notifications(
    config: &Config,
    base: &Base,
    journal: Arc<dyn Database>,
    handle: &Handle,
    status: &watch::Sender<Status>,
) -> Result<(watch::Sender<Arc<Channels>>, NotificationService), Error> {
    let channels = channels::channels(config, &ProcessEnvironment, &base.clock)?;
    let (channels, channel_updates) = watch::channel(Arc::new(channels));
    let notifications = NotificationService {
        observer: Observer::new(handle.clone(), status.subscribe()),
        outbox: journal,
        clock: Arc::clone(&base.clock),
        channels: channel_updates,
        status: status.clone(),
        notify_after: config.daemon.notify_after,
    };
    Ok((channels, notifications))
}

/// The public listener, and its TLS files if it has any.
async fn listen(config: &DaemonConfig) -> Result<(PublicListener, Option<Arc<Tls>>), Error> {
    let files = config.tls.clone();
    let files =
        files.map(|TlsConfig { certificate, key, client_ca }| TlsFiles { certificate, key, client_ca });
    let tls = files.map(|files| Tls::load(files, endpoint::validity)).transpose()?.map(Arc::new);
    let address = config.listen;
    let listener = PublicListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    Ok((listener.encrypted_by(tls.clone()), tls))
}

async fn scan_on_schedule(handle: Handle, sweep: Arc<Notify>, inspect: Arc<Notify>, stop: CancellationToken) {
    loop {
        let sent = tokio::select! {
            () = stop.cancelled() => return,
            () = sweep.notified() => handle.sweep().await,
            () = inspect.notified() => handle.inspect().await,
        };
        if sent.is_err() {
            return stop.cancelled().await;
        }
    }
}

/// Finds out that the journal cannot be written while nothing is.
async fn probe_journal(handle: Handle, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            again = handle.probe_journal() => tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(again) => {}
            },
        }
    }
}
