//! Answers that are broken, endless, late or missing: each call ends in a failure that says what is certain, in
//! bounded time, having taken in a bounded amount.

use std::time::{Duration, Instant};

use rekeyd::domain::failure::{Certainty, Kind};

use tokio::task::JoinSet;

use super::scripted::{Act, Server};
use super::workspace::{Method, impatient, outcome};

const TIMEOUT: Duration = Duration::from_millis(1500);
const ENDLESS: usize = 100 * 1024 * 1024;
/// What sockets and the client's own buffers may take in beyond the limit of a body.
const SLACK: usize = 16 * 1024 * 1024;

fn bytes(text: &str) -> Act {
    Act::Bytes(text.as_bytes().to_vec())
}

fn flood(head: &str, chunk: Vec<u8>, pause: Duration) -> Act {
    Act::Flood { head: head.as_bytes().to_vec(), chunk, pause, bytes_max: ENDLESS }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/// Trouble before a whole head of an answer is there: it concerns every call alike.
#[tokio::test]
async fn without_a_whole_head_nothing_is_known_of_an_effect() {
    let header_line = b"x-filler: 0123456789012345678901234567890123456789\r\n".to_vec();
    for (name, act, kind) in [
        ("nothing at all", bytes(""), Kind::Unreachable),
        ("reset", Act::Reset(Vec::new()), Kind::Unreachable),
        ("cut in the head", bytes("HTTP/1.1 200 OK\r\ncontent-"), Kind::Unreachable),
        ("reset in the head", Act::Reset(b"HTTP/1.1 20".to_vec()), Kind::Unreachable),
        ("no answer", Act::Stall(Vec::new()), Kind::TimedOut),
        ("half a head and no more", Act::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()), Kind::TimedOut),
        (
            "dripping head",
            flood("HTTP/1.1 200 OK\r\nx: ", b"y".to_vec(), Duration::from_millis(5)),
            Kind::TimedOut,
        ),
        ("not HTTP", bytes("SSH-2.0-OpenSSH_9.9\r\n\r\n"), Kind::Garbled),
        ("no such version", bytes("HTTP/9.9 200 OK\r\n\r\n"), Kind::Garbled),
        ("no such status", bytes("HTTP/1.1 2000 OK\r\n\r\n"), Kind::Garbled),
        (
            "two lengths",
            bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}}"),
            Kind::Garbled,
        ),
        ("a length that is none", bytes("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}"), Kind::Garbled),
        ("headers without end", flood("HTTP/1.1 200 OK\r\n", header_line, Duration::ZERO), Kind::Garbled),
        (
            "one header without end",
            flood("HTTP/1.1 200 OK\r\nx: ", vec![b'y'; 65536], Duration::ZERO),
            Kind::Garbled,
        ),
    ] {
        let mut calls = JoinSet::new();
        for method in Method::ALL {
            let act = act.clone();
            calls.spawn(async move {
                let server = Server::always(act).await;
                let begun = Instant::now();
                let result = method.call(&impatient(&server.url(), TIMEOUT)).await;
                assert_eq!(outcome(&result), Some((method.lost(), kind)), "{name}, {method:?}: {result:?}");
                assert!(begun.elapsed() < TIMEOUT * 3, "{name}, {method:?}: {:?}", begun.elapsed());
                assert!(server.bytes_sent() < SLACK, "{name}, {method:?}: {}", server.bytes_sent());
                assert_eq!(server.asked().len(), 1, "{name}, {method:?}: sent once");
            });
        }
        calls.join_all().await;
    }
}

