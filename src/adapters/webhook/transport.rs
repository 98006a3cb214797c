//! One POST, bounded in time and memory, and its result as text without secrets.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};

use crate::adapters::post;
use crate::adapters::webhook::{BuildError, signature};
use crate::outgoing::{client_to, is_private};
use crate::ports::notifier::DeliveryError;

/// How much of a response is searched for a known error code.
const RESPONSE_BYTES_MAX: usize = 4 * 1024;

/// The meaning of a status and a body at a kind of receiver, if known.
pub(super) type Meaning = fn(u16, &str) -> Option<&'static str>;

pub(super) struct Transport {
    client: Client,
    url: Url,
}

impl Transport {
    pub(super) fn new(url: &str, time_limit: Duration) -> Result<Self, BuildError> {
        let url = Url::parse(url).map_err(|_| BuildError::Url)?;
        if url.host_str().is_none() || !is_private(&url) {
            return Err(BuildError::Url);
        }
        let builder = client_to(&url).timeout(time_limit).pool_max_idle_per_host(0).http1_only();
        Ok(Self { client: builder.build().map_err(BuildError::Client)?, url })
    }

    pub(super) async fn post(
        &self,
        body: &str,
        signature: Option<String>,
        meaning: Meaning,
    ) -> Result<String, DeliveryError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("user-agent", concat!("rekeyd/", env!("CARGO_PKG_VERSION")))
            .body(body.to_owned());
        if let Some(signature) = signature {
            request = request.header(signature::HEADER, signature);
        }
        let response = request.send().await.map_err(|error| no_response(&error))?;
        let status = response.status();
        let retry_after = post::retry_after(&response);
        let body = post::beginning(response, RESPONSE_BYTES_MAX).await;
        let body = String::from_utf8_lossy(&body);
        let known = meaning(status.as_u16(), &body);
        if status.is_success() {
            return Ok(message(status.as_u16(), known));
        }
        // Redirects are not followed, so they are final.
        let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        Err(DeliveryError { is_final: !passes, retry_after, why: message(status.as_u16(), known) })
    }
}

fn message(status: u16, known: Option<&str>) -> String {
    let words = known.unwrap_or(match status {
        200..=299 => "accepted",
        300..=399 => "redirects are not followed; check the URL",
        401 | 403 => "access denied; check the URL and the keys",
        404 | 410 => "not found; check the URL",
        408 | 425 => "temporary error",
        413 => "the notification is too large",
        429 => "rate limited",
        500.. => "server error",
        _ => "the notification was rejected",
    });
    format!("HTTP {status}: {words}")
}

fn no_response(error: &reqwest::Error) -> DeliveryError {
    DeliveryError { is_final: false, retry_after: None, why: post::error_text(error).to_owned() }
}
