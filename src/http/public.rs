//! The public listener: probes, metrics and the status page for whoever asks, acknowledgements for consumers with a token.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::engine::Handle;
use crate::http::Consumers;
use crate::http::acks;
use crate::http::answer;
use crate::http::leaks;
use crate::http::page;
use crate::http::probes;
use crate::http::serve::{self, Limits};
use crate::telemetry::observation::{Observer, Status};

const BODY_BYTES_MAX: usize = 4 * 1024;

const ANSWER: Duration = Duration::from_secs(10);

const LIMITS: Limits =
    Limits { connections: 128, head: Duration::from_secs(10), life: Duration::from_secs(120) };

/// What the listener serves from.
pub struct Public {
    pub handle: Handle,
    /// Replaced when the policy is reloaded.
    pub consumers: watch::Receiver<Arc<Consumers>>,
    pub status: watch::Receiver<Status>,
}

pub(super) struct Shared {
    pub(super) handle: Handle,
    pub(super) consumers: watch::Receiver<Arc<Consumers>>,
    pub(super) observer: Observer,
}

/// A bound listener. Connections wait until it serves.
pub struct PublicListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl PublicListener {
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address that was bound: with the port that was chosen, if any would do.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then at most a few seconds longer for answers that are being given. Dropping it stops at
    /// once.
    pub async fn serve(self, public: Public, stop: CancellationToken) {
        let Public { handle, consumers, status } = public;
        let observer = Observer::new(handle.clone(), status);
        let routes = routes(Arc::new(Shared { handle, consumers, observer }));
        serve::serve(self.listener, LIMITS, |_| routes.clone(), stop).await;
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    let in_time = middleware::from_fn(|request, next| {
        answer::within(ANSWER, "the answer took too long; try again", request, next)
    });
    Router::new()
        .route("/livez", get(probes::livez))
        .route("/healthz", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/version", get(probes::version))
        .route("/metrics", get(probes::metrics))
        .route("/v1/credentials/{name}/acks", post(acks::acknowledge))
        .route("/v1/leaks", post(leaks::report))
        .merge(page::routes())
        .fallback(answer::no_such_path)
        .method_not_allowed_fallback(answer::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(in_time)
        .with_state(shared)
}
