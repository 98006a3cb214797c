//! Liveness and readiness.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use rekeyd::sandbox::faults::Fault;
use serde_json::{Value, json};

use super::harness::Harness;

async fn reasons(harness: &Harness, status: u16) -> Vec<String> {
    // What was observed is remembered for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let answer = harness.get("/readyz").await;
    assert_eq!(answer.status, status, "{}", answer.text);
    let told = answer.json();
    assert_eq!(told["ready"], json!(status == 200));
    told["reasons"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_every_reason() {
    let harness = Harness::open().await;
    assert_eq!(reasons(&harness, 200).await, Vec::<String>::new());
    let fault: Fault = serde_json::from_value(
        json!({ "route": "list_accounts", "what": { "html_page": { "status": 502 } } }),
    )
    .unwrap();
    harness.sandbox.set_faults(vec![fault]);
    harness.handle.sweep().await.unwrap();
    let failing = || harness.handle.context().workspaces.values().next().unwrap().health().failing;
    while failing().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    harness.journal.is_broken.store(true, SeqCst);
    harness.status.send_modify(|status| {
        status.reload_refused = Some("planted: the policy's line 7".to_owned());
        status.draining = true;
    });
    let expected = ["draining", "journal_unreadable", "reload_refused", "workspace_failing"];
    assert_eq!(reasons(&harness, 503).await, expected);
    let answer = harness.get("/readyz").await;
    assert!(answer.text.contains("server_error") && !answer.text.contains("planted"), "{}", answer.text);
    let metrics = harness.get("/metrics").await.text;
    for line in [
        "rekeyd_journal_readable 0.0",
        "rekeyd_policy_reload_success 0.0",
        "rekeyd_draining 1.0",
        "rekeyd_workspace_reachable{workspace=\"prod\"} 0.0",
        "rekeyd_workspace_failing{workspace=\"prod\",kind=\"server_error\"} 1.0",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} is missing:\n{metrics}");
    }
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_ready_while_something_waits_for_the_journal_to_be_written() {
    let harness = Harness::open().await;
    harness.journal.is_full.store(true, SeqCst);
    let word = json!({ "fingerprint": harness.served("tts").as_str() });
    for token in ["tok_api_planted", "tok_batch_planted"] {
        assert_eq!(harness.ack("tts", token, word.clone()).await.status, 200);
    }
    let told = async |expected: &[&str]| {
        let begun = tokio::time::Instant::now();
        loop {
            let told = harness.get("/readyz").await.json();
            let codes = told["reasons"].as_array().unwrap().iter();
            let codes: Vec<&str> = codes.map(|it| it["code"].as_str().unwrap()).collect();
            if codes == expected {
                return;
            }
            assert!(begun.elapsed().as_secs() < 20, "{told}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    told(&["journal_unwritable"]).await;
    assert_eq!(harness.get("/livez").await.status, 200);
    harness.journal.is_full.store(false, SeqCst);
    told(&[]).await;
    harness.until("tts", |report| report["last"]["outcome"] == "done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_stands_still_is_not_alive_and_one_that_stops_is() {
    let harness = Harness::open().await;
    harness.stop_engine().await;
    // However far the wall clock is off, only the time counts that passes.
    for ahead in [0, 3600, -3600, 40 * 86_400] {
        harness.clock.0.store(ahead, SeqCst);
        for (seconds, status) in [(0, 200), (80, 200), (100, 503)] {
            harness.clock.1.store(seconds, SeqCst);
            let answer = harness.get("/livez").await;
            assert_eq!(answer.status, status, "{ahead} {seconds}: {}", answer.text);
        }
    }
    assert_eq!(reasons(&harness, 503).await, ["engine_stalled"]);
    harness.status.send_modify(|status| status.draining = true);
    assert_eq!(harness.get("/healthz").await.status, 200);
    assert_eq!(harness.order(reqwest::Method::POST, "/v1/sweep", None).await.code(), "stopping");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_told() {
    let harness = Harness::open().await;
    let told: Value = harness.get("/version").await.json();
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
}
