//! Reports of leaked keys, and what the documents tell people to send.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::secret::{Fingerprint, SecretValue};
use rekeyd::http::Consumers;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::harness::{Harness, Seen};

const TOKEN: &str = "tok_leaks_planted";

fn secret(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned()).unwrap()
}

fn hash(value: &str) -> String {
    Sha256::digest(value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Harness {
    /// Its owner takes reports from now on.
    fn hear(&self) {
        let api = (ConsumerName::new("api").unwrap(), secret("tok_api_planted"));
        let consumers = Consumers::new([api]).unwrap().with_reporter(Some(secret(TOKEN))).unwrap();
        self.consumers.send_replace(Arc::new(consumers));
    }

    async fn report(&self, token: &str, body: String) -> Seen {
        self.send(self.request(Method::POST, "/v1/leaks").bearer_auth(token).body(body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_key_is_replaced_and_the_report_may_be_repeated() {
    let harness = Harness::open().await;
    harness.hear();
    let value = harness.store.text("secret-of-tts").unwrap().to_string();
    let print = Fingerprint::of(value.as_bytes());
    let body =
        json!({ "sha256": hash(&value), "source": "github", "url": "https://a.b/c?token=d" }).to_string();
    for _ in 0..2 {
        let told = harness.report(TOKEN, body.clone()).await;
        assert_eq!(told.status, 200, "{}", told.text);
        assert_eq!(
            (&told.json()["known"], &told.json()["credentials"][0]["credential"]),
            (&json!(true), &json!("tts"))
        );
    }
    // It was the new key, and the destination has nothing to go back to: a person decides.
    let parked = harness.until("tts", |report| report["health"] == "parked").await;
    assert_eq!(parked["rotation"]["parked"]["reason"], "new_key_unusable", "{parked}");
    assert_eq!(parked["findings"][0]["kind"], "reported_leaked", "{parked}");
    let hurry =
        harness.order(Method::POST, "/v1/credentials/tts/rotate", Some(json!({ "emergency": true }))).await;
    assert_eq!(hurry.status, 200, "{}", hurry.text);
    // The rotation ends, and the next one replaces the key that leaked.
    let done = harness.until("tts", |report| report["last_emergency"]["fingerprint"] == print.as_str()).await;
    assert_ne!(done["fingerprint"], print.as_str());
    assert_eq!((&done["findings"], &done["health"]), (&json!([]), &json!("fine")));
    let told = harness.report(TOKEN, body.clone()).await.json();
    assert_eq!(told["credentials"][0]["answered"], true, "{told}");
    let metrics = harness.get("/metrics").await.text;
    assert!(
        metrics.contains("rekeyd_last_emergency_duration_seconds{credential=\"tts\",workspace=\"prod\"} "),
        "{metrics}"
    );
    let nobodys = json!({ "sha256": hash("something else"), "source": "me" }).to_string();
    assert_eq!(harness.report(TOKEN, nobodys).await.json(), json!({ "known": false, "credentials": [] }));
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_without_the_token_or_with_the_value_is_refused() {
    let harness = Harness::open().await;
    let value = harness.store.text("secret-of-tts").unwrap().to_string();
    let good = json!({ "sha256": hash(&value), "source": "github" }).to_string();
    assert_eq!(harness.report(TOKEN, good.clone()).await.status, 401, "nobody may before the policy says so");
    harness.hear();
    for (token, body, status, code) in [
        ("tok_wrong", good.clone(), 401, "unauthenticated"),
        ("tok_api_planted", good.clone(), 401, "unauthenticated"),
        (TOKEN, json!({ "sha256": value, "source": "me" }).to_string(), 400, "bad_request"),
        (TOKEN, json!({ "sha256": hash("a"), "source": "a\nb" }).to_string(), 400, "bad_request"),
        (
            TOKEN,
            json!({ "sha256": hash("a"), "source": "me", "url": "no address" }).to_string(),
            400,
            "bad_request",
        ),
        (
            TOKEN,
            json!({ "sha256": hash("a"), "source": "me", "token": value }).to_string(),
            400,
            "bad_request",
        ),
        (TOKEN, "x".repeat(5000), 413, "payload_too_large"),
    ] {
        let told = harness.report(token, body).await;
        assert_eq!((told.status, told.code().as_str()), (status, code), "{}", told.text);
    }
    assert_eq!(harness.get("/v1/leaks").await.code(), "method_not_allowed");
    harness.nothing_leaked("").await;
}

#[test]
fn a_consumer_may_not_report_leaks() {
    let api = (ConsumerName::new("api").unwrap(), secret("one"));
    let Err(shared) = Consumers::new([api]).unwrap().with_reporter(Some(secret("one"))) else {
        panic!("accepted")
    };
    assert!(shared.to_string().contains("`api`"), "{shared}");
}

/// The shell blocks of the document, in their order.
fn scripts() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/leaks.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// Runs a script of the document with `input`.
fn shell(script: &str, input: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_documented_filters_replace_each_value_by_its_hash() {
    let [github, alert, gitguardian, _, by_hand]: [String; 5] = scripts().try_into().unwrap();
    let value = "sk_0123456789 \"quoted\" \\ backslash";
    let url = "https://github.com/a/b/blob/c/d.py";
    let partner = json!([
        { "token": value, "type": "elevenlabs_api_key", "url": url, "source": "content" },
        { "token": "sk_other", "type": "elevenlabs_api_key", "url": url, "source": "commit" },
    ]);
    let of_alert =
        json!({ "number": 4, "secret_type": "elevenlabs_api_key", "secret": value, "html_url": url });
    let occurrences = json!([{ "match": value, "index_start": 1 }, { "match": value, "index_start": 90 }]);
    let of_ggshield = json!({ "entities_with_incidents": [{ "incidents": [{ "policy": "Secrets", "occurrences": occurrences }] }] });
    let report = |value: &str, source: &str, url: Option<&str>| {
        let mut report = json!({ "sha256": hash(value), "source": source });
        if let Some(url) = url {
            report["url"] = json!(url);
        }
        report
    };
    for (script, input, expected) in [
        (github, partner, vec![report(value, "github", Some(url)), report("sk_other", "github", Some(url))]),
        (alert, of_alert, vec![report(value, "github", Some(url))]),
        (gitguardian, of_ggshield, vec![report(value, "gitguardian", None)]),
    ] {
        let told = shell(&script, &format!("{input}\n"), &[]);
        assert!(!told.contains("sk_"), "{told}");
        let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told, expected);
    }
    let told: Value = serde_json::from_str(&shell(&by_hand, value, &[])).unwrap();
    assert_eq!(told, report(value, "by hand", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_command_has_a_key_replaced() {
    let harness = Harness::open().await;
    harness.hear();
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let [github, _, _, send, _]: [String; 5] = scripts().try_into().unwrap();
    let value = harness.store.text("secret-of-tts").unwrap().to_string();
    let find = json!([{ "token": value, "type": "elevenlabs_api_key", "url": "https://a.b/c", "source": "content" }]);
    let url = harness.url.clone();
    let told = tokio::task::spawn_blocking(move || {
        let report = shell(&github, &find.to_string(), &[]);
        shell(&send, &report, &[("REKEYD_URL", &url), ("LEAKS_TOKEN_FILE", token.to_str().unwrap())])
    });
    let told: Value = serde_json::from_str(&told.await.unwrap()).unwrap();
    assert_eq!((&told["known"], &told["credentials"][0]["credential"]), (&json!(true), &json!("tts")));
    harness.until("tts", |report| report["findings"][0]["kind"] == "reported_leaked").await;
}