/// Trouble in the body of an answer that says 200: it concerns the two calls that need a body.
#[tokio::test]
async fn a_listing_or_a_created_key_that_is_not_whole_is_none() {
    let head = |more: &str| format!("{OK}{more}\r\n\r\n");
    let long = "content-length: 104857600";
    let chunked = "transfer-encoding: chunked";
    let spaces = vec![b' '; 65536];
    let chunk_of_spaces = [b"10000\r\n".as_slice(), &spaces, b"\r\n"].concat();
    let key = r#"{"xi-api-key":"sk_5ec2e75ec2e75ec2e75ec2e7","key_id":"k2""#;
    let nested = format!("{}content-length: 60000\r\n\r\n{}", OK, "[".repeat(60000));
    for (name, act, kind) in [
        ("cut", bytes(&format!("{}{key}", head("content-length: 900"))), Kind::Unreachable),
        (
            "reset",
            Act::Reset(format!("{}{key}", head("content-length: 900")).into_bytes()),
            Kind::Unreachable,
        ),
        ("stalled", Act::Stall(format!("{}{key}", head("content-length: 900")).into_bytes()), Kind::TimedOut),
        (
            "dripping",
            flood(&head("content-length: 9000"), b" ".to_vec(), Duration::from_millis(5)),
            Kind::TimedOut,
        ),
        ("longer than announced", bytes(&format!("{}{{}}{key}", head("content-length: 2"))), Kind::Garbled),
        ("100 MB, announced", flood(&head(long), spaces.clone(), Duration::ZERO), Kind::Garbled),
        ("100 MB, announced and not sent", Act::Stall(head(long).into_bytes()), Kind::Garbled),
        ("endless, in chunks", flood(&head(chunked), chunk_of_spaces, Duration::ZERO), Kind::Garbled),
        (
            "endless, to the end of the stream",
            flood(&head("connection: close"), spaces, Duration::ZERO),
            Kind::Garbled,
        ),
        ("chunks that are none", bytes(&head(&format!("{chunked}\r\n\r\nzz\r\n{key}"))), Kind::Garbled),
        (
            "chunk sizes beyond measure",
            bytes(&head(&format!("{chunked}\r\n\r\nfffffffffffffffff\r\n"))),
            Kind::Garbled,
        ),
        ("chunks cut", bytes(&head(&format!("{chunked}\r\n\r\n5\r\n{{\"x"))), Kind::Unreachable),
        ("empty", bytes(&head("content-length: 0")), Kind::Garbled),
        ("a list", bytes(&head("content-length: 2\r\n\r\n[]")), Kind::Garbled),
        ("null", bytes(&head("content-length: 4\r\n\r\nnull")), Kind::Garbled),
        ("an error", bytes(&head("content-length: 14\r\n\r\n{\"detail\":\"x\"}")), Kind::Garbled),
        (
            "not UTF-8",
            Act::Bytes([head("content-length: 3").as_bytes(), &[b'"', 0xff, b'"']].concat()),
            Kind::Garbled,
        ),
        ("nested without end", bytes(&nested), Kind::Garbled),
    ] {
        for method in [Method::Inventory, Method::Create] {
            let server = Server::always(act.clone()).await;
            let begun = Instant::now();
            let result = method.call(&impatient(&server.url(), TIMEOUT)).await;
            assert_eq!(outcome(&result), Some((method.lost(), kind)), "{name}, {method:?}: {result:?}");
            assert!(begun.elapsed() < TIMEOUT * 3, "{name}, {method:?}: {:?}", begun.elapsed());
            assert!(
                server.bytes_sent() < SLACK + 8 * 1024 * 1024,
                "{name}, {method:?}: {}",
                server.bytes_sent()
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_nobody_needs_is_not_waited_for() {
    let head = format!("{OK}content-length: 104857600\r\n\r\n");
    for act in [Act::Stall(head.clone().into_bytes()), flood(&head, vec![b' '; 65536], Duration::ZERO)] {
        for method in [Method::Authenticate, Method::Disable, Method::Enable, Method::Delete] {
            let server = Server::always(act.clone()).await;
            let result = method.call(&impatient(&server.url(), Duration::from_secs(20))).await;
            assert_eq!(outcome(&result), None, "{method:?}");
            assert!(server.bytes_sent() < SLACK, "{method:?}: {}", server.bytes_sent());
        }
    }
}

#[tokio::test]
async fn a_refusal_whose_reasons_never_end_is_judged_by_its_status() {
    let head =
        "HTTP/1.1 401 No\r\ncontent-type: application/json\r\ncontent-length: 104857600\r\n\r\n{\"detail\":{";
    let chunked = "HTTP/1.1 401 No\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 65536], b"\r\n"].concat();
    for act in [
        flood(head, vec![b' '; 65536], Duration::ZERO),
        flood(chunked, chunk, Duration::ZERO),
        bytes(head),
        Act::Stall(head.as_bytes().to_vec()),
    ] {
        let server = Server::always(act).await;
        let result = Method::Create.call(&impatient(&server.url(), TIMEOUT)).await;
        assert_eq!(outcome(&result), Some((Certainty::Rejected, Kind::Unauthenticated)));
        assert!(server.bytes_sent() < SLACK, "{}", server.bytes_sent());
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let plain = format!("http://{address}");
    // A server that does not speak TLS, asked in TLS.
    let server = Server::always(bytes("HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let deaf = server.url().replace("http:", "https:");
    for url in [plain.as_str(), deaf.as_str(), "http://no-such-host.invalid"] {
        for method in Method::ALL {
            let result = method.call(&impatient(url, TIMEOUT)).await;
            assert_eq!(outcome(&result), Some((Certainty::Rejected, Kind::Unreachable)), "{url}: {result:?}");
        }
    }
    assert!(server.asked().is_empty());
}
