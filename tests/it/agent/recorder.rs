//! A small HTTP server on loopback that remembers every request and answers as it is told, or passes requests on and
//! remembers them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.iter().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    status: AtomicU16,
    is_closing: AtomicBool,
}

pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Answers everything with 200.
    pub(crate) fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), None)
    }

    /// Passes everything on.
    pub(crate) fn before(upstream: &str) -> Self {
        let upstream = upstream.strip_prefix("http://").unwrap().parse().unwrap();
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), Some(upstream))
    }

    pub(crate) fn at(address: SocketAddr, upstream: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { status: AtomicU16::new(200), ..Shared::default() });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if of_thread.is_closing.load(SeqCst) {
                    return;
                }
                // A caller that goes away in the middle is its own business.
                answer(stream, &of_thread, upstream).ok();
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn answers(&self, status: u16) {
        self.shared.status.store(status, SeqCst);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The bodies, as JSON, of what was posted.
    pub(crate) fn posted(&self) -> Vec<Value> {
        self.requests().iter().filter(|it| it.line.starts_with("POST ")).map(Request::json).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn answer(stream: TcpStream, shared: &Shared, upstream: Option<SocketAddr>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut request = Request { line: lines.remove(0), headers: lines, body: String::new() };
    let length: u64 = request.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    reader.by_ref().take(length).read_to_string(&mut request.body)?;
    shared.requests.lock().unwrap().push(request.clone());
    let mut stream = reader.into_inner();
    let Some(upstream) = upstream else {
        let (status, body) = (shared.status.load(SeqCst), "{\"known\":true}");
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close", body.len());
        return write!(stream, "{head}\r\n\r\n{body}");
    };
    let mut passed = TcpStream::connect(upstream)?;
    write!(passed, "{}\r\nConnection: close\r\n", request.line)?;
    for header in request.headers.iter().filter(|it| !it.to_lowercase().starts_with("connection:")) {
        write!(passed, "{header}\r\n")?;
    }
    write!(passed, "\r\n{}", request.body)?;
    let mut whole = Vec::new();
    passed.read_to_end(&mut whole)?;
    stream.write_all(&whole)
}
