//! Who goes on with the old key holds it for as long as that, and is named to whoever asks.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::demo::stage::Pace;
use rekeyd::domain::phase::PhaseName;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::truth::KeyTruth;

use super::squadron::{CREDENTIAL, Squadron};

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
async fn is_held(squadron: &Squadron, old: &KeyTruth, straggler: &str) {
    let (begun, before) = (Instant::now(), squadron.now(old));
    while begun.elapsed() < HELD {
        assert_eq!(squadron.state(old), State::Enabled, "{}", squadron.why());
        assert_eq!(squadron.phase(), Some(PhaseName::Overlap), "{}", squadron.why());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = squadron.now(old);
    assert!(accepted(&after) > accepted(&before) + 10, "{straggler} does not use it: {after:?}");
    assert!(after.callers[straggler] > before.callers[straggler], "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_agent_is_dead_keeps_its_key_and_is_named_until_it_follows() {
    let mut squadron = Squadron::set(41, &pace(), "", None).await;
    squadron.start_agents();
    let daemon = squadron.rehearsal.launcher.start().await.unwrap();
    squadron.until("the first rotations are done", |it| it.done() == 3).await;

    squadron.kill_agent("tts-batch");
    let old = squadron.key_of("tts-batch");
    squadron.order(&["rotate", CREDENTIAL]);
    let alone = |it: &Squadron| {
        let stragglers = it.stragglers("acks");
        stragglers.len() == 1 && stragglers[0]["who"] == "tts-batch"
    };
    squadron.until("only the straggler is waited for", alone).await;
    is_held(&squadron, &old, "tts-batch").await;
    let why = squadron.why();
    let named = format!("tts-batch: last acknowledged {}", old.fingerprint);
    assert!(why.contains("Who holds it up") && why.contains(&named), "{why}");
    assert!(!why.contains("tts-api: "), "{why}");

    squadron.start_agent("tts-batch");
    squadron.until("the old key is gone", |it| it.state(&old) == State::Deleted).await;
    squadron.until("the rotation is done", |it| it.done() == 4).await;
    squadron.rehearsal.rests().await;
    daemon.stop().await.unwrap();
    squadron.stop_agents();
    squadron.nothing_leaked();
    let (verdict, _, stage) = squadron.rehearsal.verdict(1).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
    stage.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_caches_keeps_its_key_and_is_named_by_its_request_source_until_it_ends() {
    let more = format!(", idle = \"{}s\"", QUIET.as_secs());
    let mut squadron = Squadron::set(42, &pace(), &more, Some("tts-batch")).await;
    squadron.show_single_calls();
    squadron.start_agents();
    let straggler = squadron.straggle();
    let old = squadron.first_key();
    let daemon = squadron.rehearsal.launcher.start().await.unwrap();
    // Its agent believes that it has switched: acknowledgements alone would let the key go.
    let deceived = |it: &Squadron| {
        let newest = it.stragglers("idle").into_iter().find(|who| who["who"] == "request_log");
        let source = newest.map(|newest| newest["about"][0]["request_source"].clone());
        it.phase() == Some(PhaseName::Overlap)
            && it.stragglers("acks").is_empty()
            && source.is_some_and(|source| source == "tts-batch")
    };
    squadron.until("only the evidence holds it", deceived).await;
    is_held(&squadron, &old, "tts-batch").await;
    let why = squadron.why();
    let told = why.split("Who holds it up").nth(1).unwrap();
    let first = told.lines().find(|line| line.contains("where: ")).unwrap();
    assert!(told.contains("request_log: shows use of the old key until"), "{why}");
    assert!(first.contains("request_source=tts-batch"), "{why}");

    let tallies = straggler.stop().await;
    let tally = &tallies["tts-batch"];
    assert!(tally.failed == 0 && tally.requests > 50, "{tally:?}");
    squadron.until("the old key is disabled", |it| it.state(&old) != State::Enabled).await;
    let last = squadron.now(&old).calls.values().filter_map(|calls| calls.last_accepted_at).max().unwrap();
    let idle = squadron.now(&old).changed_at.duration_since(last);
    assert!(idle >= QUIET, "it was idle for {idle:#} only");
    squadron.until("the old key is gone", |it| it.state(&old) == State::Deleted).await;
    squadron.rehearsal.rests().await;
    daemon.stop().await.unwrap();
    squadron.stop_agents();
    squadron.nothing_leaked();
    let (verdict, _, stage) = squadron.rehearsal.verdict(0).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
    stage.sandbox.shutdown().await;
}
