//! Pausing and resuming over the socket, and what is told meanwhile.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rekeyd::sandbox::route::Route;
use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{Harness, TOKENS};

async fn say(harness: &Harness, path: &str, body: Value) -> (u16, String) {
    let answer = harness.order(Method::POST, path, Some(body)).await;
    let message =
        if answer.status == 200 { &answer.json()["message"] } else { &answer.json()["error"]["message"] };
    (answer.status, message.as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_told_everywhere_and_happens_only_when_it_is_resumed() {
    let harness = Harness::open().await;
    let uid = fs::metadata(&harness.socket).unwrap().uid();
    let pause = json!({ "workspace": "prod", "only": "revoking", "why": "an audit" });
    let (status, told) = say(&harness, "/v1/pause", pause).await;
    let by = told.split_once(" by ").unwrap().1.split_once(':').unwrap().0;
    assert!(by.starts_with(&format!("uid {uid}")), "{told}");
    let held = format!("revoking is held in workspace `prod` by {by}: an audit");
    assert_eq!((status, told.clone()), (200, format!("{held}; `rekeyd resume --workspace prod` lifts it")));

    for (_, token) in &TOKENS[..2] {
        let body = json!({ "fingerprint": harness.served("tts").as_str() });
        assert_eq!(harness.ack("tts", token, body).await.status, 200);
    }
    let report = harness.until("tts", |report| report["rotation"]["gates"][1]["satisfied"] == true).await;
    assert_eq!(report["summary"], format!("every gate is satisfied; {held}"));
    assert_eq!(report["next_command"], "rekeyd resume --workspace prod");
    assert_eq!(report["held"][0]["why"], "an audit");
    // One more look at it, which is over when the order is answered.
    say(&harness, "/v1/credentials/tts/retry", json!({})).await;
    assert_eq!(harness.sandbox.truth().requests.get(&Route::DisableKey), None, "a key was disabled");

    let all = harness.order(Method::GET, "/v1/status", None).await.json();
    let told = (&all["holds"][0]["scope"], &all["holds"][0]["name"], &all["holds"][0]["what"]);
    assert_eq!(told, (&json!("workspace"), &json!("prod"), &json!("revoking")));
    let metrics = harness.get("/metrics").await.text;
    assert!(
        metrics.contains("rekeyd_hold{scope=\"workspace prod\",kind=\"revoking\",by=\"operator\"} 1"),
        "{metrics}"
    );

    let (status, told) = say(&harness, "/v1/resume", json!({ "workspace": "prod" })).await;
    assert_eq!((status, told.as_str()), (200, "revoking is no longer held for workspace prod"));
    harness.until("tts", |report| report["last"]["outcome"] == "done").await;
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_asked_for_in_a_pause_is_told_so_and_begins_after_it() {
    let harness = Harness::open().await;
    harness.order(Method::POST, "/v1/credentials/wide/abort", None).await;
    let (status, _) = say(&harness, "/v1/pause", json!({ "credential": "wide" })).await;
    assert_eq!(status, 200);
    let (status, told) = say(&harness, "/v1/credentials/wide/rotate", json!({})).await;
    assert_eq!(status, 200);
    assert!(
        told.contains("begins when `rekeyd resume wide` lifts this: everything is held of `wide`"),
        "{told}"
    );
    let report = harness.until("wide", |report| report["requested"] == true).await;
    assert!(report["rotation"].is_null() && report["health"] == "waiting", "{report:#}");
    assert_eq!(say(&harness, "/v1/resume", json!({ "credential": "wide" })).await.0, 200);
    harness.until("wide", |report| report["rotation"]["reason"] == "manual").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_holds_nothing() {
    let harness = Harness::open().await;
    for (path, body, status, told) in [
        ("/v1/pause", json!({}), 400, "one of"),
        ("/v1/pause", json!({ "all": true, "workspace": "prod" }), 400, "one of"),
        ("/v1/pause", json!({ "all": true, "only": "everything" }), 400, "one of"),
        ("/v1/pause", json!({ "all": true, "why": "two\nlines" }), 400, "one line"),
        ("/v1/pause", json!({ "all": true, "why": "an \u{202e}audit" }), 400, "one line"),
        ("/v1/pause", json!({ "all": true, "why": "an\u{200b} audit" }), 400, "one line"),
        ("/v1/pause", json!({ "all": true, "why": "two\u{2028}lines" }), 400, "one line"),
        ("/v1/pause", json!({ "all": true, "why": "x".repeat(301) }), 400, "at most 300"),
        ("/v1/pause", json!({ "workspace": "nowhere" }), 404, "no workspace"),
        ("/v1/pause", json!({ "credential": "nobody" }), 404, "no credential"),
        ("/v1/resume", json!({ "all": true, "why": "because" }), 400, "only for a pause"),
        ("/v1/resume", json!({ "all": true }), 409, "nothing is held"),
    ] {
        let (code, message) = say(&harness, path, body.clone()).await;
        assert!(code == status && message.contains(told), "{path} {body}: {code} {message}");
    }
    assert!(harness.handle.holds().all().is_empty());
    assert_eq!(say(&harness, "/v1/pause", json!({ "all": true })).await.0, 200);
    let (status, told) = say(&harness, "/v1/resume", json!({ "workspace": "prod" })).await;
    assert!(status == 409 && told.contains("`rekeyd resume --all`"), "{status} {told}");
}
