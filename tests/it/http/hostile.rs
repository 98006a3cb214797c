//! Connections that mean no good, against the real program: it goes on answering, and takes no more than it may.

use std::fs;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::served::{Served, stage};

const SOON: Duration = Duration::from_secs(5);
/// The listener's limit.
const CONNECTIONS: usize = 128;
const PROBE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn descriptors(served: &Served) -> usize {
    fs::read_dir(format!("/proc/{}/fd", served.daemon.id())).unwrap().count()
}

/// What it has in memory, in KiB.
fn memory(served: &Served) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", served.daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn connect(served: &Served) -> TcpStream {
    timeout(SOON, TcpStream::connect(served.address)).await.unwrap().unwrap()
}

/// Everything that comes, until the other side closes, or hangs.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end too.
    drop(timeout(SOON, stream.read_to_end(&mut bytes)).await);
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn say(served: &Served, bytes: &[u8]) -> String {
    let mut stream = connect(served).await;
    // It may be closed before everything was sent.
    drop(stream.write_all(bytes).await);
    rest(&mut stream).await
}

#[track_caller]
fn is_alive(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "it does not answer: {answer:?}");
}

async fn settles(served: &Served, most: usize) {
    let begun = Instant::now();
    while descriptors(served) > most {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} files are open", descriptors(served));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_slow_connections_keep_nobody_out() {
    let served = Served::start(stage(71).await, "", "").await;
    let before = descriptors(&served);
    let heads: [&[u8]; 3] = [
        b"",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"POST /v1/leaks HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n\r\n",
    ];
    let mut crowd = Vec::new();
    for number in 0..2 * CONNECTIONS {
        let mut stream = connect(&served).await;
        stream.write_all(heads[number % heads.len()]).await.unwrap();
        crowd.push(stream);
        if number % CONNECTIONS == CONNECTIONS - 1 {
            // They have come to be idle, and each goes on with one byte at a time.
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }
    for _ in 0..10 {
        for (number, stream) in crowd.iter_mut().enumerate().filter(|(number, _)| number % heads.len() > 0) {
            // Some were sent away.
            stream.write_all(b"x").await.map_err(|_| number).ok();
        }
        let begun = Instant::now();
        is_alive(&say(&served, PROBE).await);
        assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
        let open = descriptors(&served);
        assert!(open <= before + CONNECTIONS + 16, "{open} files are open, {before} before");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Whoever trickles is not waited for without end, though nobody needs its place.
    let begun = Instant::now();
    let slow = crowd.last_mut().unwrap();
    while slow.write_all(b"x").await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is still listened to");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(crowd);
    settles(&served, before + 4).await;
    served.daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_half_closed_and_garbled_requests_do_no_harm() {
    let served = Served::start(stage(72).await, "", "").await;
    is_alive(&say(&served, PROBE).await);
    let (files, kib) = (descriptors(&served), memory(&served));
    let many: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let post = "POST /v1/leaks HTTP/1.1\r\nhost: x\r\n";
    let large = vec![b'a'; 64 * 1024];
    let chunks = format!("1000\r\n{}\r\n", "a".repeat(0x1000)).repeat(16);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a long head", [b"GET /livez HTTP/1.1\r\nx: ", &large[..]].concat(), "431"),
        ("a long path", [b"GET /", &large[..]].concat(), "4"),
        ("many headers", format!("GET /livez HTTP/1.1\r\n{many}\r\n").into(), "431"),
        ("a body of a terabyte", format!("{post}content-length: 1099511627776\r\n\r\naaa").into(), "413"),
        ("a body without end", format!("{post}transfer-encoding: chunked\r\n\r\n{chunks}").into(), "413"),
        (
            "a chunk without end",
            format!("{post}transfer-encoding: chunked\r\n\r\nffffffffffffffff0\r\n").into(),
            "400",
        ),
        ("a length below zero", format!("{post}content-length: -1\r\n\r\n").into(), "400"),
        ("two lengths", format!("{post}content-length: 1\r\ncontent-length: 2\r\n\r\nab").into(), "400"),
        ("no HTTP", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, b'\r', b'\n', b'\r', b'\n'], "400"),
        ("another version", b"GET / HTTP/9.9\r\n\r\n".to_vec(), ""),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), ""),
        ("nothing but lines", b"\r\n".repeat(20_000), ""),
        ("garbage after a request", [&PROBE.replace_close()[..], &large[..]].concat(), "200"),
    ];
    for (what, bytes, status) in &cases {
        let answer = say(&served, bytes).await;
        if !status.is_empty() {
            assert!(
                answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{what}: {answer}"
            );
        }
        is_alive(&say(&served, PROBE).await);
    }
    let heads = [PROBE, b"GET /live", b"POST /v1/leaks HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf"];
    for round in 0..60 {
        let mut stream = connect(&served).await;
        stream.write_all(heads[round % heads.len()]).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(!answer.contains("500"), "{answer}");
    }
    let pipelined = PROBE.replace_close().repeat(2000);
    let mut greedy = connect(&served).await;
    // It never reads what it asked for.
    drop(timeout(Duration::from_secs(2), greedy.write_all(&pipelined)).await);
    is_alive(&say(&served, PROBE).await);
    drop(greedy);
    settles(&served, files + 4).await;
    let grown = memory(&served).saturating_sub(kib);
    assert!(grown < 48 * 1024, "{grown} KiB more than before");
    let log = fs::read_to_string(served.stage.log()).unwrap();
    assert!(!log.contains("panicked"), "{log}");
    served.daemon.stop().await.unwrap();
}

/// The same, over a connection that stays.
trait Staying {
    fn replace_close(&self) -> Vec<u8>;
}

impl Staying for [u8] {
    fn replace_close(&self) -> Vec<u8> {
        String::from_utf8_lossy(self).replace("connection: close\r\n", "").into_bytes()
    }
}
