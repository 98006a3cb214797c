//! The IAM policy document: AWS takes it, a rotation needs all of it, and nothing else.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rekeyd::sandbox::key::State as KeyState;
use rekeyd::sandbox::rules::Rules;
use serde_json::Value;

use super::aws::client;
use super::harness::{Harness, command};
use crate::support::moto::Moto;

/// Passes everything on to moto, and keeps which action was asked for on which secret.
#[derive(Clone)]
struct Recorder {
    moto: String,
    seen: Arc<Mutex<BTreeSet<(String, String)>>>,
}

async fn pass_on(State(recorder): State<Recorder>, headers: HeaderMap, body: Bytes) -> (StatusCode, Bytes) {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let action = target.rsplit('.').next().unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let secret =
        ["SecretId", "Name"].iter().find_map(|name| asked[*name].as_str()).unwrap_or_default().to_owned();
    recorder.seen.lock().unwrap().insert((format!("secretsmanager:{action}"), secret));
    let mut request = reqwest::Client::new().post(&recorder.moto).body(body);
    for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.to_str().unwrap());
        }
    }
    let answer = request.send().await.unwrap();
    (StatusCode::from_u16(answer.status().as_u16()).unwrap(), answer.bytes().await.unwrap())
}

/// What is allowed: each action on each secret, by the name in its ARN.
fn allowed(document: &Value) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for statement in document["Statement"].as_array().unwrap() {
        for action in statement["Action"].as_array().unwrap() {
            for resource in statement["Resource"].as_array().unwrap() {
                let name = resource.as_str().unwrap().rsplit(':').next().unwrap();
                let name = name.strip_suffix("-??????").unwrap();
                all.insert((action.as_str().unwrap().to_owned(), name.to_owned()));
            }
        }
    }
    all
}

/// The daemon, ended when it is dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_takes_the_document_and_rotations_use_all_of_it_and_nothing_else() {
    let (harness, moto) = (Harness::build(Rules::default()).await, Moto::start());
    let recorder = Recorder { moto: moto.url.clone(), seen: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(pass_on).with_state(recorder.clone());
    #[expect(clippy::disallowed_methods, reason = "a server of the tests; it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    client(&moto.url)
        .create_secret()
        .name("prod/shared")
        .secret_string("{\"user\": \"tts\"}")
        .send()
        .await
        .unwrap();

    let store = format!(
        "[stores.aws.aws_secrets_manager]\nregion = \"eu-west-1\"\nendpoint_url = \"{url}\"\n[credentials.tts]"
    );
    let policy =
        harness.policy().replace("[credentials.tts]", &store).replace("every = \"30d\"", "every = \"3s\"");
    let publish_to = "{ store = \"aws\", secret = \"prod/new\", create = true }, \
                      { store = \"aws\", secret = \"prod/shared\", json_field = \"key\", create_field = true }";
    let policy = policy.replace("{ store = \"local\", secret = \"tts\" }", publish_to);
    let policy = format!(
        "{policy}overlap = {{ at_least = \"300ms\", at_most = \"1h\" }}\nquarantine = \"200ms\"\nwait_for.confirm = false\n"
    );
    let path = harness.write(&policy);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_rekeyd"));
    let printed = command(program)
        .args(["doctor", "--iam", "--account", "123456789012", "--policy"])
        .arg(&path)
        .output();
    let document = String::from_utf8(printed.unwrap().stdout).unwrap();
    assert!(recorder.seen.lock().unwrap().is_empty(), "printing it calls nobody");
    taken_by_iam(&moto.url, &document).await;

    let mut run = command(program);
    let daemon = Daemon(
        run.args(["run", "--policy"]).arg(&path).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
    );
    let deleted = || harness.sandbox.truth().keys().filter(|key| key.state == KeyState::Deleted).count();
    let begun = Instant::now();
    while deleted() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "two rotations did not end in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(daemon);
    let used = recorder.seen.lock().unwrap().clone();
    let allowed = allowed(&serde_json::from_str(&document).unwrap());
    assert!(used.is_subset(&allowed), "used and not allowed: {:?}", used.difference(&allowed));
    let actions = |all: &BTreeSet<(String, String)>| {
        all.iter().map(|(action, _)| action.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(actions(&allowed), actions(&used), "allowed and never used, or the other way round");
    let secrets = |all: &BTreeSet<(String, String)>| {
        all.iter().map(|(_, secret)| secret.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(secrets(&allowed), secrets(&used));
    let creates: Vec<&str> =
        allowed.iter().filter(|it| it.0.ends_with("CreateSecret")).map(|it| it.1.as_str()).collect();
    assert_eq!(creates, ["prod/new"]);
}

/// moto reads policy documents as IAM does.
async fn taken_by_iam(moto: &str, document: &str) {
    let encoded: String = document.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let create = |name: &str, document: &str| {
        let form =
            format!("Action=CreatePolicy&Version=2010-05-08&PolicyName={name}&PolicyDocument={document}");
        let scope = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
        let request = reqwest::Client::new().post(moto).body(form);
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", scope)
            .send()
    };
    let answer = create("rekeyd", &encoded).await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{text}\n{document}");
    let spoilt = encoded.replace("%41%6C%6C%6F%77", "%41%6C%6C%6F%78");
    let answer = create("spoilt", &spoilt).await.unwrap();
    assert_eq!(answer.status(), 400, "it would have taken anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_without_aws_and_a_wrong_flag_say_so() {
    let harness = Harness::build(Rules::default()).await;
    let path = harness.write(&harness.policy());
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.arg("doctor").arg("--policy").arg(&path).args(more).output().unwrap()
    };
    let output = run(&["--iam"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no permissions are needed"));
    for wrong in [
        &["--iam", "--account", "12"][..],
        &["--iam", "--kms-key", "alias/x"],
        &["--account", "123456789012"],
    ] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
