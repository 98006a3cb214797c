//! One HTTP/1.1 exchange over an open stream: a Unix socket or a TCP connection.

use std::io;
use std::time::Duration;

use anyhow::Context;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// More than the largest report.
const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(crate) struct CallResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Sends the request and reads the whole response within `limit`.
///
/// # Errors
/// The connection broke, the time was up, or the peer is no HTTP server. The request may have been carried out.
pub(crate) async fn exchange<S>(
    stream: S,
    request: Request<Body>,
    limit: Duration,
) -> anyhow::Result<CallResponse>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let exchanged = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let responded = async {
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = to_bytes(Body::new(body), RESPONSE_BYTES_MAX).await?;
            anyhow::Ok(CallResponse { status: head.status, body })
        };
        let mut responded = std::pin::pin!(responded);
        tokio::select! {
            response = &mut responded => response,
            ended = connection => {
                // The response may have been read before the connection ended.
                ended.context("the connection broke")?;
                responded.await
            }
        }
    };
    match tokio::time::timeout(limit, exchanged).await {
        Ok(response) => response,
        Err(_) => {
            let late = io::Error::new(io::ErrorKind::TimedOut, format!("no response within {limit:?}"));
            Err(late.into())
        }
    }
}
