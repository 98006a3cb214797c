//! Consumers say which key they use.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::secret::{Fingerprint, SecretValue};
use rekeyd::http::Consumers;
use rekeyd::ports::journal::Acknowledgements;
use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Harness, name};

const API: &str = "tok_api_planted";
const BATCH: &str = "tok_batch_planted";

fn saying(fingerprint: &Fingerprint) -> Value {
    json!({ "fingerprint": fingerprint.as_str() })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_key_goes_when_everyone_has_acknowledged() {
    let harness = Harness::open().await;
    let new = harness.served("tts");
    let before = harness.ack("tts", API, saying(&Fingerprint::of(b"something else"))).await;
    assert_eq!((before.status, &before.json()["known"]), (200, &json!(false)));
    for _ in 0..2 {
        let answer = harness.ack("tts", API, saying(&new)).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["known"], &told["consumer"]), (200, &json!(true), &json!("api")));
        assert_eq!(told["rotation"]["phase"], "overlap");
        let gates = told["gates"].as_array().unwrap();
        assert_eq!(
            (gates[0]["gate"].as_str(), gates[0]["satisfied"].as_bool()),
            (Some("at_least"), Some(true))
        );
        assert_eq!((gates[1]["gate"].as_str(), gates[1]["satisfied"].as_bool()), (Some("acks"), Some(false)));
        let reason = gates[1]["reason"].as_str().unwrap();
        assert!(reason.contains("batch (never") && !reason.contains("api"), "{reason}");
    }
    let last = harness.ack("tts", BATCH, json!({ "fingerprint": new.as_str(), "consumer": "batch" })).await;
    assert_eq!((last.status, &last.json()["gates"][1]["satisfied"]), (200, &json!(true)));
    let report = harness.until("tts", |report| report["last"]["outcome"] == "done").await;
    assert_eq!(report["fingerprint"], new.as_str());
    // The consumer that restarts later says the same again.
    let again = harness.ack("tts", API, saying(&new)).await.json();
    assert_eq!(
        (&again["known"], &again["rotation"], &again["gates"]),
        (&json!(true), &json!(null), &json!([]))
    );
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_says_it_fails_holds_everything_until_it_says_otherwise() {
    let harness = Harness::open().await;
    let new = harness.served("tts");
    let with = |status: &str| json!({ "fingerprint": new.as_str(), "status": status });
    harness.ack("tts", BATCH, with("using")).await;
    let mut since = None;
    for _ in 0..2 {
        let told = harness.ack("tts", API, with("failing")).await.json();
        assert_eq!((&told["status"], &told["known"]), (&json!("failing"), &json!(true)));
        let shut = told["gates"].as_array().unwrap().iter().filter(|gate| gate["satisfied"] == json!(false));
        let shut: Vec<_> = shut.map(|gate| (&gate["gate"], &gate["waiting_on"][0]["who"])).collect();
        let api = json!("api");
        assert_eq!(shut, [(&json!("failing"), &api), (&json!("acks"), &api)]);
        let ack = &harness.journal.acks(&name("tts")).await.unwrap()[0];
        assert_eq!(*since.get_or_insert(ack.since), ack.since, "since when is not forgotten");
    }
    let odd = harness.ack("tts", API, with("on fire")).await;
    assert_eq!((odd.status, odd.code().as_str()), (400, "bad_request"));
    assert!(odd.text.contains("status") && !odd.text.contains("on fire"), "{}", odd.text);
    // Without a status it uses the key.
    harness.ack("tts", API, saying(&new)).await;
    harness.until("tts", |report| report["last"]["outcome"] == "done").await;
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_says_what_is_wrong_and_not_more() {
    let harness = Harness::open().await;
    let good = json!({ "fingerprint": "0123456789abcdef" });
    let key = harness.store.text("secret-of-tts").unwrap();
    let large = json!({ "fingerprint": "0".repeat(5000) });
    for (credential, token, body, status, code) in [
        ("tts", "tok_wrong", good.clone(), 401, "unauthenticated"),
        ("nobody", "tok_wrong", good.clone(), 401, "unauthenticated"),
        ("tts", "", good.clone(), 401, "unauthenticated"),
        ("tts", "tok_api_planted2", good.clone(), 401, "unauthenticated"),
        ("tts", "tok_api_planted2", large.clone(), 413, "payload_too_large"),
        ("nobody", API, good.clone(), 404, "no_such_credential"),
        ("%ff", API, good.clone(), 404, "no_such_credential"),
        ("no%2Fbody", API, good.clone(), 404, "no_such_credential"),
        ("tts", "tok_idle_planted", good.clone(), 403, "not_required"),
        (
            "tts",
            API,
            json!({ "fingerprint": "0123456789abcdef", "consumer": "batch" }),
            403,
            "consumer_mismatch",
        ),
        ("tts", API, json!({ "fingerprint": key.as_str() }), 400, "bad_request"),
        ("tts", API, json!({ "fingerprint": "0123456789ABCDEF" }), 400, "bad_request"),
        ("tts", API, json!({ "fingerprint": "0123456789abcdef", "more": key.as_str() }), 400, "bad_request"),
        ("tts", API, json!(null), 400, "bad_request"),
        ("tts", API, large, 413, "payload_too_large"),
    ] {
        let answer = harness.ack(credential, token, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{credential}: {}", answer.text);
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let anonymous = harness.request(Method::POST, "/v1/credentials/tts/acks").body(good.to_string());
    assert_eq!(harness.send(anonymous).await.status, 401);
    let basic = harness.request(Method::POST, "/v1/credentials/tts/acks").basic_auth("api", Some(API));
    assert_eq!(harness.send(basic.body(good.to_string())).await.status, 401);
    assert_eq!(harness.get("/v1/credentials/tts/acks").await.code(), "method_not_allowed");
    assert_eq!(harness.get("/v1/status").await.code(), "not_found");
    assert!(harness.journal.acks(&name("tts")).await.unwrap().is_empty());
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_was_not_kept_is_not_confirmed() {
    let harness = Harness::open().await;
    harness.journal.is_broken.store(true, SeqCst);
    let answer = harness.ack("tts", API, saying(&harness.served("tts"))).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not_stored"));
    assert!(answer.text.contains("send it again"));
    harness.journal.is_broken.store(false, SeqCst);
    assert!(harness.journal.acks(&name("tts")).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_word_counts_while_the_clock_is_set_back() {
    let harness = Harness::open().await;
    harness.ack("tts", API, saying(&Fingerprint::of(b"something else"))).await;
    harness.clock.0.store(-3600, SeqCst);
    let new = harness.served("tts");
    assert_eq!(harness.ack("tts", API, saying(&new)).await.status, 200);
    assert_eq!(harness.journal.acks(&name("tts")).await.unwrap()[0].fingerprint, new);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_change_with_the_policy() {
    let harness = Harness::open().await;
    let body = saying(&harness.served("tts"));
    let token = SecretValue::new("tok_renewed".to_owned()).unwrap();
    let renewed = Consumers::new([(ConsumerName::new("api").unwrap(), token)]).unwrap();
    harness.consumers.send_replace(Arc::new(renewed));
    assert_eq!(harness.ack("tts", API, body.clone()).await.status, 401);
    assert_eq!(harness.ack("tts", "tok_renewed", body).await.status, 200);
}
