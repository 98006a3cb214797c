//! A secret in AWS Secrets Manager: an unchanged one costs a DescribeSecret a look and nothing else.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Credentials;

use super::harness::AgentHarness;
use super::recorder::Recorder;
use crate::support::moto::Moto;

async fn client(url: &str) -> Client {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(credentials)
        .endpoint_url(url)
        .load()
        .await;
    Client::new(&config)
}

fn calls(aws: &Recorder, name: &str) -> usize {
    let target = format!("secretsmanager.{name}");
    aws.requests().iter().filter(|it| it.header("x-amz-target") == Some(&target)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_secret_in_aws_costs_only_describe_secret() {
    let moto = Moto::start();
    let aws = Recorder::before(&moto.url);
    let client = client(&moto.url).await;
    client.create_secret().name("prod/tts").secret_string("{\"key\":\"sk_first\"}").send().await.unwrap();
    let harness = AgentHarness::new();
    let config = format!(
        "[secrets.tts]\nfrom.aws_secrets_manager = {{ secret = \"prod/tts\", region = \"eu-west-1\", endpoint_url = \
         \"{}\" }}\njson_field = \"key\"\nevery = \"50ms\"\nto.path = \"{}\"\n",
        aws.url(""),
        harness.shown("key")
    );
    let environment = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let agent = harness.agent_with(&config, &[], &environment);
    harness.until_key("sk_first");
    harness.until("it has looked for a while", || calls(&aws, "DescribeSecret") > 8);
    assert_eq!(calls(&aws, "GetSecretValue"), 1);

    client
        .put_secret_value()
        .secret_id("prod/tts")
        .secret_string("{\"key\":\"sk_second\"}")
        .send()
        .await
        .unwrap();
    harness.until_key("sk_second");
    let looks = calls(&aws, "DescribeSecret");
    harness.until("it has looked on", || calls(&aws, "DescribeSecret") > looks + 4);
    assert_eq!(calls(&aws, "GetSecretValue"), 2);

    // A version that is only pending is none of its business.
    let pending = client.put_secret_value().secret_id("prod/tts").version_stages("REKEYD_PENDING");
    pending.secret_string("{\"key\":\"sk_pending\"}").send().await.unwrap();
    let looks = calls(&aws, "DescribeSecret");
    harness.until("it has looked at the pending one", || calls(&aws, "DescribeSecret") > looks + 4);
    assert_eq!((calls(&aws, "GetSecretValue"), harness.read("key").as_str()), (2, "sk_second"));

    client.delete_secret().secret_id("prod/tts").force_delete_without_recovery(true).send().await.unwrap();
    harness.until_log("the last good one stays in place");
    assert_eq!(harness.read("key"), "sk_second");
    agent.stop();
    let log = harness.log();
    assert!(log.contains("there is no such secret") && !log.contains("sk_"), "{log}");
}
