//! The trace collector port: OTLP over HTTP with protobuf. Each POST is bounded in time and memory, and its result is text
//! without secrets.

mod wire;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Client, StatusCode, Url};

use crate::adapters::post;
use crate::domain::trace::Span;
use crate::outgoing::client_to;
use crate::ports::collector::{Collector, ExportError};

/// How much of a response is read for the number of rejected spans.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// The connection to a collector, and the attributes of this process.
pub struct Settings {
    /// The URL for traces.
    pub endpoint: Url,
    /// Sent with each request, usually for authentication.
    pub headers: HeaderMap,
    pub time_limit: Duration,
    /// PEM certificates to trust instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// The resource attributes.
    pub resource: Vec<(String, String)>,
}

/// Why no client for the collector can be created.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the CA file of the collector has no valid CA certificate in PEM format")]
    CaFile,
    #[error("cannot create a TLS client for the collector; check that CA certificates are installed")]
    Client(#[source] reqwest::Error),
}

pub struct Otlp {
    client: Client,
    endpoint: Url,
    resource: wire::Resource,
}

impl Otlp {
    /// Creates the client; makes no connection.
    ///
    /// # Errors
    /// No client for the collector can be created.
    pub fn new(settings: Settings) -> Result<Self, BuildError> {
        let Settings { endpoint, headers, time_limit, ca_pem, resource } = settings;
        let builder = client_to(&endpoint)
            .user_agent(concat!("rekeyd/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .timeout(time_limit)
            .http1_only();
        let trusted = ca_pem.as_deref().map(Certificate::from_pem_bundle).transpose();
        let builder = match trusted.map_err(|_| BuildError::CaFile)? {
            Some(trusted) if trusted.is_empty() => return Err(BuildError::CaFile),
            Some(trusted) => builder.tls_certs_only(trusted),
            None => builder,
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
        let response = request.body(body).send().await.map_err(|error| no_response(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(wire::rejected(&post::beginning(response, RESPONSE_BYTES_MAX).await).min(spans.len()));
        }
        // The retryable statuses of OTLP. Redirects are not followed, so they are final.
        let passes = matches!(status.as_u16(), 429 | 502 | 503 | 504);
        Err(ExportError {
            is_final: !passes,
            retry_after: post::retry_after(&response),
            why: message(status),
        })
    }
}

fn message(status: StatusCode) -> String {
    let words = match status.as_u16() {
        300..=399 => "redirects are not followed; check the endpoint",
        401 | 403 => "access denied; check the headers",
        404 | 405 => "no traces are accepted there; check the endpoint",
        413 => "the request is too large",
        415 => "OTLP with protobuf is not supported",
        429 => "rate limited",
        500.. => "server error",
        _ => "the spans were rejected",
    };
    format!("HTTP {}: {words}", status.as_u16())
}

fn no_response(error: &reqwest::Error) -> ExportError {
    ExportError { is_final: false, retry_after: None, why: post::error_text(error).to_owned() }
}
