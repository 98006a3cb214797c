//! The issuer and usage ports over the ElevenLabs API: one workspace, seen with its admin key.
//!
//! [`transport`] sends one request and says what came of it, [`refusal`] reads what the provider says when it
//! refuses, [`meaning`] decides what that means, and [`listing`], [`creation`], [`switching`] and [`probe`] are the
//! calls themselves. [`usage`] reads the evidence of use, [`survey`] what a workspace offers. Nothing here repeats a call that could have had an effect twice.
//!
//! Three shapes of the API are spoken, without asking which: creation that does not tell the key's id, changes that
//! must name every field, and deployments without a call that disables (August 2025 to November 2026).
//!
//! A key's value is copied as little as the HTTP library allows: its own buffers, and the header made from a value,
//! cannot be wiped from here.

mod audit_log;
mod capabilities;
mod classify;
mod creation;
mod headers;
mod lifecycle;
mod listing;
mod probe;
mod rate_limit;
mod redaction;
mod refusal;
mod routes;
mod transport;
mod usage;
pub mod wire;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::adapters::elevenlabs::routes::Routes;
use crate::adapters::elevenlabs::transport::Transport;
use crate::adapters::elevenlabs::usage::LogColumn;
use crate::domain::failure::Failure;
use crate::domain::ids::ServiceAccountId;
use crate::domain::key::{Inventory, Key, KeyRequest};
use crate::domain::secret::SecretValue;
use crate::ports::clock::Clock;
use crate::ports::issuer::{AdminKey, Issuer, Minted};

/// How a workspace is reached, and how gently.
pub struct Settings {
    /// `https://api.elevenlabs.io`, a residency region's address, or any other; may have a path, no query.
    pub base_url: String,
    pub admin_key: Arc<AdminKey>,
    /// The longest that one request may take, from its first byte to the answer's last.
    pub request_timeout: Duration,
    /// Requests at the same moment.
    pub in_flight: NonZeroUsize,
    /// `None` is as fast as answers come.
    pub requests_per_second: Option<NonZeroU32>,
    /// PEM certificates that are trusted in place of the system's.
    pub ca_pem: Option<Vec<u8>>,
    pub clock: Arc<dyn Clock>,
}

/// Why a workspace cannot be talked to at all. Never holds the address, which may have a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("the workspace's base_url cannot be used: {0}")]
    BaseUrl(&'static str),
    #[error("the request timeout must be longer than zero")]
    Timeout,
    #[error("the admin key cannot be sent as a header")]
    AdminKey,
    #[error("the CA file holds no usable CA certificate in PEM form: {0}")]
    CaFile(String),
    #[error(
        "no CA certificates to trust: {0}; install the system's ca-certificates package, or name a PEM file \
         of CA certificates in the policy"
    )]
    Tls(String),
}

/// One ElevenLabs workspace.
///
/// Every call waits for its turn (requests in flight, requests per second, an earlier wish to slow down), within a
/// bound; a call that was not sent for want of a turn is `Rejected`.
pub struct ElevenLabs {
    transport: Transport,
    routes: Routes,
    /// Set once the deployment has shown that it has no call that disables: it will not grow one while we run.
    without_disable_route: AtomicBool,
    log_column: LogColumn,
}

impl ElevenLabs {
    /// Makes ready to talk; talks to nobody yet.
    ///
    /// # Errors
    /// Says what to change in the policy, or on the machine.
    pub fn new(settings: Settings) -> Result<Self, BuildError> {
        let routes = Routes::parse(&settings.base_url).map_err(BuildError::BaseUrl)?;
        let transport = Transport::new(settings, routes.is_encrypted())?;
        Ok(Self {
            transport,
            routes,
            without_disable_route: AtomicBool::new(false),
            log_column: LogColumn::default(),
        })
    }
}

#[async_trait]
impl Issuer for ElevenLabs {
    async fn inventory(&self) -> Result<Inventory, Failure> {
        self.list_workspace().await
    }

    async fn create(
        &self,
        account: &ServiceAccountId,
        name: &str,
        request: &KeyRequest,
    ) -> Result<Minted, Failure> {
        self.create_key(account, name, request).await
    }

    async fn authenticate(&self, value: &SecretValue) -> Result<(), Failure> {
        self.probe_key(value).await
    }

    async fn prove_admin(&self, value: &SecretValue) -> Result<(), Failure> {
        self.prove_admin_key(value).await
    }

    async fn disable(&self, key: &Key) -> Result<(), Failure> {
        self.disable_key(key).await
    }

    async fn enable(&self, key: &Key) -> Result<(), Failure> {
        self.enable_key(key).await
    }

    async fn set_expiry(&self, key: &Key, at: Option<Timestamp>) -> Result<(), Failure> {
        self.set_key_expiry(key, at).await
    }

    async fn delete(&self, key: &Key) -> Result<(), Failure> {
        self.delete_key(key).await
    }
}
