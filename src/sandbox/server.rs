//! The workspace behind HTTP: a listener on loopback, the faults in front of it, and a handle for whoever started it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ports::clock::Clock;
use crate::sandbox::control;
use crate::sandbox::exchange;
use crate::sandbox::faults::Fault;
use crate::sandbox::random::Random;
use crate::sandbox::rules::Rules;
use crate::sandbox::truth::Truth;
use crate::sandbox::wire::{Peer, Wire};
use crate::sandbox::workspace::Workspace;

const DRAIN: Duration = Duration::from_secs(3);

/// How to start a sandbox.
pub struct Options {
    pub listen: SocketAddr,
    pub clock: Arc<dyn Clock>,
    /// Makes ids, values and chances repeatable.
    pub seed: Option<u64>,
    /// Made up if not given.
    pub admin_key: Option<String>,
    pub rules: Rules,
}

impl Options {
    /// On a free port of loopback, with the usual rules and nothing repeatable.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { listen, clock, seed: None, admin_key: None, rules: Rules::default() }
    }
}

/// What the server, the control surface and the handle share.
pub(super) struct Shared {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shutdown: CancellationToken,
    workspace: Mutex<Workspace>,
    faults: Mutex<Vec<Fault>>,
}

impl Shared {
    pub(super) fn workspace(&self) -> MutexGuard<'_, Workspace> {
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A running sandbox. Dropping it stops it soon; [`Self::shutdown`] waits until it has stopped.
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    /// Listens and serves. When this returns, the first request will be answered.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(options: Options) -> io::Result<Self> {
        let Options { listen, clock, seed, admin_key, rules } = options;
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let random = seed.map_or_else(Random::from_system, Random::seeded);
        let workspace = Workspace::new(rules, random, admin_key, clock.now());
        let shared = Arc::new(Shared {
            clock,
            shutdown: CancellationToken::new(),
            workspace: Mutex::new(workspace),
            faults: Mutex::new(Vec::new()),
        });
        let app = Router::new()
            .nest("/sandbox", control::routes())
            .fallback(exchange::exchange)
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(Wire::new(listener, shared.shutdown.clone()), app)
            .with_graceful_shutdown(shared.shutdown.clone().cancelled_owned());
        #[expect(clippy::disallowed_methods, reason = "the sandbox stands outside the engine's supervision")]
        let server = tokio::spawn(serving.into_future());
        Ok(Self { address, shared, server })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The workspace itself, to look at it and to do what a person would do in the dashboard. The sandbox answers
    /// nothing while the guard is held: do not keep it.
    pub fn workspace(&self) -> MutexGuard<'_, Workspace> {
        self.shared.workspace()
    }

    /// The value of the admin key.
    #[must_use]
    pub fn admin_key(&self) -> String {
        self.workspace().admin_key().to_owned()
    }

    /// The truth now.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.workspace().truth(self.shared.now())
    }

    /// Replaces the faults; those of calls that are being answered stay as drawn.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *self.shared.faults() = faults;
    }

    /// The faults as they are now, with what is left of `skip` and `times`.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.faults().clone()
    }

    /// Stops listening, lets calls end that are being answered, and returns after three seconds at the latest.
    pub async fn shutdown(mut self) {
        self.shared.shutdown.cancel();
        if tokio::time::timeout(DRAIN, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.shutdown.cancel();
    }
}
