//! Calls for `rekeyd doctor`. None changes what consumers read.

use aws_config::SdkConfig;

use crate::adapters::aws_secrets_manager::calls::{CURRENT, PENDING, Wanted};
use crate::adapters::aws_secrets_manager::failure::{Call, Refusal, is_plain, of_identity, refused};
use crate::adapters::aws_secrets_manager::limit::BoundedResponses;
use crate::adapters::aws_secrets_manager::{AwsSecretsManager, Patience, Settings};
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;

/// No version of any secret has this id, so removing a label from it changes nothing.
const NO_VERSION: &str = "00000000-0000-4000-8000-000000000000";

/// The metadata of a secret that an examination needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretDetails {
    pub is_deleted: bool,
    /// Whether AWS itself rotates the secret.
    pub is_rotated: bool,
    /// The primary region, if the secret is a replica.
    pub replica_of: Option<String>,
    /// Regions whose replicas are out of sync.
    pub replicas_failed: Vec<String>,
    /// The AWS service that manages the secret.
    pub owner: Option<String>,
    /// The customer-managed KMS key.
    pub kms_key: Option<String>,
    /// How many versions have labels.
    pub labelled: usize,
}

/// The identity of the caller at AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    pub arn: String,
    pub account: String,
}

impl AwsSecretsManager {
    /// Describes a secret; `None` if it does not exist.
    ///
    /// # Errors
    /// The call failed.
    pub async fn details(&self, to: &Destination) -> Result<Option<SecretDetails>, Failure> {
        let sent = self.calls.client.describe_secret().secret_id(&to.secret).send().await;
        let response = match sent.map_err(|error| refused(Call::Describe, to, &error)) {
            Ok(response) => response,
            Err(refused) if refused.refusal == Refusal::NotFound => return Ok(None),
            Err(refused) => return Err(refused.failure),
        };
        let region = self.calls.client.config().region().map(ToString::to_string);
        let failed = response
            .replication_status()
            .iter()
            .filter(|copy| copy.status().is_some_and(|status| status.as_str() == "Failed"));
        Ok(Some(SecretDetails {
            is_deleted: response.deleted_date().is_some(),
            is_rotated: response.rotation_enabled().unwrap_or(false),
            replica_of: response
                .primary_region()
                .map(str::to_owned)
                .filter(|primary| Some(primary) != region.as_ref()),
            replicas_failed: failed.filter_map(|copy| copy.region().map(str::to_owned)).collect(),
            owner: response.owning_service().filter(|owner| is_plain(owner)).map(str::to_owned),
            kms_key: response
                .kms_key_id()
                .map(str::to_owned)
                .filter(|key| !key.ends_with("alias/aws/secretsmanager")),
            labelled: response.version_ids_to_stages().map_or(0, std::collections::HashMap::len),
        }))
    }

    /// Tests whether staging labels may be moved, by removing one from a version that does not exist.
    ///
    /// # Errors
    /// Moving labels is not permitted, or the call failed.
    pub async fn try_relabel(&self, to: &Destination) -> Result<(), Failure> {
        let nothing =
            VersionId::new(NO_VERSION).map_err(|bad| Failure::rejected(Kind::Invalid, bad.to_string()))?;
        match self.calls.relabel(to, PENDING, Some(&nothing), None).await {
            Ok(()) => Ok(()),
            Err(refused) => match refused.refusal {
                Refusal::NotFound | Refusal::BadParameter | Refusal::Exists => Ok(()),
                Refusal::BadState | Refusal::Other => Err(refused.failure),
            },
        }
    }

    /// Tests whether a version may be written, by writing the current one again with the same token and the same bytes,
    /// which AWS ignores as a repeated call. `false` if there is no version that can be written again.
    ///
    /// # Errors
    /// Writing is not permitted, or the call failed.
    pub async fn try_write(&self, to: &Destination) -> Result<bool, Failure> {
        let Some(described) = self.calls.describe(to).await? else { return Ok(false) };
        let got = self.calls.get(to, Wanted::Label(CURRENT)).await?;
        let Some((content, text)) = got.and_then(|got| Some((got.version, got.text?))) else {
            return Ok(false);
        };
        // The repeated call sets the pending label, and must not take it from another version.
        if described.holder(PENDING).is_some_and(|pending| pending != content) || content.as_str().len() < 32
        {
            return Ok(false);
        }
        match self.calls.put(to, &content, &text).await {
            Ok(()) => Ok(true),
            // A version was staged in between, or AWS compares more than it documents: writing is permitted all the same.
            Err(refused) if refused.refusal == Refusal::Exists => Ok(true),
            Err(refused) => Err(refused.failure),
        }
    }
}

/// Gets the caller's identity from AWS. The call needs no permission.
///
/// # Errors
/// No credentials are found, or they are not accepted.
pub async fn identity(settings: &Settings) -> Result<CallerIdentity, Failure> {
    let config = settings.load().await;
    caller(&config, settings.patience).await
}

/// As [`identity`], by a configuration that is loaded already.
pub(super) async fn caller(config: &SdkConfig, patience: Patience) -> Result<CallerIdentity, Failure> {
    let config = identity_config(config);
    if config.region().is_none() {
        return Err(Failure::rejected(Kind::Invalid, "no region is given"));
    }
    let timeouts = aws_sdk_secretsmanager::config::timeout::TimeoutConfig::builder()
        .connect_timeout(patience.connect)
        .operation_timeout(patience.operation)
        .build();
    let config = aws_sdk_sts::config::Builder::from(&config).timeout_config(timeouts);
    let config = config.interceptor(BoundedResponses).build();
    let response = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
    let response = response.map_err(|error| of_identity(&error))?;
    let known = |text: Option<&str>| text.filter(|text| is_plain(text)).unwrap_or("unknown").to_owned();
    Ok(CallerIdentity { arn: known(response.arn()), account: known(response.account()) })
}

/// The policy's endpoint serves Secrets Manager only. A mock on this machine serves all of AWS.
fn identity_config(config: &SdkConfig) -> SdkConfig {
    let local =
        |url: &str| ["http://127.", "http://localhost", "http://[::1]"].iter().any(|it| url.starts_with(it));
    let endpoint_url = config.endpoint_url().filter(|url| local(url)).map(str::to_owned);
    let mut config = config.clone().into_builder();
    config.set_endpoint_url(endpoint_url);
    config.build()
}
