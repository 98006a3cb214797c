//! Keys in wrong hands: answered without anybody, and told to a person all the same.

use std::fs;

use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::ids::CredentialName;
use rekeyd::domain::secret::Fingerprint;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::truth::KeyTruth;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::harness::Harness;

const TOKEN: &str = "tok-of-the-scanner";

fn value_of(harness: &Harness, credential: &str) -> String {
    let secret = harness.rehearsal.stage.secret(&CredentialName::new(credential).unwrap());
    fs::read_to_string(secret).unwrap().trim_end().to_owned()
}

fn key_of(harness: &Harness, value: &str) -> KeyTruth {
    let print = Fingerprint::of(value.as_bytes());
    harness.rehearsal.stage.sandbox.truth().keys().find(|key| key.fingerprint == print).unwrap().clone()
}

/// Says what the daemon answers of the one credential.
async fn report(harness: &Harness, value: &str) -> Value {
    let sha256: String = Sha256::digest(value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let found = json!({ "sha256": sha256, "source": "github", "url": "https://github.com/acme/app" });
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let request = client.post(format!("{}/v1/leaks", harness.url())).bearer_auth(TOKEN).json(&found);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["known"], true, "{answer}");
    answer["credentials"][0].clone()
}

/// The price of an emergency: whoever has the old key in a cache is refused.
fn is_unhurt(consumer: &str) -> bool {
    !consumer.starts_with("tts-")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_found_in_public_is_replaced_by_itself_and_somebody_hears_of_it() {
    let mut harness = Harness::open(73).await;
    let leaked = key_of(&harness, &value_of(&harness, "tts-backend"));
    let stage = &harness.rehearsal.stage;
    stage
        .sandbox
        .workspace()
        .disable_key(&leaked.key_id, Some("exposed_publicly"), SystemClock.now())
        .unwrap();
    harness.tells_of("rekeyd_last_emergency_completed_timestamp_seconds{credential=\"tts-backend\"").await;
    harness.is_mended(&["RekeydEmergencyCompleted"]).await;
    assert_eq!(key_of(&harness, &value_of(&harness, "tts-backend")).state, State::Enabled);
    let cause = harness.types("rekeyd status tts-backend --policy /etc/rekeyd/policy.toml").await;
    assert!(cause.contains("in public") && cause.contains(&leaked.key_id), "{cause}");
    harness.page_says("/credentials/tts-backend", &["in public", &leaked.key_id]).await;
    harness.follows("RekeydEmergencyCompleted", |_, _| false).await;
    assert_eq!(harness.rehearsal.stage.sandbox.truth().key(&leaked.key_id).unwrap().state, State::Deleted);
    harness.ends(is_unhurt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leak_that_waits_for_others_is_told_and_answered_at_once() {
    let changes = [
        ("settle = \"2s\"", "settle = \"2s\"\nemergencies_at_once = 1"),
        ("[stores.local", "[leaks]\ntoken = { file = \"/etc/rekeyd/leaks-token\" }\n\n[stores.local"),
    ];
    let mut harness = Harness::set(74, &changes, |stage, _| {
        fs::write(stage.root().join("leaks-token"), TOKEN).unwrap();
    })
    .await;
    harness.begins().await;
    // While no key can be made, the first leak is not answered, and the second one waits for it.
    let busy = Fault::on(Route::CreateKey, What::Refuse(Refused::with(429, "system_busy")));
    harness.rehearsal.stage.sandbox.set_faults(vec![busy]);
    let values = ["dubbing", "tts-backend"].map(|credential| value_of(&harness, credential));
    assert_eq!(report(&harness, &values[0]).await["credential"], "dubbing");
    harness.tells("credential=\"dubbing\",workspace=\"sandbox\",kind=\"reported_leaked\"} 1").await;
    harness.tells_of("rekeyd_rotation_phase{credential=\"dubbing\"").await;
    assert_eq!(report(&harness, &values[1]).await["answered"], false);
    harness.tells("credential=\"tts-backend\",workspace=\"sandbox\",kind=\"emergency_held\"} 1").await;
    let raised = harness.alerts().await;
    for alert in ["RekeydKeyLeaked", "RekeydEmergencyHeld"] {
        assert!(raised.iter().any(|it| it == alert), "{raised:?}");
    }
    let cause = ["emergency_held", "rekeyd rotate tts-backend --emergency"];
    harness.status_says(&cause).await;
    harness.page_says("/", &cause).await;
    harness
        .page_says("/credentials/tts-backend", &["found it at https://github.com/acme/app", cause[1]])
        .await;
    harness.follows("RekeydKeyLeaked", |_, _| false).await;
    harness.follows("RekeydEmergencyHeld", |_, _| false).await;
    harness.tells_of("rekeyd_rotation_phase{credential=\"tts-backend\"").await;

    harness.rehearsal.stage.sandbox.set_faults(Vec::new());
    harness.is_mended(&["RekeydEmergencyCompleted", "RekeydEmergencyCompleted"]).await;
    for value in &values {
        assert_eq!(key_of(&harness, value).state, State::Deleted);
        assert_eq!(report(&harness, value).await["answered"], true);
    }
    harness.ends(|consumer| consumer == "voice-agent").await;
}
