//! Who may speak to the listener, as written, and how they are told apart.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::raw::{AbsolutePath, At, Duration, Secret, Text};

/// TLS of the listener. The files are read again when they change.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend(
    "required" = ["certificate", "key"],
    "examples" = [{ "certificate": "/etc/rekeyd/tls/tls.crt", "key": "/etc/rekeyd/tls/tls.key" }]
))]
pub(crate) struct Tls {
    /// The certificate and those between it and its authority, in PEM.
    pub(crate) certificate: Option<At<AbsolutePath>>,
    /// Its private key, in PEM.
    pub(crate) key: Option<At<AbsolutePath>>,
    /// The only authorities that vouch for client certificates, in PEM.
    pub(crate) client_ca: Option<At<AbsolutePath>>,
}

/// Who may read over HTTP what is known of the credentials. Without it, everybody who can connect if `daemon.listen` is on
/// loopback, and otherwise nobody.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Readers {
    /// By which they prove that they may.
    pub(crate) token: Option<Secret>,
    /// The DNS name in their client certificate; needs `daemon.tls.client_ca`.
    pub(crate) certificate: Option<At<Text>>,
}

/// Reports of leaked keys, by whoever finds them.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Leaks {
    /// By which a report proves that it may be believed; without it none is taken.
    pub(crate) token: Option<Secret>,
}

/// A program that uses credentials.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Consumer {
    /// By which it proves who it is when it acknowledges a key.
    pub(crate) token: Option<Secret>,
    /// The DNS name in its client certificate, by which it proves who it is without a token; needs `daemon.tls.client_ca`.
    #[schemars(extend("examples" = ["tts-api.internal"]))]
    pub(crate) certificate: Option<At<Text>>,
    /// How long it may go on using a key that it has read.
    pub(crate) cache_ttl: Option<At<Duration>>,
}
