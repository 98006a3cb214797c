//! Examines a server without credentials: whether its name resolves, and when its certificate expires.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Url};

pub use crate::adapters::endpoint::certificate::validity;

use crate::domain::sanitize::one_line;
use crate::outgoing::client_to;

mod certificate;
pub mod reach;

const CAUSE_CHARACTERS_MAX: usize = 300;

/// Why a server's certificate could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("there are no CA certificates to trust: {0}")]
    NothingToTrust(String),
    #[error("the CA file holds no usable CA certificate in PEM form")]
    CaFile,
    #[error("no encrypted connection: {0}")]
    Refused(String),
}

/// Resolves a name.
///
/// # Errors
/// The name does not resolve, or not in time.
pub async fn addresses(url: &Url, limit: Duration) -> Result<Vec<SocketAddr>, String> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::time::timeout(limit, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| format!("no answer within {} s", limit.as_secs()))?;
    let found: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
    if found.is_empty() { Err("it has no address".to_owned()) } else { Ok(found) }
}

/// Requests the root path without any key, and returns when the server's certificate expires; `None` if it cannot be
/// parsed. Goes through a proxy where the calls themselves do.
///
/// # Errors
/// Why no encrypted connection can be made.
pub async fn certificate_expiry(
    url: &Url,
    ca_pem: Option<&[u8]>,
    limit: Duration,
) -> Result<Option<Timestamp>, CertificateError> {
    let builder = client_to(url).tls_info(true).timeout(limit).http1_only().pool_max_idle_per_host(0);
    let builder = match ca_pem {
        Some(pem) => {
            let trusted = Certificate::from_pem_bundle(pem).map_err(|_| CertificateError::CaFile)?;
            if trusted.is_empty() {
                return Err(CertificateError::CaFile);
            }
            builder.tls_certs_only(trusted)
        }
        None => builder,
    };
    let client = builder.build().map_err(|error| CertificateError::NothingToTrust(cause(&error)))?;
    let mut root = url.clone();
    root.set_path("/");
    let answer = client.head(root).send().await.map_err(|error| CertificateError::Refused(cause(&error)))?;
    let shown = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    Ok(shown.and_then(validity).map(|(_, not_after)| not_after))
}

/// The causes of an error of the HTTP library, whose own text would only name the address.
fn cause(error: &reqwest::Error) -> String {
    let mut beneath = std::error::Error::source(error);
    let mut text = String::new();
    while let Some(error) = beneath {
        text = if text.is_empty() { error.to_string() } else { format!("{text}: {error}") };
        beneath = error.source();
    }
    let text: String = one_line(&text).chars().take(CAUSE_CHARACTERS_MAX).collect();
    if text.is_empty() { "no reason is known".to_owned() } else { text }
}
