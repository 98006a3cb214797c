//! What is found of secrets in AWS: by moto, and by a fake that can refuse.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};
use rekeyd::sandbox::rules::Rules;
use serde_json::json;

use super::harness::Harness;
use crate::support::endless::Endless;
use crate::support::moto::Moto;
use crate::support::secrets_manager::{Fault, StrictFake};

pub(super) fn client(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::for_tests())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

fn in_aws(harness: &Harness, url: &str, secret: &str, more: &str) -> String {
    let store = format!(
        "[stores.aws.aws_secrets_manager]\nregion = \"eu-west-1\"\nendpoint_url = \"{url}\"\n[credentials.tts]"
    );
    let policy = harness.policy().replace("[credentials.tts]", &store);
    policy.replace(
        "{ store = \"local\", secret = \"tts\" }",
        &format!("{{ store = \"aws\", secret = \"{secret}\"{more} }}"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_are_missing_filled_or_marked_for_deletion_are_told_apart() {
    let (harness, moto) = (Harness::build(Rules::default()).await, Moto::start());
    let client = client(&moto.url);
    for name in ["filled", "doomed"] {
        client.create_secret().name(name).secret_string("{\"user\": \"planted\"}").send().await.unwrap();
    }
    client.delete_secret().secret_id("doomed").recovery_window_in_days(7).send().await.unwrap();
    let field = ", json_field = \"key\", create_field = true";

    let told = harness.doctor(&in_aws(&harness, &moto.url, "filled", ", json_field = \"key\""));
    told.says("aws_content", "error", &["the field `key`", "the secret has the fields `user`"]);
    let told = harness.doctor(&in_aws(&harness, &moto.url, "filled", ""));
    told.says("aws_content", "error", &["a JSON object with the fields `user`", "`json_field`"]);
    let told = harness.doctor(&in_aws(&harness, &moto.url, "filled", field));
    told.says("aws_identity", "ok", &["arn:aws:", "region eu-west-1"]);
    told.says("aws_secret", "ok", &["aws:filled#key (tts)", "exists"]);
    told.says("aws_content", "ok", &["the JSON field is empty"]);
    told.says("aws_write", "unknown", &["UNPROVEN", "`rekeyd doctor --write-probe`"]);

    let told = harness.doctor(&in_aws(&harness, &moto.url, "doomed", field));
    told.says(
        "aws_secret",
        "error",
        &["scheduled for deletion", "[`aws secretsmanager restore-secret --secret-id doomed`"],
    );
    let told = harness.doctor(&in_aws(&harness, &moto.url, "missing", ""));
    told.says("aws_content", "error", &["[create the secret, set `create = true`"]);
    let told = harness.doctor(&in_aws(&harness, &moto.url, "missing", ", create = true"));
    told.says("aws_content", "ok", &["the first rotation creates it"]);

    let before = client.list_secret_version_ids().secret_id("filled").send().await.unwrap().versions().len();
    let policy = in_aws(&harness, &moto.url, "filled", field);
    let told = harness.doctor_with(&policy, |command| {
        command.arg("--write-probe");
    });
    told.says("aws_write", "ok", &["writable, and its labels can be moved"]);
    let after = client.list_secret_version_ids().secret_id("filled").send().await.unwrap().versions().len();
    let content =
        client.get_secret_value().secret_id("filled").version_stage("AWSCURRENT").send().await.unwrap();
    assert_eq!((before, after), (1, 1));
    assert_eq!(content.secret_string(), Some("{\"user\": \"planted\"}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_action_and_a_kms_key_are_told_apart_each_with_what_to_allow() {
    let (harness, fake) = (Harness::build(Rules::default()).await, StrictFake::start().await);
    client(&fake.url)
        .create_secret()
        .name("tts")
        .secret_string("old")
        .client_request_token("1".repeat(32))
        .send()
        .await
        .unwrap();
    let policy = in_aws(&harness, &fake.url, "tts", "");
    let denied = Fault::Refuse(400, "AccessDeniedException");

    fake.inject("DescribeSecret", &[denied]);
    harness.doctor(&policy).says("aws_secret", "error", &["[allow `secretsmanager:DescribeSecret` on `tts`"]);
    fake.inject("GetSecretValue", &[denied]);
    harness.doctor(&policy).says(
        "aws_content",
        "error",
        &["[allow `secretsmanager:GetSecretValue` on `tts`"],
    );
    fake.inject("GetSecretValue", &[Fault::Refuse(400, "DecryptionFailure")]);
    harness.doctor(&policy).says(
        "aws_content",
        "error",
        &["KMS key", "[allow `kms:Decrypt` and `kms:GenerateDataKey`"],
    );

    let probed = || {
        harness.doctor_with(&policy, |command| {
            command.arg("--write-probe");
        })
    };
    fake.calls();
    probed().says("aws_write", "ok", &["writable"]);
    let current = fake.label("tts", "AWSCURRENT");
    assert_eq!(current, Some("1".repeat(32)));
    fake.inject("PutSecretValue", &[denied]);
    probed().says("aws_write", "error", &["[allow `secretsmanager:PutSecretValue` on `tts`"]);
    fake.inject("UpdateSecretVersionStage", &[denied]);
    probed().says("aws_write", "error", &["[allow `secretsmanager:UpdateSecretVersionStage` on `tts`"]);
    assert_eq!(fake.label("tts", "AWSCURRENT"), current);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_aws_rotates_copies_and_others_manage_are_found() {
    let (harness, fake) = (Harness::build(Rules::default()).await, StrictFake::start().await);
    client(&fake.url)
        .create_secret()
        .name("tts")
        .secret_string("old")
        .client_request_token("1".repeat(32))
        .send()
        .await
        .unwrap();
    let policy = in_aws(&harness, &fake.url, "tts", "");
    for (described, severity, words) in [
        (
            json!({ "RotationEnabled": true }),
            "error",
            ["AWS rotation is enabled", "[`aws secretsmanager cancel-rotate-secret"],
        ),
        (
            json!({ "PrimaryRegion": "us-east-1" }),
            "error",
            ["a read-only replica", "[set `region = \"us-east-1\"`"],
        ),
        (json!({ "OwningService": "rds" }), "error", ["managed by `rds`", "[use a secret of your own"]),
        (
            json!({ "ReplicationStatus": [{ "Region": "us-west-2", "Status": "Failed" }] }),
            "warning",
            ["replication is failing in: us-west-2", "[consumers there keep the old key"],
        ),
    ] {
        fake.describe_as("tts", described);
        harness.doctor(&policy).says("aws_secret", severity, &words);
    }
    fake.describe_as(
        "tts",
        json!({ "PrimaryRegion": "eu-west-1", "KmsKeyId": "arn:aws:kms:eu-west-1:1:key/0" }),
    );
    harness.doctor(&policy).says("aws_secret", "ok", &["a customer-managed KMS key"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_aws_identity_that_is_what_is_said() {
    let (harness, fake) = (Harness::build(Rules::default()).await, StrictFake::start().await);
    let told = harness.doctor_with(&in_aws(&harness, &fake.url, "tts", ""), |command| {
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
        let nowhere = harness.path("nowhere");
        command
            .env("HOME", &nowhere)
            .env("AWS_CONFIG_FILE", &nowhere)
            .env("AWS_SHARED_CREDENTIALS_FILE", &nowhere);
    });
    told.says("aws_identity", "error", &["no usable AWS credentials", "`aws sts get-caller-identity`"]);
    assert!(told.of("aws_secret").is_empty() && fake.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_answers_without_an_end_is_named_and_not_listened_to() {
    let (harness, endless) = (Harness::build(Rules::default()).await, Endless::start().await);
    let told = harness.doctor(&in_aws(&harness, &endless.url, "tts", ""));
    told.says("aws_identity", "unknown", &["too long for AWS", "`endpoint_url`"]);
    told.says("aws_content", "error", &["too long for AWS"]);
    assert!(endless.sent() < 128 << 20, "{} bytes were taken", endless.sent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_endpoint_of_the_environment_is_examined_as_the_daemon_calls_it() {
    let (harness, moto) = (Harness::build(Rules::default()).await, Moto::start());
    let policy =
        in_aws(&harness, "URL", "missing", ", create = true").replace("endpoint_url = \"URL\"\n", "");
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
        let told = harness.doctor_with(&policy, |command| {
            command.env(name, &moto.url);
        });
        told.says("dns", "ok", &["store `aws`", "`127.0.0.1` resolves"]);
        told.says("aws_content", "ok", &["the first rotation creates it"]);
    }
}
