//! The public listener: probes and metrics for everybody, the status page and the API for readers, acknowledgements for
//! consumers; plain or over TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::engine::Handle;
use crate::http::Consumers;
use crate::http::access::{Access, Caller};
use crate::http::acks;
use crate::http::credentials;
use crate::http::leaks;
use crate::http::openapi;
use crate::http::page;
use crate::http::probes;
use crate::http::response;
use crate::http::rotations;
use crate::http::serve::{self, Limits};
use crate::http::tls::Tls;
use crate::telemetry::observation::{Observer, Status};

const BODY_BYTES_MAX: usize = 4 * 1024;

const RESPONSE_LIMIT: Duration = Duration::from_secs(10);

const LIMITS: Limits =
    Limits { connections: 128, head: Duration::from_secs(10), lifetime: Duration::from_secs(120) };

/// What the listener is made from.
pub struct Public {
    pub handle: Handle,
    /// Replaced when the policy is reloaded.
    pub consumers: watch::Receiver<Arc<Consumers>>,
    pub status: watch::Receiver<Status>,
}

pub(super) struct PublicState {
    pub(super) handle: Handle,
    pub(super) consumers: watch::Receiver<Arc<Consumers>>,
    pub(super) observer: Observer,
    pub(super) access: Access,
}

/// A bound listener. Connections wait until it serves.
pub struct PublicListener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

impl PublicListener {
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, tls: None })
    }

    /// Speaks TLS only.
    #[must_use]
    pub fn encrypted_by(self, tls: Option<Arc<Tls>>) -> Self {
        Self { tls, ..self }
    }

    /// The bound address, with the actual port if port 0 was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then at most a few seconds longer for responses under way. Dropping it stops at once.
    pub async fn serve(self, public: Public, stop: CancellationToken) {
        let Public { handle, consumers, status } = public;
        let observer = Observer::new(handle.clone(), status);
        let routes = routes(Arc::new(PublicState { handle, consumers, observer, access: Access::default() }));
        let tls = self.tls;
        let greet = move |stream: TcpStream| greet(stream, tls.clone());
        serve::serve(self.listener, LIMITS, routes, greet, stop).await;
    }
}

async fn greet(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
) -> Option<(Either<TcpStream, TlsStream<TcpStream>>, Caller)> {
    let address = stream.peer_addr().ok()?.ip();
    let Some(tls) = tls else {
        return Some((Either::Left(stream), Caller { address, names: Arc::from([]) }));
    };
    let (stream, names) = tls.greet(stream).await?;
    Some((Either::Right(stream), Caller { address, names }))
}

fn routes(shared: Arc<PublicState>) -> Router {
    let time_limit = middleware::from_fn(|request, next| {
        response::within(RESPONSE_LIMIT, "the response took too long; try again", request, next)
    });
    let for_readers = middleware::from_fn_with_state(Arc::clone(&shared), credentials::for_readers);
    Router::new()
        .route("/livez", get(probes::livez))
        .route("/healthz", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/version", get(probes::version))
        .route("/metrics", get(probes::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/v1/credentials", get(credentials::credentials))
        .route("/v1/credentials/{name}", get(credentials::credential))
        .route("/v1/rotations", get(rotations::rotations))
        .route("/v1/credentials/{name}/acks", post(acks::acknowledge))
        .route("/v1/leaks", post(leaks::report))
        .merge(page::routes().route_layer(for_readers))
        .fallback(response::not_found)
        .method_not_allowed_fallback(response::method_not_allowed)
        .layer(time_limit)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}
