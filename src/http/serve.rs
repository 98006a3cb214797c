//! A bounded server: so many connections at once, each with little time for a request's head and a bounded life.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time;
use tokio_util::sync::CancellationToken;

/// How long answers that are being given may take when the server stops, or a connection's life ends.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The head of a request, at most; hyper's least.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What one server grants to those who connect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Further ones wait in the kernel's queue until one ends.
    pub(super) connections: usize,
    /// For a request's head, and for the rest between two requests.
    pub(super) head: Duration,
    /// After this a connection is closed when its answer is given, and soon after that in any case.
    pub(super) life: Duration,
}

/// Serves until `stop`, then lets answers be finished for a few seconds. Dropping it ends every connection.
pub(super) async fn serve<L: Listener>(
    mut listener: L,
    limits: Limits,
    routes: impl Fn(&L::Io) -> Router,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, (stream, _)) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        let routes = routes(&stream);
        let stop = stop.clone();
        connections.spawn(async move {
            converse(stream, routes, limits, stop).await;
            drop(place);
        });
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if time::timeout(LAST_WORDS, all_ended).await.is_err() {
        tracing::debug!("connections were cut while stopping");
    }
}

async fn converse<S>(stream: S, routes: Router, limits: Limits, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
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
