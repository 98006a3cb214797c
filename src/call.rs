//! One HTTP/1.1 exchange over a stream that is open already: a Unix socket, or TCP to this machine.

use std::io;
use std::time::Duration;

use anyhow::Context;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// More than the largest report.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Sends the request and reads the whole answer within `limit`.
///
/// # Errors
/// The daemon went away, was too slow, or is no HTTP server. Whether it did what was asked is not known then.
pub(crate) async fn exchange<S>(stream: S, request: Request<Body>, limit: Duration) -> anyhow::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let talked = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let answered = async {
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await?;
            anyhow::Ok(Answer { status: head.status, body })
        };
        let mut answered = std::pin::pin!(answered);
        tokio::select! {
            answer = &mut answered => answer,
            ended = connection => {
                // The answer may have been read wholly before the connection ended.
                ended.context("the connection broke")?;
                answered.await
            }
        }
    };
    match tokio::time::timeout(limit, talked).await {
        Ok(answer) => answer,
        Err(_) => {
            let late = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"));
            Err(late.into())
        }
    }
}
