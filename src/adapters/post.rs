//! Reads the response to a POST, bounded in size and without secrets in messages.

use jiff::SignedDuration;
use reqwest::Response;
use reqwest::header::RETRY_AFTER;

/// The delay in seconds; a date is ignored.
pub(super) fn retry_after(response: &Response) -> Option<SignedDuration> {
    let seconds: i64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds >= 0).then(|| SignedDuration::from_secs(seconds))
}

/// The beginning of the body. The rest is not read, and an error after the status is ignored.
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

/// The reason for a missing response. The text of reqwest would contain the URL.
pub(super) fn error_text(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "invalid or incomplete HTTP response"
    }
}
