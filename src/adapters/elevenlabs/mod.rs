//! The issuer and usage ports over the ElevenLabs API: one workspace, called with its admin key.
//!
//! [`transport`] sends one request, [`refusal`] reads the provider's error, and [`classify`] decides what it means.
//! [`listing`], [`account`], [`creation`], [`lifecycle`] and [`probe`] are the calls. [`usage`] reads the evidence of use, and
//! [`capabilities`] what a workspace offers. No call that could have had an effect twice is repeated.
//!
//! Three versions of the API are supported, without asking which: creation that does not return the key's id, changes that
//! must name every field, and deployments without a call that disables (August 2025 to November 2026).
//!
//! The value of a key is copied as little as the HTTP library allows: its own buffers, and the header made from a value,
//! cannot be wiped from here.

mod account;
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
use crate::domain::sharing::SharingGroups;
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

/// Why a workspace cannot be used. Never holds the address, which may contain a password.
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
/// Every call waits for the rate limit (requests in flight, requests per second, an earlier `Retry-After`), within a
/// bound; a call that was not sent in time is `Rejected`. A call of the safety lane waits for those in flight only.
pub struct ElevenLabs {
    transport: Transport,
    routes: Routes,
    /// Set once the deployment has shown that it has no call that disables: it will not grow one while we run.
    without_disable_route: AtomicBool,
    log_column: LogColumn,
}

impl ElevenLabs {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Says what to change in the policy, or on the machine.
    pub fn new(settings: Settings) -> Result<Self, BuildError> {
        let routes = Routes::parse(&settings.base_url).map_err(BuildError::BaseUrl)?;
        let transport = Transport::new(settings, routes.base())?;
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

    async fn create_account(&self, name: &str, groups: &SharingGroups) -> Result<ServiceAccountId, Failure> {
        self.create_service_account(name, groups).await
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

    fn silent_until(&self) -> Option<Timestamp> {
        self.transport.silent_until()
    }
}
