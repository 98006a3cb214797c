//! A server with small limits, and slow, idle and busy clients.

use axum::Extension;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const QUICK: Limits =
    Limits { connections: 2, head: Duration::from_millis(200), lifetime: Duration::from_millis(600) };
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
        get(|Extension(state): Extension<Arc<ConnectionState>>| async move {
            let _busy = state.busy();
            time::sleep(Duration::from_millis(600)).await;
            "at last"
        }),
    );
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let anybody = |stream| std::future::ready(Some((stream, ())));
    tasks.spawn(serve(listener, limits, routes, anybody, stop.clone()));
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
async fn a_connection_too_many_takes_the_place_of_the_one_that_idles_longest() {
    let patient = Limits { head: Duration::from_secs(60), lifetime: Duration::from_secs(60), ..QUICK };
    let server = server(patient).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    second.write_all(REQUEST).await.unwrap();
    assert!(read(&mut second).await.ends_with("hello"));
    let mut third = TcpStream::connect(server.address).await.unwrap();
    third.write_all(REQUEST).await.unwrap();
    assert!(read(&mut third).await.ends_with("hello"));
    assert_eq!(rest(&mut first).await, "");
    second.write_all(REQUEST).await.unwrap();
    assert!(read(&mut second).await.ends_with("hello"), "it was sent away too");
}

#[tokio::test]
async fn nobody_is_sent_away_while_an_answer_is_worked_on() {
    let patient = Limits { head: Duration::from_secs(60), lifetime: Duration::from_secs(60), ..QUICK };
    let server = server(patient).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        busy.push(stream);
    }
    time::sleep(Duration::from_millis(50)).await;
    let mut third = TcpStream::connect(server.address).await.unwrap();
    third.write_all(REQUEST).await.unwrap();
    let unanswered = time::timeout(Duration::from_millis(300), third.readable()).await;
    assert!(unanswered.is_err(), "more than two were served");
    for mut stream in busy {
        assert!(rest(&mut stream).await.ends_with("at last"));
    }
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
    assert!(answers > 1 && begun.elapsed() >= QUICK.lifetime);
}

#[tokio::test]
async fn a_stopping_server_finishes_its_answers_and_takes_no_new_ones() {
    let mut server = server(Limits { lifetime: Duration::from_secs(60), ..QUICK }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    time::sleep(Duration::from_millis(50)).await;
    server.stop.cancel();
    assert!(rest(&mut stream).await.ends_with("at last"));
    server.tasks.join_next().await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
