//! An application that breaks while its old key is in quarantine.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::demo::fixture::Pace;
use rekeyd::domain::phase::PhaseName;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;

use super::harness::Harness;

const WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// Long after a quarantine of the other credentials.
const PARKED: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_breaks_in_the_quarantine_has_its_key_back_within_five_seconds() {
    let pace = Pace::new("365d", "300ms", "1h");
    let mut harness = Harness::set(51, &pace, "", None).await;
    harness.start_agents();
    let old = harness.first_key();
    let daemon = harness.rehearsal.launcher.start().await.unwrap();
    harness
        .until("the old key is in quarantine", |it| {
            it.phase() == Some(PhaseName::Quarantine) && it.state(&old) == State::Disabled
        })
        .await;

    harness.break_app("tts-batch");
    harness.until("it is reported", |it| it.failure_of("tts-batch").is_some()).await;
    let reported = harness.failure_of("tts-batch").unwrap();
    harness.until("the old key works again", |it| it.state(&old) == State::Enabled).await;
    let took = harness.now(&old).changed_at.duration_since(reported.since);
    println!("enabled again {took:#} after the first report");
    assert!(took <= WITHIN, "{took:#}");

    let parked = |it: &Harness| it.why_rotation()["parked"]["reason"] == "consumer_failing";
    harness.until("the rotation is parked", parked).await;
    let begun = Instant::now();
    while begun.elapsed() < PARKED {
        assert!(parked(&harness), "{}", harness.why());
        assert_eq!(harness.state(&old), State::Enabled);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let why = harness.why();
    assert!(why.contains("tts-batch") && why.contains("fails with"), "{why}");
    assert_eq!(harness.state(&harness.key_of("tts-batch")), State::Enabled);
    assert_eq!(harness.rehearsal.calls(Route::DeleteKey), 0, "something was deleted");
    daemon.stop().await.unwrap();
    harness.stop_agents();
    harness.nothing_leaked();
    let tallies = harness.rehearsal.tallies();
    assert!(tallies.values().all(|tally| tally.failed == 0 && tally.requests > 0), "{tallies:#?}");
}
