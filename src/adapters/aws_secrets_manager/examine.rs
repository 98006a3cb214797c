//! What is to be known of a secret before relying on it. Nothing here changes what anybody reads.

use aws_config::SdkConfig;

use crate::adapters::aws_secrets_manager::calls::{CURRENT, PENDING, Wanted};
use crate::adapters::aws_secrets_manager::failure::{Call, Refusal, is_plain, of_identity, refused};
use crate::adapters::aws_secrets_manager::limit::BoundedAnswers;
use crate::adapters::aws_secrets_manager::{AwsSecretsManager, Settings};
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;

/// No version of any secret has this id, so that moving a label off it can do nothing.
const NO_VERSION: &str = "00000000-0000-4000-8000-000000000000";

/// A secret without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub is_deleted: bool,
    /// AWS itself rotates it.
    pub is_rotated: bool,
    /// Where it is a copy from.
    pub replica_of: Option<String>,
    /// Regions whose copies are not in step.
    pub replicas_failed: Vec<String>,
    /// Another service of AWS manages it.
    pub owner: Option<String>,
    /// A KMS key that is not AWS's own.
    pub kms_key: Option<String>,
    /// Versions that have labels.
    pub labelled: usize,
}

/// Who AWS takes us for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub arn: String,
    pub account: String,
}

impl AwsSecretsManager {
    /// Describes a secret; `None` if there is none.
    ///
    /// # Errors
    /// Nothing is known.
    pub async fn facts(&self, to: &Destination) -> Result<Option<Facts>, Failure> {
        let sent = self.calls.client.describe_secret().secret_id(&to.secret).send().await;
        let told = match sent.map_err(|error| refused(Call::Describe, to, &error)) {
            Ok(told) => told,
            Err(refused) if refused.refusal == Refusal::NotFound => return Ok(None),
            Err(refused) => return Err(refused.failure),
        };
        let region = self.calls.client.config().region().map(ToString::to_string);
        let failed = told
            .replication_status()
            .iter()
            .filter(|copy| copy.status().is_some_and(|status| status.as_str() == "Failed"));
        Ok(Some(Facts {
            is_deleted: told.deleted_date().is_some(),
            is_rotated: told.rotation_enabled().unwrap_or(false),
            replica_of: told
                .primary_region()
                .map(str::to_owned)
                .filter(|primary| Some(primary) != region.as_ref()),
            replicas_failed: failed.filter_map(|copy| copy.region().map(str::to_owned)).collect(),
            owner: told.owning_service().filter(|owner| is_plain(owner)).map(str::to_owned),
            kms_key: told
                .kms_key_id()
                .map(str::to_owned)
                .filter(|key| !key.ends_with("alias/aws/secretsmanager")),
            labelled: told.version_ids_to_stages().map_or(0, std::collections::HashMap::len),
        }))
    }

    /// Tries whether staging labels could be moved, by taking one off a version that does not exist.
    ///
    /// # Errors
    /// It is not permitted; or nothing was learnt.
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

    /// Tries whether a version could be written, by writing the current one once more with the same token and the same
    /// bytes, which AWS takes for the same call and ignores. `false` if there is none to try it with, or one that is
    /// not ours to repeat.
    ///
    /// # Errors
    /// It is not permitted; or nothing was learnt.
    pub async fn try_write(&self, to: &Destination) -> Result<bool, Failure> {
        let Some(described) = self.calls.describe(to).await? else { return Ok(false) };
        let got = self.calls.get(to, Wanted::Label(CURRENT)).await?;
        let Some((content, text)) = got.and_then(|got| Some((got.version, got.text?))) else {
            return Ok(false);
        };
        // The repeated call names our pending label: it must not be able to take it from another version.
        if described.holder(PENDING).is_some_and(|pending| pending != content) || content.as_str().len() < 32
        {
            return Ok(false);
        }
        match self.calls.put(to, &content, &text).await {
            Ok(()) => Ok(true),
            // Somebody staged in between, or AWS compares more than it says: permitted all the same.
            Err(refused) if refused.refusal == Refusal::Exists => Ok(true),
            Err(refused) => Err(refused.failure),
        }
    }
}

/// Asks AWS who we are. Takes no permission.
///
/// # Errors
/// No credentials are found, or they are not accepted.
pub async fn identity(settings: &Settings) -> Result<Identity, Failure> {
    let config = identity_config(settings).await;
    if config.region().is_none() {
        return Err(Failure::rejected(Kind::Invalid, "no region is given"));
    }
    let timeouts = aws_sdk_secretsmanager::config::timeout::TimeoutConfig::builder()
        .connect_timeout(settings.patience.connect)
        .operation_timeout(settings.patience.operation)
        .build();
    let config = aws_sdk_sts::config::Builder::from(&config).timeout_config(timeouts);
    let config = config.interceptor(BoundedAnswers).build();
    let told = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
    let told = told.map_err(|error| of_identity(&error))?;
    let known = |text: Option<&str>| text.filter(|text| is_plain(text)).unwrap_or("unknown").to_owned();
    Ok(Identity { arn: known(told.arn()), account: known(told.account()) })
}

/// An endpoint of the policy is Secrets Manager's own; only a stand-in on this machine answers for all of AWS.
async fn identity_config(settings: &Settings) -> SdkConfig {
    let local = |url: &&String| {
        ["http://127.", "http://localhost", "http://[::1]"].iter().any(|it| url.starts_with(it))
    };
    let endpoint_url = settings.endpoint_url.as_ref().filter(local).cloned();
    Settings { endpoint_url, ..settings.clone() }.load().await
}
