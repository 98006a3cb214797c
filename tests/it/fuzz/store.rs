//! Any bytes as the answer of AWS Secrets Manager to any call.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::config::{Credentials, SharedCredentialsProvider};
use rekeyd::adapters::aws_secrets_manager::{AwsSecretsManager, Patience};
use rekeyd::domain::failure::Failure;
use rekeyd::domain::ids::{StoreName, VersionId};
use rekeyd::domain::plan::Destination;
use rekeyd::domain::secret::SecretValue;
use rekeyd::ports::secret_store::{SecretStore, VersionRef};

use super::speaker::speaker;
use super::waiting::runtime;

const VALUE: &str = "sk_5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7";
const VERSION: &str = "0190b8a0-0000-7000-8000-000000000001";

/// The first byte says what is asked for and whether AWS accepts or refuses, the rest is the body.
///
/// # Panics
/// If a value can be seen in what is said of the answer.
pub(crate) fn eat(bytes: &[u8]) {
    let Some((call, body)) = bytes.split_first() else { return };
    let status = if call & 0x80 == 0 { "200 OK" } else { "400 Bad Request" };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    speaker().says(&[head.as_bytes(), body].concat());
    runtime().block_on(async {
        let patience = Duration::from_secs(10);
        if tokio::time::timeout(patience, ask(*call)).await.is_err() {
            panic!("an answer that ended was waited for");
        }
    });
}

async fn ask(call: u8) {
    let credentials = Credentials::new("AKIAEXAMPLE", "example", None, None, "fuzz");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(format!("http://{}", speaker().address))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let patience = Patience {
        connect: Duration::from_secs(2),
        attempt: Duration::from_secs(3),
        operation: Duration::from_secs(5),
        attempts_max: 1,
        first_pause: Duration::from_millis(1),
    };
    let store = AwsSecretsManager::configured(&config, patience).unwrap();
    let destination = Destination {
        store: StoreName::new("aws").unwrap(),
        secret: "prod/tts".to_owned(),
        json_field: (call & 0x40 == 0).then(|| "xi_api_key".to_owned()),
        create: false,
        create_field: true,
    };
    let version = VersionId::new(VERSION).unwrap();
    let value = SecretValue::new(VALUE.to_owned()).unwrap();
    let failure = match call % 6 {
        0 => store.preflight(&destination).await.err(),
        1 => store.stage(&destination, &version, &value).await.err(),
        2 => store.read(&destination, VersionRef::Current).await.err(),
        3 => store.read(&destination, VersionRef::Version(&version)).await.err(),
        4 => store.promote(&destination, &version, None).await.err(),
        _ => store.discard(&destination, &version).await.err(),
    };
    failure.iter().for_each(tells_no_secret);
}

fn tells_no_secret(failure: &Failure) {
    let told = format!("{failure} {failure:?}");
    assert!(!told.contains(&VALUE[3..15]), "a piece of a key's value is told");
}
