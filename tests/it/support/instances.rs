//! Instances of a consumer behind one name: each has an address of its own on loopback, all the same port, and says
//! what it is told to say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rekeyd::domain::gate::probes::{Probe, Reads};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What an instance does with a connection, after it has read some of it.
#[derive(Clone)]
pub(crate) enum Says {
    /// These bytes, and closes.
    Bytes(Vec<u8>),
    /// These bytes, and then nothing, without closing.
    AndHangs(Vec<u8>),
    /// The first bytes, and then the others again and again.
    Forever(Vec<u8>, Vec<u8>),
}

impl Says {
    pub(crate) fn body(body: &str) -> Self {
        Self::with(&[], body)
    }

    pub(crate) fn with(headers: &[(&str, &str)], body: &str) -> Self {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        Self::Bytes(format!("HTTP/1.1 200 OK\r\n{headers}content-length: {length}\r\n\r\n{body}").into())
    }

    pub(crate) fn status(line: &str) -> Self {
        Self::Bytes(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n").into())
    }
}

pub(crate) struct Instances {
    pub(crate) addresses: Vec<IpAddr>,
    port: u16,
    says: Arc<Mutex<Vec<Says>>>,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    _tasks: JoinSet<()>,
}

impl Instances {
    pub(crate) async fn start(says: Vec<Says>) -> Self {
        let listeners = loop {
            if let Some(listeners) = listen(says.len()).await {
                break listeners;
            }
        };
        let port = listeners[0].local_addr().unwrap().port();
        let addresses = listeners.iter().map(|it| it.local_addr().unwrap().ip()).collect();
        let (says, heard) = (Arc::new(Mutex::new(says)), Arc::default());
        let mut tasks = JoinSet::new();
        for (index, listener) in listeners.into_iter().enumerate() {
            let (says, heard) = (Arc::clone(&says), Arc::clone(&heard));
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let says = says.lock().unwrap()[index].clone();
                    connections.spawn(answer(stream, says, Arc::clone(&heard)));
                    while connections.try_join_next().is_some() {}
                }
            });
        }
        Self { addresses, port, says, heard, _tasks: tasks }
    }

    pub(crate) fn say(&self, index: usize, says: Says) {
        self.says.lock().unwrap()[index] = says;
    }

    /// The beginning of everything that was sent to any of them.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// A probe of all of them behind `host`.
    pub(crate) fn probe(&self, scheme: &str, host: &str, reads: Reads) -> Probe {
        let url = format!("{scheme}://{host}:{}/health", self.port);
        Probe { name: "api".to_owned(), url, reads, every_address: true }
    }
}

/// As many listeners with the same port; `None` if somebody has that port on one of the addresses.
async fn listen(count: usize) -> Option<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut port = 0;
    for index in 0..count {
        let address = Ipv4Addr::new(127, 0, 0, u8::try_from(index).unwrap() + 2);
        let listener = TcpListener::bind(SocketAddr::from((address, port))).await.ok()?;
        port = listener.local_addr().unwrap().port();
        listeners.push(listener);
    }
    Some(listeners)
}

async fn answer(mut stream: TcpStream, says: Says, heard: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.unwrap_or(0);
    request.truncate(length);
    heard.lock().unwrap().push(request);
    let (first, more, hangs) = match says {
        Says::Bytes(bytes) => (bytes, None, false),
        Says::AndHangs(bytes) => (bytes, None, true),
        Says::Forever(first, more) => (first, Some(more), false),
    };
    let mut alive = stream.write_all(&first).await.is_ok();
    while let (true, Some(more)) = (alive, &more) {
        alive = stream.write_all(more).await.is_ok();
    }
    if hangs {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
}
