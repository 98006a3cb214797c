//! Who goes on with the old key holds it for as long as that, and is named to whoever asks.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::demo::fixture::Pace;
use rekeyd::domain::phase::PhaseName;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::truth::KeyTruth;

use super::harness::{CREDENTIAL, Harness};

/// Many times as long as everything but the straggler would take.
const HELD: Duration = Duration::from_secs(5);
const QUIET: SignedDuration = SignedDuration::from_secs(2);

fn pace() -> Pace {
    Pace::new("365d", "300ms", "300ms")
}

fn accepted(key: &KeyTruth) -> u64 {
    key.totals().0
}

/// Watches for a while that the key of the straggler is left alone, and is used.
async fn is_held(harness: &Harness, old: &KeyTruth, straggler: &str) {
    let (begun, before) = (Instant::now(), harness.now(old));
    while begun.elapsed() < HELD {
        assert_eq!(harness.state(old), State::Enabled, "{}", harness.why());
        assert_eq!(harness.phase(), Some(PhaseName::Overlap), "{}", harness.why());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = harness.now(old);
    assert!(accepted(&after) > accepted(&before) + 10, "{straggler} does not use it: {after:?}");
    assert!(after.callers[straggler] > before.callers[straggler], "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_agent_is_dead_keeps_its_key_and_is_named_until_it_follows() {
    let mut harness = Harness::set(41, &pace(), "", None).await;
    harness.start_agents();
    let daemon = harness.rehearsal.launcher.start().await.unwrap();
    harness.until("the first rotations are done", |it| it.done() == 3).await;

    harness.kill_agent("tts-batch");
    let old = harness.key_of("tts-batch");
    harness.order(&["rotate", CREDENTIAL]);
    let alone = |it: &Harness| {
        let waiting_on = it.waiting_on("acks");
        waiting_on.len() == 1 && waiting_on[0]["who"] == "tts-batch"
    };
    harness.until("only the straggler is waited for", alone).await;
    is_held(&harness, &old, "tts-batch").await;
    let why = harness.why();
    let named = format!("tts-batch: last acknowledged {}", old.fingerprint);
    assert!(why.contains("Lagging consumers") && why.contains(&named), "{why}");
    assert!(!why.contains("tts-api: "), "{why}");

    harness.start_agent("tts-batch");
    harness.until("the old key is gone", |it| it.state(&old) == State::Deleted).await;
    harness.until("the rotation is done", |it| it.done() == 4).await;
    harness.rehearsal.rests().await;
    daemon.stop().await.unwrap();
    harness.stop_agents();
    harness.nothing_leaked();
    let (verdict, _, stage) = harness.rehearsal.verdict(1).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
    stage.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_caches_keeps_its_key_and_is_named_by_its_request_source_until_it_ends() {
    let more = format!(", idle = \"{}s\"", QUIET.as_secs());
    let mut harness = Harness::set(42, &pace(), &more, Some("tts-batch")).await;
    harness.show_single_calls();
    harness.start_agents();
    let straggler = harness.straggle();
    let old = harness.first_key();
    let daemon = harness.rehearsal.launcher.start().await.unwrap();
    // Its agent believes that it has switched: acknowledgements alone would let the key go.
    let deceived = |it: &Harness| {
        let newest = it.waiting_on("idle").into_iter().find(|who| who["who"] == "request_log");
        let source = newest.map(|newest| newest["about"][0]["request_source"].clone());
        it.phase() == Some(PhaseName::Overlap)
            && it.waiting_on("acks").is_empty()
            && source.is_some_and(|source| source == "tts-batch")
    };
    harness.until("only the evidence holds it", deceived).await;
    is_held(&harness, &old, "tts-batch").await;
    let why = harness.why();
    let told = why.split("Lagging consumers").nth(1).unwrap();
    let first = told.lines().find(|line| line.contains("usage: ")).unwrap();
    assert!(told.contains("request_log: shows use of the old key until"), "{why}");
    assert!(first.contains("request_source=tts-batch"), "{why}");

    let tallies = straggler.stop().await;
    let tally = &tallies["tts-batch"];
    assert!(tally.failed == 0 && tally.requests > 50, "{tally:?}");
    harness.until("the old key is disabled", |it| it.state(&old) != State::Enabled).await;
    let last = harness.now(&old).calls.values().filter_map(|calls| calls.last_accepted_at).max().unwrap();
    let idle = harness.now(&old).changed_at.duration_since(last);
    assert!(idle >= QUIET, "it was idle for {idle:#} only");
    harness.until("the old key is gone", |it| it.state(&old) == State::Deleted).await;
    harness.rehearsal.rests().await;
    daemon.stop().await.unwrap();
    harness.stop_agents();
    harness.nothing_leaked();
    let (verdict, _, stage) = harness.rehearsal.verdict(0).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
    stage.sandbox.shutdown().await;
}
