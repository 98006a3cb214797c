//! A workspace whose admin key is itself a credential: the real program exchanges the key that it works with.
#![expect(clippy::unwrap_used, reason = "what stands between tests fails by panicking too")]

mod house;

use std::process::Command;
use std::time::{Duration, Instant};

use rekeyd::domain::phase::PhaseName;
use rekeyd::sandbox::faults::Moment;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;

use crate::support::rehearsal::slow;
use house::{House, MAY_ADMINISTER};

const ROUTES: [Route; 5] =
    [Route::ListAccounts, Route::CreateKey, Route::User, Route::DisableKey, Route::DeleteKey];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_every_phase_of_its_own_rotation_it_always_has_a_key_that_works() {
    let house = House::build(MAY_ADMINISTER).await;
    let both = ROUTES.map(|route| [slow(route, 25, Moment::Before), slow(route, 25, Moment::After)]);
    house.sandbox.set_faults(both.concat());
    house.write_policy("1s");
    for phase in [
        PhaseName::Due,
        PhaseName::Minting,
        PhaseName::Staging,
        PhaseName::Verifying,
        PhaseName::Promoting,
        PhaseName::Overlap,
        PhaseName::Disabling,
        PhaseName::Quarantine,
        PhaseName::Revoking,
    ] {
        let daemon = house.launcher.start().await.unwrap();
        house.until(&format!("{phase:?}"), || house.phase() == Some(phase)).await;
        daemon.kill().await.unwrap();
        house.works(&format!("killed in {phase:?}"));
    }
    house.write_policy("30d");
    let daemon = house.launcher.start().await.unwrap();
    // Values that were lost with the processes trip the breaker, if they were five.
    house.resume();
    house.until("rest", || house.is_at_rest()).await;
    daemon.stop().await.unwrap();
    house.works("at rest");
    assert_eq!(house.alive("rekeyd-admin"), 1);
    assert_eq!(house.alive("tts"), 1, "its other credentials were rotated with it all the while");
    let bootstrap = house.begun_with.clone();
    assert!(!house.accepts(&bootstrap), "the key that it began with is gone");
    house.nothing_leaked();
    house.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_daemon_goes_on_with_its_new_key_and_after_a_rollback_with_its_old_one() {
    let house = House::build(MAY_ADMINISTER).await;
    house.write_policy("30d");
    let daemon = house.launcher.start().await.unwrap();
    house
        .until("its first rotation is done", || house.is_at_rest() && house.alive("rekeyd-admin") == 1)
        .await;
    let old = house.in_store().unwrap();
    assert_ne!(old, house.begun_with);
    assert_eq!(house.state_of(&house.begun_with), State::Deleted);

    // Somebody says no, so that the overlap lasts.
    house.agree(false);
    house.order(&["rotate", "rekeyd-admin"]);
    house.until("the overlap", || house.phase() == Some(PhaseName::Overlap)).await;
    let new = house.in_store().unwrap();
    house.until("it works with the new key", || house.administers(&new)).await;
    let calls = house.calls_of(&old);
    house.until("it goes on", || house.calls_of(&new) > 4).await;
    assert_eq!(house.calls_of(&old), calls, "the old one is not used any more");

    house.order(&["rollback", "rekeyd-admin"]);
    house.agree(true);
    house.until("it is rolled back", || house.is_at_rest()).await;
    assert_eq!(house.in_store().unwrap(), old);
    assert_eq!((house.state_of(&old), house.state_of(&new)), (State::Enabled, State::Deleted));
    let calls = house.calls_of(&old);
    house.order(&["rotate", "tts"]);
    house.until("it works with the old key again", || house.calls_of(&old) > calls).await;
    daemon.stop().await.unwrap();
    house.works("after the rollback");
    house.nothing_leaked();
    house.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_on_its_way_back_it_comes_back_to_the_old_key() {
    let house = House::build(MAY_ADMINISTER).await;
    house.write_policy("30d");
    let mut daemon = house.launcher.start().await.unwrap();
    house
        .until("its first rotation is done", || house.is_at_rest() && house.alive("rekeyd-admin") == 1)
        .await;
    let both = ROUTES.map(|route| [slow(route, 25, Moment::Before), slow(route, 25, Moment::After)]);
    house.sandbox.set_faults(both.concat());
    let old = house.in_store().unwrap();
    for phase in [PhaseName::RollingBack, PhaseName::Returning, PhaseName::Withdrawing] {
        house.agree(false);
        house.order(&["rotate", "rekeyd-admin"]);
        house.until("the overlap", || house.phase() == Some(PhaseName::Overlap)).await;
        house.order(&["rollback", "rekeyd-admin"]);
        house.agree(true);
        house.until(&format!("{phase:?}"), || house.phase() == Some(phase)).await;
        daemon.kill().await.unwrap();
        house.works(&format!("killed in {phase:?}"));
        daemon = house.launcher.start().await.unwrap();
        house.until("it is rolled back", || house.is_at_rest()).await;
        assert_eq!(house.in_store().unwrap(), old, "{phase:?}");
        assert_eq!((house.state_of(&old), house.alive("rekeyd-admin")), (State::Enabled, 1), "{phase:?}");
    }
    daemon.stop().await.unwrap();
    house.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_administer_is_discarded_before_anyone_depends_on_it() {
    let house = House::build(&["text_to_speech"]).await;
    house.begin_with(&house.sandbox.admin_key());
    house.write_policy("30d");
    let daemon = house.launcher.start().await.unwrap();
    let refuted = "the new key cannot be the admin key";
    house.until("it is aborted", || house.ended_because().is_some_and(|why| why.contains(refuted))).await;
    daemon.stop().await.unwrap();
    assert_eq!(house.in_store(), None);
    assert_eq!(house.alive("rekeyd-admin"), 1);
    house.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_key_to_begin_with_it_does_not_start_and_says_what_to_write() {
    let house = House::build(MAY_ADMINISTER).await;
    house.write_policy("30d");
    let policy = std::fs::read_to_string(&house.launcher.policy).unwrap();
    let file = format!(", file = \"{}\"", house.bootstrap().display());
    std::fs::write(&house.launcher.policy, policy.replace(&file, "")).unwrap();
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_rekeyd"))
        .args(["run", "--policy"])
        .arg(&house.launcher.policy)
        .output()
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("published nowhere yet") && told.contains("beside `published`"), "{told}");
    house.sandbox.shutdown().await;
}
