//! The raw configuration of the listener's clients.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::raw::{AbsolutePath, At, Duration, Secret, Text};

/// TLS files of the listener; reloaded when they change.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend(
    "required" = ["certificate", "key"],
    "examples" = [{ "certificate": "/etc/rekeyd/tls/tls.crt", "key": "/etc/rekeyd/tls/tls.key" }]
))]
pub(crate) struct Tls {
    /// PEM file with the certificate and its intermediate certificates.
    pub(crate) certificate: Option<At<AbsolutePath>>,
    /// PEM file with the private key.
    pub(crate) key: Option<At<AbsolutePath>>,
    /// PEM file with the certificate authorities for client certificates.
    pub(crate) client_ca: Option<At<AbsolutePath>>,
}

/// Access to the read-only HTTP API. Without this table, any client may read if `daemon.listen` is on loopback, and none
/// otherwise.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Readers {
    /// Token of the readers.
    pub(crate) token: Option<Secret>,
    /// DNS name in the readers' client certificate; requires `daemon.tls.client_ca`.
    pub(crate) certificate: Option<At<Text>>,
}

/// Reports of leaked keys.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Leaks {
    /// Token that a report must carry; without it, reports are rejected.
    pub(crate) token: Option<Secret>,
}

/// An application that uses credentials.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Consumer {
    /// Token with which it acknowledges keys.
    pub(crate) token: Option<Secret>,
    /// DNS name in its client certificate, instead of a token; requires `daemon.tls.client_ca`.
    #[schemars(extend("examples" = ["tts-api.internal"]))]
    pub(crate) certificate: Option<At<Text>>,
    /// How long it may use a key from its cache.
    pub(crate) cache_ttl: Option<At<Duration>>,
}
