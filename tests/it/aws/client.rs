//! The store under test and, beside it, AWS's own client: what other people do with the same secrets.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use rekeyd::adapters::aws_secrets_manager::{AwsSecretsManager, Patience};
use rekeyd::ports::secret_store::SecretStore;
use uuid::Uuid;

use crate::support::store_conformance::Harness;

pub(crate) const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(5),
    operation: Duration::from_secs(15),
    attempts_max: 3,
    first_pause: Duration::from_millis(5),
};

pub(crate) struct Aws {
    pub(crate) store: AwsSecretsManager,
    pub(crate) client: Client,
    is_strict: bool,
}

pub(crate) fn config(url: &str, provider: SharedCredentialsProvider) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
        .credentials_provider(provider)
        .sleep_impl(aws_sdk_secretsmanager::config::SharedAsyncSleep::new(Pause))
        .build()
}

/// Real pauses, by tokio's clock.
#[derive(Debug)]
struct Pause;

impl aws_sdk_secretsmanager::config::AsyncSleep for Pause {
    fn sleep(&self, duration: Duration) -> aws_sdk_secretsmanager::config::Sleep {
        aws_sdk_secretsmanager::config::Sleep::new(tokio::time::sleep(duration))
    }
}

pub(crate) fn anybody() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("AKIAEXAMPLE", "example", None, None, "tests"))
}

impl Aws {
    pub(crate) fn at(url: &str, is_strict: bool) -> Self {
        Self::patient(url, is_strict, PATIENCE)
    }

    pub(crate) fn patient(url: &str, is_strict: bool, patience: Patience) -> Self {
        let config = config(url, anybody());
        let store = AwsSecretsManager::configured(&config, patience).unwrap();
        Self { store, client: Client::new(&config), is_strict }
    }

    /// Who has a label.
    pub(crate) async fn holder(&self, secret: &str, label: &str) -> Option<String> {
        let described = self.client.describe_secret().secret_id(secret).send().await.ok()?;
        let versions = described.version_ids_to_stages?;
        versions.into_iter().find(|(_, labels)| labels.iter().any(|held| held == label)).map(|(id, _)| id)
    }
}

#[async_trait]
impl Harness for Aws {
    fn store(&self) -> &dyn SecretStore {
        &self.store
    }

    async fn write_by_hand(&self, secret: &str, text: &str) {
        let Some(current) = self.holder(secret, "AWSCURRENT").await else {
            self.client.create_secret().name(secret).secret_string(text).send().await.unwrap();
            return;
        };
        // In two steps, because moto forgets who is current when a label has been moved before.
        let by_hand = Uuid::now_v7().to_string();
        let put = self.client.put_secret_value().secret_id(secret).secret_string(text);
        put.client_request_token(&by_hand).version_stages("BY_HAND").send().await.unwrap();
        let label = self.client.update_secret_version_stage().secret_id(secret).version_stage("AWSCURRENT");
        label.remove_from_version_id(current).move_to_version_id(by_hand).send().await.unwrap();
    }

    async fn make_empty(&self, secret: &str) -> bool {
        self.client.create_secret().name(secret).send().await.unwrap();
        true
    }

    async fn served(&self, secret: &str) -> Option<String> {
        let get = self.client.get_secret_value().secret_id(secret).version_stage("AWSCURRENT");
        get.send().await.ok()?.secret_string
    }

    fn is_strict(&self) -> bool {
        self.is_strict
    }
}
