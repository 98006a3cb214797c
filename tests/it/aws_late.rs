//! The real program and AWS Secrets Manager that answers late: reads show what there was up to a second ago, and replies
//! get lost.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings};

use crate::support::secrets_manager::{Fault, StrictFake};

const LONGEST: Duration = Duration::from_secs(150);
/// Each read comes from another replica.
const LAGS: [Duration; 4] =
    [Duration::from_millis(300), Duration::from_millis(1000), Duration::ZERO, Duration::from_millis(700)];

/// The daemon, ended when it is dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

/// A daemon with credentials, each in a service account that has a key made by hand.
async fn start(folder: &Path, fake: &StrictFake, credentials: &[(&str, &str)]) -> (Sandbox, Daemon) {
    let sandbox = Sandbox::start(Options::new(Arc::new(SystemClock))).await.unwrap();
    std::fs::write(folder.join("admin"), sandbox.admin_key()).unwrap();
    let shown = folder.display();
    let mut policy = format!(
        r#"
        [daemon]
        listen = "127.0.0.1:0"
        socket = "{shown}/socket"
        journal.sqlite.path = "{shown}/journal.db"
        [workspaces.prod]
        first_rotations_at_once = 1000
        base_url = "{}"
        admin_key = {{ file = "{shown}/admin" }}
        requests_per_second = 100
        [stores.aws.aws_secrets_manager]
        region = "eu-west-1"
        endpoint_url = "{}"
        "#,
        sandbox.base_url(),
        fake.url
    );
    for (name, rest) in credentials {
        let account = sandbox.workspace().create_account(name, SystemClock.now());
        let by_hand = Settings::new("made by hand", Granted::Only(vec!["text_to_speech".to_owned()]));
        drop(sandbox.workspace().create_key(&account, by_hand, SystemClock.now()).unwrap());
        policy += &format!("[credentials.{name}]\nservice_account = \"{name}\"\n{rest}\n");
    }
    std::fs::write(folder.join("policy.toml"), policy).unwrap();
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let child = rekeyd(folder, &["run", "--policy"]).arg(folder.join("policy.toml")).stderr(log).spawn();
    (sandbox, Daemon(child.unwrap()))
}

fn rekeyd(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("AWS_ACCESS_KEY_ID", "testing")
        .env("AWS_SECRET_ACCESS_KEY", "testing")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

async fn until(folder: &Path, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONGEST, "not in time: {what}\n{}", log(folder));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn deleted(sandbox: &Sandbox) -> usize {
    sandbox.truth().keys().filter(|key| key.state == State::Deleted).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_fields_of_a_secret_are_rotated_on_late_answers_and_lost_replies_with_few_versions() {
    let fake = StrictFake::start().await;
    fake.write_by_hand("shared", r#"{"user": "tts", "tts": "by-hand", "stt": "by-hand"}"#);
    fake.answer_late(&LAGS);
    fake.inject("PutSecretValue", &[Fault::LostReply]);
    fake.inject("UpdateSecretVersionStage", &[Fault::LostReply]);
    let terms = |field: &str| {
        format!(
            r#"
            every = "8s"
            overlap = {{ at_least = "500ms", at_most = "1h" }}
            wait_for.confirm = false
            quarantine = "200ms"
            publish_to = [{{ store = "aws", secret = "shared", json_field = "{field}" }}]
            "#
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // By the time the daemon reads it, the secret is no news.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (sandbox, daemon) = start(folder, &fake, &[("tts", &terms("tts")), ("stt", &terms("stt"))]).await;
    until(folder, "six rotations", || deleted(&sandbox) >= 6).await;
    drop(daemon);

    let log = log(folder);
    assert!(!log.contains("foreign_value") && !log.contains("parked"), "{log}");
    let keys = sandbox.truth().keys().count();
    let written = fake.versions("shared") - 1;
    assert!(written <= 2 * keys, "{written} versions for {keys} keys\n{log}");
    let served: serde_json::Value = serde_json::from_str(&fake.current("shared").unwrap()).unwrap();
    for field in ["tts", "stt"] {
        assert!(sandbox.workspace().accepts(served[field].as_str().unwrap(), SystemClock.now()), "{field}");
    }
    assert_eq!(served["user"], "tts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_overwrite_leads_out_of_a_foreign_value_on_late_answers() {
    let fake = StrictFake::start().await;
    fake.write_by_hand("plain", "by-hand");
    fake.answer_late(&LAGS);
    let terms = r#"
        every = "1d"
        overlap = { at_least = "5s", at_most = "1h" }
        wait_for.confirm = false
        quarantine = "200ms"
        publish_to = [{ store = "aws", secret = "plain" }]
        "#;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (sandbox, daemon) = start(folder, &fake, &[("tts", terms)]).await;
    let accepted = |value: &str| sandbox.workspace().accepts(value, SystemClock.now());
    until(folder, "the new key is served", || fake.current("plain").is_some_and(|value| accepted(&value)))
        .await;
    fake.write_by_hand("plain", "somebody-elses");
    until(folder, "it is parked", || log(folder).contains("foreign_value")).await;

    let before = fake.versions("plain");
    let retry = ["retry", "tts", "--overwrite", "--socket", "socket"];
    let answer = rekeyd(folder, &retry).output().unwrap();
    let told = String::from_utf8_lossy(&answer.stdout) + String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success() && told.contains("overwriting `aws:plain`"), "{told}");
    until(folder, "the rotation ends", || deleted(&sandbox) == 1).await;
    drop(daemon);
    assert!(accepted(&fake.current("plain").unwrap()));
    assert!(fake.versions("plain") - before <= 2, "{} versions more", fake.versions("plain") - before);
    assert_eq!(log(folder).matches("\"event\":\"parked\"").count(), 1, "{}", log(folder));
}
