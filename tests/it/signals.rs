//! What the daemon does when it is told to stop, told twice, told to load its policy, and started wrongly.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use rekeyd::demo::fixture::Pace;
use rekeyd::sandbox::faults::Moment;
use rekeyd::sandbox::route::Route;
use rustix::process::Signal;

use crate::support::rehearsal::{Rehearsal, slow};

fn pace() -> Pace {
    Pace::new("3s", "2s", "200ms")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_goes_on_to_the_next_journalled_point_and_the_next_start_finishes() {
    let rehearsal = Rehearsal::set(11, &pace().at_rest()).await;
    rehearsal.stage.sandbox.set_faults(vec![slow(Route::CreateKey, 1500, Moment::After)]);
    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.until("a key is being created", |it| it.calls(Route::CreateKey) > 0).await;
    let begun = Instant::now();
    daemon.stop().await.unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "it took {took:?}");
    assert!(!rehearsal.chronicle.is_at_rest(), "nothing is left to be finished");
    assert!(rehearsal.said().contains("\"stopped\""), "{}", rehearsal.tail());

    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.rests().await;
    daemon.stop().await.unwrap();
    let (verdict, ..) = rehearsal.verdict(0).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
    // The answer was waited for.
    assert_eq!((verdict.rotations, verdict.lost), (3, 0), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_twice_it_goes_at_once_and_the_next_start_finishes() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let rehearsal = Rehearsal::set(12, &pace().at_rest()).await;
        rehearsal.stage.sandbox.set_faults(vec![slow(Route::CreateKey, 4000, Moment::After).times(3)]);
        let mut daemon = rehearsal.launcher.start().await.unwrap();
        rehearsal.until("keys are being created", |it| it.calls(Route::CreateKey) > 0).await;
        daemon.signal(signal).unwrap();
        rehearsal.until("it stops", |it| it.said().contains("stopping")).await;
        let begun = Instant::now();
        daemon.signal(signal).unwrap();
        let status = daemon.ended().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!((status.code(), status.signal()), (Some(code), None));

        rehearsal.stage.sandbox.set_faults(vec![]);
        let daemon = rehearsal.launcher.start().await.unwrap();
        rehearsal.rests().await;
        daemon.stop().await.unwrap();
        let (verdict, ..) = rehearsal.verdict(0).await;
        assert!(verdict.holds(), "{:#?}", verdict.broken);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_policy_is_refused_whole_and_a_good_one_taken_at_once() {
    let rehearsal = Rehearsal::set(13, &pace()).await;
    let rotations = |it: &Rehearsal| it.chronicle.rotations().map_or(0, |all| all.len());
    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.until("rotations begin", |it| rotations(it) >= 3).await;

    let good = std::fs::read_to_string(rehearsal.stage.policy()).unwrap();
    // Half of it is good: none of it may be taken.
    let bad = good.replace("every = \"3s\"", "every = \"365d\"").replace("quarantine", "quarantaine");
    std::fs::write(rehearsal.stage.policy(), bad).unwrap();
    daemon.signal(Signal::HUP).unwrap();
    rehearsal.until("it is refused", |it| it.said().contains("the one before stays in force")).await;
    assert!(rehearsal.said().contains("quarantaine"), "it does not say why");
    let before = rotations(&rehearsal);
    rehearsal.until("the old policy is in force", |it| rotations(it) >= before + 2).await;

    rehearsal.stage.write_policy(&pace().at_rest()).unwrap();
    daemon.signal(Signal::HUP).unwrap();
    rehearsal.until("it is taken", |it| it.said().contains("the policy is in force")).await;
    rehearsal.rests().await;
    let at_rest = rotations(&rehearsal);
    // Longer than the interval of the policy before.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert_eq!(rotations(&rehearsal), at_rest);
    daemon.stop().await.unwrap();
    let (verdict, ..) = rehearsal.verdict(0).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_journal_is_told_so_and_the_first_goes_on() {
    let rehearsal = Rehearsal::set(14, &pace().at_rest()).await;
    let daemon = rehearsal.launcher.start().await.unwrap();
    let mut second = rehearsal.launcher.spawn().unwrap();
    assert_eq!(second.ended().await.unwrap().code(), Some(75), "{}", rehearsal.tail());
    let journal = rehearsal.stage.journal();
    assert!(rehearsal.tail().contains(journal.to_str().unwrap()), "{}", rehearsal.tail());
    rehearsal.rests().await;
    daemon.stop().await.unwrap();
    let (verdict, ..) = rehearsal.verdict(0).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_has_to_change_first_is_named_and_has_its_own_exit_code() {
    let rehearsal = Rehearsal::set(15, &pace()).await;
    let policy = rehearsal.stage.policy();
    let good = std::fs::read_to_string(&policy).unwrap();
    let start = async |what: &str, says: &[&str]| {
        let mut daemon = rehearsal.launcher.spawn().unwrap();
        let status = daemon.ended().await.unwrap();
        let said = rehearsal.said();
        assert_eq!(status.code(), Some(78), "{what}: {said}");
        for words in says {
            assert!(said.contains(words), "{what} does not say `{words}`: {said}");
        }
        std::fs::remove_file(rehearsal.stage.log()).unwrap();
    };
    std::fs::write(&policy, good.replace("[defaults]", "[default]")).unwrap();
    start("an unknown table", &["policy.toml", "defaults"]).await;
    std::fs::write(&policy, "this is not TOML").unwrap();
    start("not TOML", &["policy.toml"]).await;
    std::fs::remove_file(&policy).unwrap();
    start("no policy", &["policy.toml", "cannot read the policy"]).await;

    std::fs::write(&policy, &good).unwrap();
    let key = rehearsal.stage.admin_key_file();
    let admin = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    start("no admin key", &["workspace `sandbox`", key.to_str().unwrap()]).await;
    std::fs::write(&key, "two words").unwrap();
    start("a bad admin key", &["workspace `sandbox`"]).await;
    std::fs::write(&key, admin).unwrap();
    let daemon = rehearsal.launcher.start().await.unwrap();
    daemon.stop().await.unwrap();
}
