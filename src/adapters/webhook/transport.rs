//! One bounded POST, and what came of it, without a word that could be a secret.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::adapters::post;
use crate::adapters::webhook::{BuildError, signature};
use crate::loopback;
use crate::ports::notifier::DeliveryError;

/// Of an answer, which is looked at for a word that is known.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// What a status and a body mean at this kind of receiver, where that is known.
pub(super) type Meaning = fn(u16, &str) -> Option<&'static str>;

pub(super) struct Transport {
    client: Client,
    url: Url,
}

impl Transport {
    pub(super) fn new(url: &str, time_limit: Duration) -> Result<Self, BuildError> {
        let url = Url::parse(url).map_err(|_| BuildError::Url)?;
        let local = loopback::leads_to(&url);
        let fits = url.host_str().is_some() && (url.scheme() == "https" || url.scheme() == "http" && local);
        if !fits {
            return Err(BuildError::Url);
        }
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .timeout(time_limit)
            .pool_max_idle_per_host(0)
            .http1_only();
        if local {
            builder = builder.no_proxy();
        }
        if url.scheme() == "http" {
            // No certificate is looked at: none needs to be loaded.
            builder = builder.tls_certs_only([]);
        }
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
        let response = request.send().await.map_err(|error| unanswered(&error))?;
        let status = response.status();
        let retry_after = post::retry_after(&response);
        let body = post::beginning(response, ANSWER_BYTES_MAX).await;
        let body = String::from_utf8_lossy(&body);
        let known = meaning(status.as_u16(), &body);
        if status.is_success() {
            return Ok(said(status.as_u16(), known));
        }
        // A redirection is not followed, and so is as final as a refusal.
        let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        Err(DeliveryError { is_final: !passes, retry_after, why: said(status.as_u16(), known) })
    }
}

fn said(status: u16, known: Option<&str>) -> String {
    let words = known.unwrap_or(match status {
        200..=299 => "it is taken",
        300..=399 => "it sends us elsewhere, where we do not go: is the URL right?",
        401 | 403 => "it does not let us in: are the URL and the keys still valid?",
        404 | 410 => "there is nobody at this URL",
        408 | 425 => "it asks us to try again",
        413 => "the notice is too large for it",
        429 => "it asks us to slow down",
        500.. => "it is ill",
        _ => "it refuses the notice",
    });
    format!("it answers with HTTP {status}: {words}")
}

fn unanswered(error: &reqwest::Error) -> DeliveryError {
    DeliveryError { is_final: false, retry_after: None, why: post::broken(error).to_owned() }
}
