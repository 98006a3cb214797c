//! A server that begins an answer and never ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) struct Endless {
    pub(crate) url: String,
    sent: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

impl Endless {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(AtomicU64::new(0));
        let mut serving = JoinSet::new();
        let counted = Arc::clone(&sent);
        serving.spawn(async move {
            let mut answers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                answers.spawn(answer(stream, Arc::clone(&counted)));
            }
        });
        Self { url, sent, _serving: serving }
    }

    /// How many bytes of answers went out.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

async fn answer(mut stream: TcpStream, sent: Arc<AtomicU64>) {
    let mut asked = vec![0; 65_536];
    if stream.read(&mut asked).await.is_err() {
        return;
    }
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(65_536));
    let mut next = head;
    while stream.write_all(next.as_bytes()).await.is_ok() {
        sent.fetch_add(u64::try_from(next.len()).unwrap(), Ordering::SeqCst);
        next = chunk.as_str();
    }
}
