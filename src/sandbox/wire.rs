//! Connections that can be cut: an answer is lost, or stops in its middle, as a client sees it on the wire.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::sandbox::fault_effects::Delivery;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// Where a connection is with what it may still send.
#[derive(Debug, Clone, Copy)]
enum Line {
    Open,
    /// The head and so many bytes of the body, then as said.
    Head {
        body_bytes: usize,
        stalls: bool,
    },
    /// So many bytes, then as said.
    Bytes {
        left: usize,
        stalls: bool,
    },
    Stalled,
    Closed,
}

/// Who is at the other end of a connection, and a handle to cut it.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    line: Arc<Mutex<Line>>,
}

impl Peer {
    /// Says how the next answer, of so many bytes of body, is sent on this connection.
    pub(super) fn deliver(&self, delivery: Delivery, body_bytes: usize) {
        let half = body_bytes / 2;
        let line = match delivery {
            Delivery::Whole => return,
            Delivery::Never => Line::Closed,
            Delivery::Half => Line::Head { body_bytes: half, stalls: false },
            Delivery::StallsHalfway => Line::Head { body_bytes: half, stalls: true },
        };
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

impl Connected<IncomingStream<'_, Wire>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Wire>) -> Self {
        Self { address: *stream.remote_addr(), line: Arc::clone(&stream.io().line) }
    }
}

/// A listener for such connections.
pub(super) struct Wire {
    listener: TcpListener,
    shutdown: CancellationToken,
}

impl Wire {
    pub(super) fn new(listener: TcpListener, shutdown: CancellationToken) -> Self {
        Self { listener, shutdown }
    }
}

impl Listener for Wire {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Without this, an answer may wait for the acknowledgement of the one before.
        let _is_an_optimisation = stream.set_nodelay(true);
        let ended = Box::pin(self.shutdown.clone().cancelled_owned());
        (Connection { stream, line: Arc::new(Mutex::new(Line::Open)), ended }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection.
pub(super) struct Connection {
    stream: TcpStream,
    line: Arc<Mutex<Line>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    fn line(&self) -> Line {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_line(&self, line: Line) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (left, stalls) = match self.line() {
            Line::Open => return Pin::new(&mut self.stream).poll_write(cx, bytes),
            Line::Closed => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Line::Stalled => {
                ready!(self.ended.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Line::Bytes { left, stalls } => (left, stalls),
            Line::Head { body_bytes, stalls } => {
                let head = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END);
                (head.map_or(0, |position| position + HEAD_END.len()) + body_bytes, stalls)
            }
        };
        let allowed = bytes.get(..left).unwrap_or(bytes);
        let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, allowed))?;
        self.set_line(match left - sent {
            0 if stalls => Line::Stalled,
            0 => Line::Closed,
            left => Line::Bytes { left, stalls },
        });
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}
