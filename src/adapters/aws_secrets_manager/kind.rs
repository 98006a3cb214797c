//! What AWS Secrets Manager declares about itself as a kind of store.

use std::sync::Arc;

use async_trait::async_trait;

use crate::adapters::aws_secrets_manager::{
    AwsSecretsManager, Settings, access_policy, doctor, follow, place, policy,
};
use crate::domain::examination::CheckResult;
use crate::domain::failure::Failure;
use crate::domain::place::Place;
use crate::domain::plan::Destination;
use crate::ports::access_policy::{AccessScope, Grant};
use crate::ports::followed::{FollowFlag, FollowForm};
use crate::ports::secret_store::SecretStore;
use crate::ports::store_kind::{
    Examination, InitForm, NameRule, StoreConfig, StoreKind, StoreOperation, VersionQuota,
};

pub static KIND: StoreKind = StoreKind {
    key: "aws_secrets_manager",
    title: "AWS Secrets Manager",
    followed: Some(FollowForm {
        key: "aws_secrets_manager",
        flags: &[
            FollowFlag {
                flag: "aws-secret",
                value_name: "NAME",
                help: "Secret in AWS Secrets Manager to follow",
                key: Some("secret"),
            },
            FollowFlag {
                flag: "aws-region",
                value_name: "REGION",
                help: "AWS region of the secret",
                key: Some("region"),
            },
        ],
        every: follow::EVERY,
    }),
    name_rule: NameRule {
        accepts: is_secret_name,
        rule: "not a valid secret name for AWS Secrets Manager",
        help: "use a name or ARN: letters, digits and /_+=.@-",
    },
    is_filled_by_rekeyd: false,
    // AWS keeps the last 100 versions of a secret and all of the last 24 hours; more than that a day is refused.
    version_quota: Some(VersionQuota { per_day: 100, service: "AWS Secrets Manager" }),
    serves_first_version: true,
    calls,
    checks: &doctor::CHECKS,
    write_probe: "rewrite the current version in AWS",
    access_policy: Some(access_policy::FORM),
    init: Some(InitForm {
        scheme: "aws",
        value: "REGION",
        accepts: policy::is_region,
        help: "pass a region, such as `aws:eu-west-1`",
        store_name: "aws",
        key: "region",
        is_prefixed: true,
    }),
};

#[async_trait]
impl StoreConfig for Settings {
    fn kind(&self) -> &'static StoreKind {
        &KIND
    }

    fn place(&self, secret: &str) -> Place {
        place::of(self, secret)
    }

    async fn open(&self) -> Result<Arc<dyn SecretStore>, Failure> {
        Ok(Arc::new(AwsSecretsManager::connect(self).await?))
    }

    async fn examine(&self, examination: &Examination) -> Vec<CheckResult> {
        doctor::examine(self, examination).await
    }

    fn grants(&self, destinations: &[&Destination], scope: &AccessScope) -> Vec<Grant> {
        access_policy::grants(self.region.as_deref(), destinations, scope)
    }
}

fn is_secret_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-:".contains(c))
}

/// Compared with the calls that are made in `what_plan_says_is_what_is_then_called`.
fn calls(operation: StoreOperation) -> Vec<&'static str> {
    let preflight =
        |exists| if exists { vec!["GetSecretValue"] } else { vec!["GetSecretValue", "DescribeSecret"] };
    match operation {
        StoreOperation::Preflight { exists } => preflight(exists),
        StoreOperation::Stage { exists, after_preflight } => {
            let mut calls = if after_preflight { Vec::new() } else { preflight(exists) };
            calls.push(if exists { "PutSecretValue" } else { "CreateSecret" });
            calls
        }
        StoreOperation::Read => vec!["GetSecretValue"],
        // AWS refuses to move the label of a secret that was created with its first version: it is there already.
        StoreOperation::Promote { is_current: true } => vec!["UpdateSecretVersionStage", "DescribeSecret"],
        StoreOperation::Promote { is_current: false } | StoreOperation::Discard => {
            vec!["UpdateSecretVersionStage"]
        }
    }
}
