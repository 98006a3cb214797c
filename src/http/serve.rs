//! A bounded server: so many connections at once, each with little time for a request's head and a bounded life.

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

pub(super) use crate::http::serve::connection_slots::Presence;

/// How long answers that are being given may take when the server stops, or a connection's life ends.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The head of a request, at most.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Header fields of a request, at most.
const HEADERS_MAX: usize = 64;

/// What one server grants to those who connect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// When all are taken, the one that has been idle longest is closed for a new one; if none is idle, the new one waits
    /// in the kernel's queue.
    pub(super) connections: usize,
    /// For a request's head, for the rest between two requests, and for whatever comes before the first one.
    pub(super) head: Duration,
    /// After this a connection is closed when its answer is given, and soon after that in any case.
    pub(super) life: Duration,
}

/// Serves until `stop`, then lets answers be finished for a few seconds. Dropping it ends every connection.
///
/// `greet` makes of what was accepted a stream to speak HTTP over, and says who speaks there: each request carries that
/// among its extensions. `None` is nobody to speak with.
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
    let places = ConnectionSlots::new(limits.connections);
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let (stream, _) = listener.accept().await;
            (places.take().await, stream)
        };
        let (place, stream) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (greeted, routes, stop) = (greet(stream), routes.clone(), stop.clone());
        connections.spawn(async move {
            let presence = Arc::clone(place.presence());
            let spoken = async {
                let greeted = time::timeout(limits.head, greeted).await;
                if let Ok(Some((stream, who))) = greeted {
                    converse(stream, who, routes, &presence, limits, stop).await;
                }
            };
            tokio::select! {
                () = spoken => {}
                () = presence.sent_away() => tracing::debug!("an idle connection was closed for a new one"),
            }
            drop(place);
        });
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if time::timeout(LAST_WORDS, all_ended).await.is_err() {
        tracing::debug!("connections were cut while stopping");
    }
}

async fn converse<S, W>(
    stream: S,
    who: W,
    routes: Router,
    presence: &Arc<Presence>,
    limits: Limits,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    W: Clone + Send + Sync + 'static,
{
    let routes = TowerToHyperService::new(routes);
    let answering = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(who.clone());
        request.extensions_mut().insert(Arc::clone(presence));
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who has said everything may shut its side, and is answered.
        .half_close(true)
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), answering);
    let mut connection = pin!(connection);
    tokio::select! {
        // However it ended, there is nobody left to tell.
        _ = &mut connection => return,
        () = stop.cancelled() => {}
        () = time::sleep(limits.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    if time::timeout(LAST_WORDS, connection).await.is_err() {
        tracing::debug!("a connection was cut");
    }
}
