//! What came of one bounded POST, without a word that could be a secret: for whoever sends what somebody else takes in.

use jiff::SignedDuration;
use reqwest::Response;
use reqwest::header::RETRY_AFTER;

/// In seconds; a date is as good as nothing said.
pub(super) fn retry_after(response: &Response) -> Option<SignedDuration> {
    let seconds: i64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds >= 0).then(|| SignedDuration::from_secs(seconds))
}

/// As much of the body as is looked at. The status is what counts: however the rest ends, it is not waited for.
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

/// Why there is no answer. reqwest's own text shows the URL.
pub(super) fn broken(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "it cannot be connected to"
    } else {
        "its answer broke off, or is no HTTP"
    }
}
