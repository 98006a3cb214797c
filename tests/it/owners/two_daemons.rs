//! Two daemons with two journals on one workspace: no key in use is disabled or deleted.

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::server::Sandbox;

use super::harness::{Place, credential, directory, error, sandbox};

fn policy(place: &Place, more: &str) -> String {
    let store = directory("local", &place.path("secrets"));
    [store, credential("tts", "tts", "local", "key"), more.to_owned()].concat()
}

/// What consumers of a daemon's directory hold works.
fn serves_a_key_that_works(place: &Place, sandbox: &Sandbox) -> bool {
    let value = std::fs::read_to_string(place.path("secrets/key")).unwrap_or_default();
    sandbox.workspace().accepts(&value, SystemClock.now())
}

fn is_unclear(place: &Place) -> bool {
    let report = place.report("tts");
    report["obstacle"]["kind"] == "adoption_unclear"
        && report["obstacle"]["detail"].as_str().unwrap_or_default().contains("another rekeyd")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_neither_adopts_nor_deletes_the_key_of_the_first() {
    let sandbox = sandbox(&["tts"]).await;
    let (mut first, mut second) = (Place::new(&sandbox), Place::new(&sandbox));
    first.write(&sandbox, &policy(&first, ""));
    first.start();
    first.until("its rotation is over", || first.report("tts")["last"]["outcome"] == "done");
    let key = first.report("tts")["key_id"].as_str().unwrap().to_owned();
    // Not even on an operator's word: nothing shows that its consumers are ours.
    for more in [String::new(), format!("adopt = \"{key}\"\n")] {
        second.write(&sandbox, &policy(&second, &more));
        second.start();
        second.until("it is held", || is_unclear(&second));
        let swept = second.run(&["sweep"]);
        assert!(swept.status.success(), "{}", error(&swept));
        second.kill();
    }
    assert!(serves_a_key_that_works(&first, &sandbox));
    let alive = sandbox.truth().keys().filter(|key| key.state != State::Deleted).count();
    assert_eq!(alive, 1, "the second made no key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_that_began_with_the_same_key_holds_before_that_is_disabled() {
    let sandbox = sandbox(&["tts"]).await;
    let (mut first, mut second) = (Place::new(&sandbox), Place::new(&sandbox));
    // Both adopt the key that was made by hand, and each has consumers of its own; the second's still use the old key.
    let slow = "overlap.at_least = \"1h\"\noverlap.at_most = \"2h\"\n";
    second.write(&sandbox, &policy(&second, slow));
    second.start();
    second.until("it waits", || second.report("tts")["rotation"]["phase"] == "overlap");
    let old = second.report("tts")["rotation"]["old_key_id"].as_str().unwrap().to_owned();
    first.write(&sandbox, &policy(&first, &format!("adopt = \"{old}\"\n")));
    first.start();
    let is_held = || {
        let report = first.report("tts");
        report["attention"] == true
            && report["summary"].as_str().unwrap_or_default().contains("another rekeyd")
    };
    first.until("it does not disable the old key", is_held);
    let enabled =
        |id: &str| sandbox.truth().keys().any(|key| key.key_id == id && key.state == State::Enabled);
    assert!(enabled(&old));
    assert!(serves_a_key_that_works(&first, &sandbox) && serves_a_key_that_works(&second, &sandbox));
    // The operator stops the second and deletes its key.
    let foreign = second.report("tts")["rotation"]["new_key_id"].as_str().unwrap().to_owned();
    second.kill();
    sandbox.workspace().delete_key(&foreign, SystemClock.now()).unwrap();
    first.until("it goes on", || first.report("tts")["last"]["outcome"] == "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_has_one_daemon_and_any_number_of_readers() {
    let sandbox = sandbox(&["tts"]).await;
    let (mut first, mut second) = (Place::new(&sandbox), Place::new(&sandbox));
    first.write(&sandbox, &policy(&first, ""));
    first.start();
    first.until("its key is published", || first.path("secrets/key").exists());
    second.write(&sandbox, &policy(&first, ""));
    let refused = second.run(&["run"]);
    assert!(!refused.status.success());
    assert!(error(&refused).contains("another rekeyd writes to"), "{}", error(&refused));
    let told = second.run(&["doctor", "--write-probe", "--output", "json"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("a test file was written and removed") && told.contains("holds a key"), "{told}");
    // A reload does not refuse itself, and the lock ends with its holder.
    first.reload();
    first.kill();
    second.start();
    second.until("it runs", || is_unclear(&second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_its_journal_was_lost_a_daemon_takes_its_key_over_on_an_operators_word() {
    let sandbox = sandbox(&["tts"]).await;
    let mut place = Place::new(&sandbox);
    place.write(&sandbox, &policy(&place, ""));
    place.start();
    place.until("its rotation is over", || place.report("tts")["last"]["outcome"] == "done");
    let key = place.report("tts")["key_id"].as_str().unwrap().to_owned();
    place.kill();
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        drop(std::fs::remove_file(place.path(file)));
    }
    place.start();
    place.until("it asks", || {
        let report = place.report("tts");
        report["obstacle"]["detail"].as_str().unwrap_or_default().contains(&format!("`adopt = \"{key}\"`"))
    });
    place.write(&sandbox, &policy(&place, &format!("adopt = \"{key}\"\n")));
    place.reload();
    place.until("its key is replaced", || {
        let report = place.report("tts");
        report["last"]["outcome"] == "done" && report["key_id"] != key.as_str()
    });
    assert!(serves_a_key_that_works(&place, &sandbox));
}
