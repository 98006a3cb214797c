//! The real program, end to end: a sandbox's keys rotated into AWS Secrets Manager as moto understands it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};
use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings};

use crate::support::moto::Moto;

const LONGEST: Duration = Duration::from_secs(60);

/// The daemon, ended when it is dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

fn start(folder: &Path, sandbox: &Sandbox, moto: &Moto) -> Daemon {
    std::fs::write(folder.join("admin"), sandbox.admin_key()).unwrap();
    let mut policy = String::new();
    let shown = folder.display();
    write!(
        policy,
        r#"
        [daemon]
        listen = "127.0.0.1:0"
        socket = "{shown}/socket"
        journal.sqlite.path = "{shown}/journal.db"
        acceptances.over = "0s"
        [workspaces.prod]
        first_rotations_at_once = 1000
        base_url = "{}"
        admin_key = {{ file = "{shown}/admin" }}
        requests_per_second = 100
        [stores.aws.aws_secrets_manager]
        region = "eu-west-1"
        endpoint_url = "{}"
        [credentials.tts]
        service_account = "tts"
        every = "3s"
        overlap = {{ at_least = "500ms", at_most = "1h" }}
        quarantine = "200ms"
        wait_for.confirm = false
        publish_to = [
          {{ store = "aws", secret = "prod/plain", create = true }},
          {{ store = "aws", secret = "prod/shared", json_field = "xi_api_key", create_field = true }},
        ]
        "#,
        sandbox.base_url(),
        moto.url
    )
    .unwrap();
    std::fs::write(folder.join("policy.toml"), policy).unwrap();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_rekeyd"))
        .args(["run", "--policy"])
        .arg(folder.join("policy.toml"))
        .env("AWS_ACCESS_KEY_ID", "testing")
        .env("AWS_SECRET_ACCESS_KEY", "testing")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn();
    Daemon(child.unwrap())
}

async fn text(client: &Client, secret: &str) -> Option<String> {
    // Named, because moto gives another version than AWS does when it is not.
    let current = client.get_secret_value().secret_id(secret).version_stage("AWSCURRENT");
    current.send().await.ok()?.secret_string
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_into_a_plain_secret_and_a_field_of_one_that_others_share() {
    let moto = Moto::start();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::for_tests())
        .endpoint_url(&moto.url);
    let client = Client::from_conf(config.build());
    let before = r#"{"user": "tts", "xi_api_key": "by-hand", "note": "keep me"}"#;
    client.create_secret().name("prod/shared").secret_string(before).send().await.unwrap();

    let sandbox = Sandbox::start(Options::new(Arc::new(SystemClock))).await.unwrap();
    let account = sandbox.workspace().create_account("tts", SystemClock.now());
    let by_hand = Settings::new("made by hand", Granted::Only(vec!["text_to_speech".to_owned()]));
    drop(sandbox.workspace().create_key(&account, by_hand, SystemClock.now()).unwrap());

    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path(), &sandbox, &moto);
    let deleted = || sandbox.truth().keys().filter(|key| key.state == State::Deleted).count();
    let begun = Instant::now();
    while deleted() < 2 {
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(begun.elapsed() < LONGEST, "two rotations did not end in time:\n{log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(daemon);

    let plain = text(&client, "prod/plain").await.unwrap();
    let shared = text(&client, "prod/shared").await.unwrap();
    let accepted = |value: &str| sandbox.workspace().accepts(value, SystemClock.now());
    assert!(accepted(&plain));
    let fields: serde_json::Value = serde_json::from_str(&shared).unwrap();
    assert_eq!((&fields["user"], &fields["note"]), (&"tts".into(), &"keep me".into()));
    let field = fields["xi_api_key"].as_str().unwrap();
    assert!(accepted(field) && field == plain);
    assert_eq!(shared, before.replace("by-hand", field), "only the field's value has changed");
}
