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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const QUICK: Limits =
        Limits { connections: 2, head: Duration::from_millis(200), life: Duration::from_millis(600) };
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    struct Server {
        address: std::net::SocketAddr,
        stop: CancellationToken,
        tasks: JoinSet<()>,
    }

    async fn server(limits: Limits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/", get(|| async { "hello" })).route(
            "/slow",
            get(|| async {
                time::sleep(Duration::from_millis(300)).await;
                "at last"
            }),
        );
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(serve(listener, limits, move |_| routes.clone(), stop.clone()));
        Server { address, stop, tasks }
    }

    async fn read(stream: &mut TcpStream) -> String {
        let mut text = vec![0; 4096];
        let length = time::timeout(Duration::from_secs(5), stream.read(&mut text)).await.unwrap().unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    /// All that comes until the connection is closed.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        // A reset is an end too.
        drop(time::timeout(Duration::from_secs(5), stream.read_to_string(&mut text)).await.unwrap());
        text
    }

    #[tokio::test]
    async fn a_slow_head_and_an_idle_connection_are_closed() {
        let server = server(QUICK).await;
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        let mut idle = TcpStream::connect(server.address).await.unwrap();
        idle.write_all(REQUEST).await.unwrap();
        assert!(read(&mut idle).await.ends_with("hello"));
        assert!(!rest(&mut slow).await.contains("hello"));
        assert_eq!(rest(&mut idle).await, "");
    }

    #[tokio::test]
    async fn a_connection_too_many_waits_for_a_place() {
        let patient = Limits { head: Duration::from_secs(60), life: Duration::from_secs(60), ..QUICK };
        let server = server(patient).await;
        let first = TcpStream::connect(server.address).await.unwrap();
        let mut second = TcpStream::connect(server.address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        assert!(read(&mut second).await.ends_with("hello"));
        let mut third = TcpStream::connect(server.address).await.unwrap();
        third.write_all(REQUEST).await.unwrap();
        let unanswered = time::timeout(Duration::from_millis(300), third.readable()).await;
        assert!(unanswered.is_err(), "more than two were served");
        drop(first);
        assert!(read(&mut third).await.ends_with("hello"));
    }

    #[tokio::test]
    async fn a_busy_connection_does_not_live_for_ever() {
        let server = server(Limits { head: Duration::from_secs(60), ..QUICK }).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let begun = time::Instant::now();
        let mut answers = 0;
        while stream.write_all(REQUEST).await.is_ok() && read(&mut stream).await.contains("hello") {
            answers += 1;
            assert!(begun.elapsed() < Duration::from_secs(5), "it lives for ever");
            time::sleep(Duration::from_millis(20)).await;
        }
        assert!(answers > 1 && begun.elapsed() >= QUICK.life);
    }

    #[tokio::test]
    async fn a_stopping_server_finishes_its_answers_and_takes_no_new_ones() {
        let mut server = server(Limits { life: Duration::from_secs(60), ..QUICK }).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        time::sleep(Duration::from_millis(50)).await;
        server.stop.cancel();
        assert!(rest(&mut stream).await.ends_with("at last"));
        server.tasks.join_next().await.unwrap().unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    }
}
