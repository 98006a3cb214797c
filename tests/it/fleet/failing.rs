//! An application that breaks while its old key is in quarantine.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::demo::stage::Pace;
use rekeyd::domain::phase::PhaseName;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;

use super::squadron::Squadron;

const WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// Long after a quarantine of the other credentials.
const PARKED: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_breaks_in_the_quarantine_has_its_key_back_within_five_seconds() {
    let pace = Pace::new("365d", "300ms", "1h");
    let mut squadron = Squadron::set(51, &pace, "", None).await;
    squadron.start_agents();
    let old = squadron.first_key();
    let daemon = squadron.rehearsal.launcher.start().await.unwrap();
    squadron
        .until("the old key is in quarantine", |it| {
            it.phase() == Some(PhaseName::Quarantine) && it.state(&old) == State::Disabled
        })
        .await;

    squadron.break_app("tts-batch");
    squadron.until("it is reported", |it| it.failure_of("tts-batch").is_some()).await;
    let reported = squadron.failure_of("tts-batch").unwrap();
    squadron.until("the old key works again", |it| it.state(&old) == State::Enabled).await;
    let took = squadron.now(&old).changed_at.duration_since(reported.since);
    println!("enabled again {took:#} after the first report");
    assert!(took <= WITHIN, "{took:#}");

    let parked = |it: &Squadron| it.why_rotation()["parked"]["reason"] == "consumer_failing";
    squadron.until("the rotation is parked", parked).await;
    let begun = Instant::now();
    while begun.elapsed() < PARKED {
        assert!(parked(&squadron), "{}", squadron.why());
        assert_eq!(squadron.state(&old), State::Enabled);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let why = squadron.why();
    assert!(why.contains("tts-batch") && why.contains("fails with"), "{why}");
    assert_eq!(squadron.state(&squadron.key_of("tts-batch")), State::Enabled);
    assert_eq!(squadron.rehearsal.calls(Route::DeleteKey), 0, "something was deleted");
    daemon.stop().await.unwrap();
    squadron.stop_agents();
    squadron.nothing_leaked();
    let tallies = squadron.rehearsal.tallies();
    assert!(tallies.values().all(|tally| tally.failed == 0 && tally.requests > 0), "{tallies:#?}");
}
