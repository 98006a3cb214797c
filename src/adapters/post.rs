//! Reads the response of one bounded POST without repeating anything that could be a secret. Shared by the webhooks and
//! the trace collector.

use jiff::SignedDuration;
use reqwest::Response;
use reqwest::header::RETRY_AFTER;

/// The `Retry-After` header in seconds; a date is ignored.
pub(super) fn retry_after(response: &Response) -> Option<SignedDuration> {
    let seconds: i64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds >= 0).then(|| SignedDuration::from_secs(seconds))
}

/// The beginning of the body. Only the status counts: the rest is not waited for.
pub(super) async fn beginning(mut response: Response, bytes_max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < bytes_max {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend(chunk.iter().take(bytes_max - body.len())),
            Ok(None) | Err(_) => break,
        }
    }
    body
}

/// Why there is no response. reqwest's own text would show the URL.
pub(super) fn broken(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "it cannot be connected to"
    } else {
        "its answer broke off, or is no HTTP"
    }
}
