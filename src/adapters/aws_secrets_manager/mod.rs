//! The secret store port over AWS Secrets Manager.
//!
//! A rotation's version token is the ClientRequestToken and so AWS's VersionId: every write is idempotent by it. The
//! new version is marked `REKEYD_PENDING`; promotion is one move of AWSCURRENT that names the version it is taken from,
//! which AWS refuses if somebody else moved it, and AWS itself keeps AWSPREVIOUS. The pending label stays on a
//! promoted version, where it means nothing, until the next staging takes it: removing it would cost a call.
//!
//! Permissions: GetSecretValue, DescribeSecret, PutSecretValue, UpdateSecretVersionStage; CreateSecret only where a
//! destination may be created.

mod access_policy;
mod bases;
mod calls;
mod doctor;
pub mod examine;
mod failure;
mod follow;
mod http;
pub mod kind;
mod limit;
mod place;
pub(crate) mod policy;
mod stage;
mod store;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;

use crate::adapters::aws_secrets_manager::bases::Bases;
use crate::adapters::aws_secrets_manager::calls::Calls;
use crate::adapters::aws_secrets_manager::limit::BoundedResponses;
use crate::domain::failure::{Failure, Kind};

/// What the policy says about the store; AWS's own environment and files supply what is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pub region: Option<String>,
    pub profile: Option<String>,
    pub endpoint_url: Option<String>,
    pub patience: Patience,
}

impl Settings {
    async fn load(&self) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http::client());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint_url) = &self.endpoint_url {
            loader = loader.endpoint_url(endpoint_url);
        }
        loader.load().await
    }
}

/// Time limits and retries of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    pub connect: Duration,
    pub attempt: Duration,
    /// Limits all attempts with the pauses between them.
    pub operation: Duration,
    pub attempts_max: u32,
    pub first_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(10),
            operation: Duration::from_secs(25),
            attempts_max: 3,
            first_pause: Duration::from_millis(500),
        }
    }
}

pub struct AwsSecretsManager {
    calls: Calls,
    bases: Bases,
    /// For the one call of another service: who the caller is.
    config: SdkConfig,
    patience: Patience,
}

impl AwsSecretsManager {
    /// Reads AWS's environment and files. Makes no call; credentials are needed from the first call on.
    ///
    /// # Errors
    /// `Invalid`: no region is given anywhere.
    pub async fn connect(settings: &Settings) -> Result<Self, Failure> {
        Self::configured(&settings.load().await, settings.patience)
    }

    /// Takes AWS's configuration as it is.
    ///
    /// # Errors
    /// `Invalid`: it names no region.
    pub fn configured(config: &SdkConfig, patience: Patience) -> Result<Self, Failure> {
        if config.region().is_none() {
            let message = "cannot use AWS Secrets Manager: no region is given; set `region` in the policy, or \
                           AWS_REGION";
            return Err(Failure::rejected(Kind::Invalid, message));
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(patience.connect)
            .read_timeout(patience.attempt)
            .operation_attempt_timeout(patience.attempt)
            .operation_timeout(patience.operation)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(patience.attempts_max)
            .with_initial_backoff(patience.first_pause);
        let client = Builder::from(config).timeout_config(timeouts).retry_config(retries);
        let client = client.interceptor(BoundedResponses).build();
        let calls = Calls { client: Client::from_conf(client) };
        Ok(Self { calls, bases: Bases::default(), config: config.clone(), patience })
    }
}
