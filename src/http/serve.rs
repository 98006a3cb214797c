//! A bounded HTTP server: limits on connections, on the time for a request's head and on a connection's lifetime.

mod connection_slots;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::http::serve::connection_slots::ConnectionSlots;

pub(super) use crate::http::serve::connection_slots::ConnectionState;

/// How long responses under way may take when the server stops, or a connection's lifetime ends.
const GRACE: Duration = Duration::from_secs(5);

/// Largest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header fields of a request.
const HEADERS_MAX: usize = 64;

/// The limits of one server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// At the limit, the connection that has been idle longest is closed for a new one; if none is idle, the new one waits
    /// in the kernel's queue.
    pub(super) connections: usize,
    /// For a request's head, for the time between two requests, and for the handshake.
    pub(super) head: Duration,
    /// After this, a connection is closed once its response is sent, and after a grace period in any case.
    pub(super) lifetime: Duration,
}

/// Serves until `stop`, then lets responses finish for a few seconds. Dropping it ends every connection.
///
/// `greet` turns an accepted connection into a stream for HTTP and identifies the client; each request has that identity
/// in its extensions. `None` closes the connection.
pub(super) async fn serve<L, S, W, G>(
    mut listener: L,
    limits: Limits,
    routes: Router,
    greet: impl Fn(L::Io) -> G,
    stop: CancellationToken,
) where
    L: Listener,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    W: Clone + Send + Sync + 'static,
    G: Future<Output = Option<(S, W)>> + Send + 'static,
{
    let slots = ConnectionSlots::new(limits.connections);
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let (stream, _) = listener.accept().await;
            (slots.take().await, stream)
        };
        let (slot, stream) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (greeted, routes, stop) = (greet(stream), routes.clone(), stop.clone());
        connections.spawn(async move {
            let state = Arc::clone(slot.state());
            let served = async {
                let greeted = time::timeout(limits.head, greeted).await;
                if let Ok(Some((stream, client))) = greeted {
                    serve_connection(stream, client, routes, &state, limits, stop).await;
                }
            };
            tokio::select! {
                () = served => {}
                () = state.evicted() => tracing::debug!("idle connection closed for a new one"),
            }
            drop(slot);
        });
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if time::timeout(GRACE, all_ended).await.is_err() {
        tracing::debug!("connections cut while stopping");
    }
}

async fn serve_connection<S, W>(
    stream: S,
    client: W,
    routes: Router,
    state: &Arc<ConnectionState>,
    limits: Limits,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    W: Clone + Send + Sync + 'static,
{
    let routes = TowerToHyperService::new(routes);
    let answering = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(client.clone());
        request.extensions_mut().insert(Arc::clone(state));
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // A client that has sent its request may shut down its side and still gets the response.
        .half_close(true)
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), answering);
    let mut connection = pin!(connection);
    tokio::select! {
        // The client is gone; an error has no receiver.
        _ = &mut connection => return,
        () = stop.cancelled() => {}
        () = time::sleep(limits.lifetime) => {}
    }
    connection.as_mut().graceful_shutdown();
    if time::timeout(GRACE, connection).await.is_err() {
        tracing::debug!("connection cut");
    }
}
