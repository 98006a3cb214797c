//! A scripted HTTP server over raw TCP: it says exactly the bytes that a test wants, breaks connections as told, and
//! remembers what it was asked, how much it could send and how many requests it held at once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the server does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// A well-formed answer; the connection stays open.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// These bytes, then the end of the stream.
    Bytes(Vec<u8>),
    /// These bytes, then a reset.
    Reset(Vec<u8>),
    /// These bytes, then nothing more, for as long as the client stays.
    Stall(Vec<u8>),
    /// The head, then the chunk again and again until the client leaves or `bytes_max` are sent.
    Flood { head: Vec<u8>, chunk: Vec<u8>, pause: Duration, bytes_max: usize },
    /// The act, later.
    After(Duration, Box<Self>),
}

/// An answer in JSON.
pub(crate) fn json(status: u16, body: &str) -> Act {
    let headers = vec![("content-type", "application/json".to_owned())];
    Act::Answer { status, headers, body: body.to_owned() }
}

impl Act {
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.retain(|(n, _)| *n != name);
            headers.push((name, value.into()));
        }
        self
    }
}

type Script = Box<dyn Fn(&Asked) -> Act + Send + Sync>;

#[derive(Default)]
struct Record {
    asked: Mutex<Vec<Asked>>,
    bytes_sent: AtomicUsize,
    at_once: AtomicUsize,
    at_once_max: AtomicUsize,
    connections: AtomicUsize,
}

/// Ends with the test that holds it.
pub(crate) struct Server {
    address: SocketAddr,
    record: Arc<Record>,
    _accepting: JoinSet<()>,
}

impl Server {
    /// Answers each request as `script` says.
    pub(crate) async fn start(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::new(Record::default());
        let script: Arc<Script> = Arc::new(Box::new(script));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&record), script));
        Self { address, record, _accepting: accepting }
    }

    /// Answers every request alike.
    pub(crate) async fn always(act: Act) -> Self {
        Self::start(move |_| act.clone()).await
    }

    /// Answers the first request with the first act and so on, and 500 when there are no more.
    pub(crate) async fn in_order(acts: impl IntoIterator<Item = Act>) -> Self {
        let acts = Mutex::new(acts.into_iter().collect::<std::collections::VecDeque<_>>());
        Self::start(move |_| {
            acts.lock().unwrap().pop_front().unwrap_or_else(|| json(500, r#"{"detail":"not in the script"}"#))
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.record.asked.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    pub(crate) fn bytes_sent(&self) -> usize {
        self.record.bytes_sent.load(Ordering::SeqCst)
    }

    /// The most requests that were open at the same moment.
    pub(crate) fn at_once_max(&self) -> usize {
        self.record.at_once_max.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.record.connections.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, record: Arc<Record>, script: Arc<Script>) {
    let mut serving = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        record.connections.fetch_add(1, Ordering::SeqCst);
        serving.spawn(serve(stream, Arc::clone(&record), Arc::clone(&script)));
        while serving.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, record: Arc<Record>, script: Arc<Script>) {
    let mut unread = Vec::new();
    while let Some(asked) = read_request(&mut stream, &mut unread).await {
        record.asked.lock().unwrap().push(asked.clone());
        let at_once = record.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        record.at_once_max.fetch_max(at_once, Ordering::SeqCst);
        let stays = perform(script(&asked), &mut stream, &record).await;
        record.at_once.fetch_sub(1, Ordering::SeqCst);
        if !stays {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(asked) = parse(unread) {
            return Some(asked);
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => unread.extend_from_slice(&piece[..length]),
        }
    }
}

fn parse(unread: &mut Vec<u8>) -> Option<Asked> {
    let head_ends = unread.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(unread[..head_ends].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    };
    let length = headers.iter().find_map(length).unwrap_or(0);
    let body = unread.get(head_ends..head_ends + length)?.to_vec();
    unread.drain(..head_ends + length);
    Some(Asked { method, path, headers, body: String::from_utf8(body).unwrap() })
}

/// Whether the connection stays open.
async fn perform(act: Act, stream: &mut TcpStream, record: &Record) -> bool {
    match act {
        Act::Answer { status, headers, body } => {
            let mut text = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            text.push_str("\r\n");
            text.push_str(&body);
            send(stream, record, text.as_bytes()).await
        }
        Act::Bytes(bytes) => {
            send(stream, record, &bytes).await;
            false
        }
        Act::Reset(bytes) => {
            send(stream, record, &bytes).await;
            stream.set_zero_linger().unwrap();
            false
        }
        Act::Stall(bytes) => {
            send(stream, record, &bytes).await;
            let mut ignored = [0; 64];
            while stream.read(&mut ignored).await.is_ok_and(|length| length > 0) {}
            false
        }
        Act::Flood { head, chunk, pause, bytes_max } => {
            let mut open = send(stream, record, &head).await;
            let mut sent = 0;
            while open && sent < bytes_max {
                open = send(stream, record, &chunk).await;
                sent += chunk.len();
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            false
        }
        Act::After(wait, act) => {
            tokio::time::sleep(wait).await;
            Box::pin(perform(*act, stream, record)).await
        }
    }
}

async fn send(stream: &mut TcpStream, record: &Record, bytes: &[u8]) -> bool {
    let sent = stream.write_all(bytes).await.is_ok();
    if sent {
        record.bytes_sent.fetch_add(bytes.len(), Ordering::SeqCst);
    }
    sent
}
