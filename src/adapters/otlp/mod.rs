//! A collector of traces by OTLP over HTTP, in its binary form: one bounded POST, and what came of it, without a word that
//! could be a secret.

mod wire;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode, Url};

use crate::adapters::post;
use crate::domain::trace::Span;
use crate::loopback;
use crate::ports::collector::{Collector, ExportError};

/// Of an answer, which may say that some spans were refused.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How a collector is reached, and what it is told about us.
pub struct Settings {
    /// Where spans are posted to.
    pub endpoint: Url,
    /// Sent with each request: how the collector knows us.
    pub headers: HeaderMap,
    pub time_limit: Duration,
    /// PEM certificates that are trusted in place of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// What the spans come from.
    pub resource: Vec<(String, String)>,
}

/// Why a collector cannot be talked to at all.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the collector's CA file holds no usable CA certificate in PEM form")]
    CaFile,
    #[error("no encrypted connection to a collector can be made; are CA certificates installed?")]
    Client(#[source] reqwest::Error),
}

pub struct Otlp {
    client: Client,
    endpoint: Url,
    resource: wire::Resource,
}

impl Otlp {
    /// Makes ready to send; talks to nobody yet.
    ///
    /// # Errors
    /// It could never talk to the collector.
    pub fn new(settings: Settings) -> Result<Self, BuildError> {
        let Settings { endpoint, headers, time_limit, ca_pem, resource } = settings;
        let mut builder = Client::builder()
            .user_agent(concat!("rekeyd/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(Policy::none())
            .timeout(time_limit)
            .http1_only();
        if loopback::leads_to(&endpoint) {
            builder = builder.no_proxy();
        }
        let trusted = ca_pem.as_deref().map(Certificate::from_pem_bundle).transpose();
        builder = match (trusted.map_err(|_| BuildError::CaFile)?, endpoint.scheme()) {
            (Some(trusted), _) if trusted.is_empty() => return Err(BuildError::CaFile),
            (Some(trusted), _) => builder.tls_certs_only(trusted),
            // No certificate is looked at: none needs to be loaded.
            (None, "http") => builder.tls_certs_only([]),
            (None, _) => builder,
        };
        let client = builder.build().map_err(BuildError::Client)?;
        Ok(Self { client, endpoint, resource: wire::resource(resource) })
    }
}

#[async_trait]
impl Collector for Otlp {
    async fn take(&self, spans: &[Span]) -> Result<usize, ExportError> {
        let body = wire::request(&self.resource, spans);
        let request = self.client.post(self.endpoint.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        let response = request.body(body).send().await.map_err(|error| unanswered(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(wire::refused(&post::beginning(response, ANSWER_BYTES_MAX).await).min(spans.len()));
        }
        // What OTLP calls retryable; a redirection is not followed, and so is as final as a refusal.
        let passes = matches!(status.as_u16(), 429 | 502 | 503 | 504);
        Err(ExportError { is_final: !passes, retry_after: post::retry_after(&response), why: said(status) })
    }
}

fn said(status: StatusCode) -> String {
    let words = match status.as_u16() {
        300..=399 => "it sends us elsewhere, where we do not go: is the endpoint right?",
        401 | 403 => "it does not let us in: are the headers right?",
        404 | 405 => "it takes no traces there: is the endpoint right?",
        413 => "it takes no requests of this size",
        415 => "it does not speak OTLP in its binary form",
        429 => "it asks us to slow down",
        500.. => "it is ill",
        _ => "it refuses the spans",
    };
    format!("it answers with HTTP {}: {words}", status.as_u16())
}

fn unanswered(error: &reqwest::Error) -> ExportError {
    ExportError { is_final: false, retry_after: None, why: post::broken(error).to_owned() }
}
