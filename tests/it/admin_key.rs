//! A workspace whose admin key is itself a credential: the real program exchanges the key that it works with.
#![expect(clippy::unwrap_used, reason = "what stands between tests fails by panicking too")]

mod harness;

use std::process::Command;
use std::time::{Duration, Instant};

use rekeyd::demo::daemon::Daemon;
use rekeyd::domain::phase::PhaseName;
use rekeyd::sandbox::faults::Moment;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;

use crate::support::rehearsal::slow;
use harness::{Harness, MAY_ADMINISTER};

const ROUTES: [Route; 5] =
    [Route::ListAccounts, Route::CreateKey, Route::User, Route::DisableKey, Route::DeleteKey];

/// A daemon whose admin key has been rotated once.
async fn at_rest() -> (Harness, Daemon) {
    let harness = Harness::build(MAY_ADMINISTER).await;
    harness.write_policy("30d");
    let daemon = harness.launcher.start().await.unwrap();
    harness
        .until("its first rotation is done", || harness.is_at_rest() && harness.alive("rekeyd-admin") == 1)
        .await;
    (harness, daemon)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_every_phase_of_its_own_rotation_it_always_has_a_key_that_works() {
    let harness = Harness::build(MAY_ADMINISTER).await;
    let both = ROUTES.map(|route| [slow(route, 25, Moment::Before), slow(route, 25, Moment::After)]);
    harness.sandbox.set_faults(both.concat());
    harness.write_policy("1s");
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
        let daemon = harness.launcher.start().await.unwrap();
        harness.until(&format!("{phase:?}"), || harness.phase() == Some(phase)).await;
        daemon.kill().await.unwrap();
        harness.works(&format!("killed in {phase:?}"));
    }
    harness.write_policy("30d");
    let daemon = harness.launcher.start().await.unwrap();
    // Values that were lost with the processes trip the breaker, if they were five.
    harness.resume();
    harness.until("rest", || harness.is_at_rest()).await;
    daemon.stop().await.unwrap();
    harness.works("at rest");
    assert_eq!(harness.alive("rekeyd-admin"), 1);
    assert_eq!(harness.alive("tts"), 1, "its other credentials were rotated with it all the while");
    let bootstrap = harness.begun_with.clone();
    assert!(!harness.accepts(&bootstrap), "the key that it began with is gone");
    harness.nothing_leaked();
    harness.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_daemon_goes_on_with_its_new_key_and_after_a_rollback_with_its_old_one() {
    let (harness, daemon) = at_rest().await;
    let old = harness.in_store().unwrap();
    assert_ne!(old, harness.begun_with);
    assert_eq!(harness.state_of(&harness.begun_with), State::Deleted);

    // Somebody says no, so that the overlap lasts.
    harness.agree(false);
    harness.order(&["rotate", "rekeyd-admin"]);
    harness.until("the overlap", || harness.phase() == Some(PhaseName::Overlap)).await;
    let new = harness.in_store().unwrap();
    harness.until("it works with the new key", || harness.administers(&new)).await;
    let calls = harness.calls_of(&old);
    harness.until("it goes on", || harness.calls_of(&new) > 4).await;
    assert_eq!(harness.calls_of(&old), calls, "the old one is not used any more");

    harness.order(&["rollback", "rekeyd-admin"]);
    harness.agree(true);
    harness.until("it is rolled back", || harness.is_at_rest()).await;
    assert_eq!(harness.in_store().unwrap(), old);
    assert_eq!((harness.state_of(&old), harness.state_of(&new)), (State::Enabled, State::Deleted));
    let calls = harness.calls_of(&old);
    harness.order(&["rotate", "tts"]);
    harness.until("it works with the old key again", || harness.calls_of(&old) > calls).await;
    daemon.stop().await.unwrap();
    harness.works("after the rollback");
    harness.nothing_leaked();
    harness.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_admin_key_that_dies_on_the_way_back_leaves_the_new_one_in_use() {
    let (harness, mut daemon) = at_rest().await;
    let old = harness.in_store().unwrap();
    for restarts in [false, true] {
        harness.agree(false);
        let old = harness.in_store().unwrap_or_else(|| old.clone());
        harness.order(&["rotate", "rekeyd-admin"]);
        harness.until("the overlap", || harness.phase() == Some(PhaseName::Overlap)).await;
        let new = harness.in_store().unwrap();
        harness.until("it works with the new key", || harness.administers(&new)).await;
        harness.order(&["rollback", "rekeyd-admin"]);
        harness.until("the way back", || harness.phase() == Some(PhaseName::Returning)).await;
        let calls = harness.calls_of(&old);
        harness.until("it works with the old key", || harness.calls_of(&old) > calls).await;
        if restarts {
            daemon.kill().await.unwrap();
            daemon = harness.launcher.start().await.unwrap();
        }
        harness.disable(&old);
        harness.until("it is parked", || harness.phase() == Some(PhaseName::Parked)).await;
        let calls = harness.calls_of(&new);
        harness.order(&["rotate", "tts"]);
        harness.until("other credentials go on", || harness.calls_of(&new) > calls).await;
        harness.order(&["abort", "rekeyd-admin"]);
        harness.agree(true);
        harness.until("it is done", || harness.is_at_rest()).await;
        assert_eq!(harness.in_store().unwrap(), new);
        assert_eq!((harness.state_of(&old), harness.state_of(&new)), (State::Deleted, State::Enabled));
    }
    daemon.stop().await.unwrap();
    harness.nothing_leaked();
    harness.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_on_its_way_back_it_comes_back_to_the_old_key() {
    let (harness, mut daemon) = at_rest().await;
    let both = ROUTES.map(|route| [slow(route, 25, Moment::Before), slow(route, 25, Moment::After)]);
    harness.sandbox.set_faults(both.concat());
    let old = harness.in_store().unwrap();
    for phase in [PhaseName::RollingBack, PhaseName::Returning, PhaseName::Withdrawing] {
        harness.agree(false);
        harness.order(&["rotate", "rekeyd-admin"]);
        harness.until("the overlap", || harness.phase() == Some(PhaseName::Overlap)).await;
        harness.order(&["rollback", "rekeyd-admin"]);
        harness.agree(true);
        harness.until(&format!("{phase:?}"), || harness.phase() == Some(phase)).await;
        daemon.kill().await.unwrap();
        harness.works(&format!("killed in {phase:?}"));
        daemon = harness.launcher.start().await.unwrap();
        harness.until("it is rolled back", || harness.is_at_rest()).await;
        assert_eq!(harness.in_store().unwrap(), old, "{phase:?}");
        assert_eq!((harness.state_of(&old), harness.alive("rekeyd-admin")), (State::Enabled, 1), "{phase:?}");
    }
    daemon.stop().await.unwrap();
    harness.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_administer_is_discarded_before_anyone_depends_on_it() {
    let harness = Harness::build(&["text_to_speech"]).await;
    harness.begin_with(&harness.sandbox.admin_key());
    harness.write_policy("30d");
    let daemon = harness.launcher.start().await.unwrap();
    let refuted = "the new key cannot be the admin key";
    harness.until("it is aborted", || harness.ended_because().is_some_and(|why| why.contains(refuted))).await;
    daemon.stop().await.unwrap();
    assert_eq!(harness.in_store(), None);
    assert_eq!(harness.alive("rekeyd-admin"), 1);
    harness.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_key_to_begin_with_it_does_not_start_and_says_what_to_write() {
    let harness = Harness::build(MAY_ADMINISTER).await;
    harness.write_policy("30d");
    let policy = std::fs::read_to_string(&harness.launcher.policy).unwrap();
    let file = format!(", file = \"{}\"", harness.bootstrap().display());
    std::fs::write(&harness.launcher.policy, policy.replace(&file, "")).unwrap();
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_rekeyd"))
        .args(["run", "--policy"])
        .arg(&harness.launcher.policy)
        .output()
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("not published yet") && told.contains("beside `published`"), "{told}");
    harness.sandbox.shutdown().await;
}
