//! Credentials that leave the policy in the middle of a rotation: under a new name, or for good.

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::server::Sandbox;

use super::harness::{Place, credential, directory, error, sandbox};

const SLOW: &str = "overlap.at_least = \"1h\"\noverlap.at_most = \"2h\"\n";

fn policy(place: &Place, name: &str, more: &str) -> String {
    let store = directory("local", &place.path("secrets"));
    [store, credential(name, "tts", "local", "key"), more.to_owned()].concat()
}

/// A daemon whose rotation of `tts` waits in the overlap.
async fn in_the_overlap() -> (Sandbox, Place) {
    let sandbox = sandbox(&["tts", "stt"]).await;
    let mut place = Place::new(&sandbox);
    std::fs::create_dir(place.path("secrets")).unwrap();
    std::fs::write(place.path("secrets/key"), "what consumers had before").unwrap();
    place.write(&sandbox, &policy(&place, "tts", SLOW));
    place.start();
    place.until("it waits", || place.report("tts")["rotation"]["phase"] == "overlap");
    (sandbox, place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_is_renamed_in_mid_rotation_keeps_its_key_and_its_rotation() {
    let (sandbox, mut place) = in_the_overlap().await;
    let new = place.report("tts")["rotation"]["new_key_id"].as_str().unwrap().to_owned();

    // Without a word it is refused, by a reload and by a start.
    place.write(&sandbox, &policy(&place, "speech", ""));
    let refused = place.run(&["reload"]);
    let says_what_to_write = |told: &str| {
        ["renamed_from", "`tts` has left the policy", "`[credentials.speech]`"]
            .iter()
            .all(|it| told.contains(it))
    };
    assert!(!refused.status.success() && says_what_to_write(&error(&refused)), "{}", error(&refused));
    place.kill();
    let refused = place.run(&["run"]);
    assert_eq!(refused.status.code(), Some(78), "{}", error(&refused));
    assert!(says_what_to_write(&error(&refused)), "{}", error(&refused));

    place.write(&sandbox, &policy(&place, "speech", &format!("renamed_from = \"tts\"\n{SLOW}")));
    place.start();
    let is_told = || {
        let told = place.report("tts")["summary"].as_str().unwrap_or_default().to_owned();
        told.contains("renamed to `speech`, which takes over")
    };
    place.until("status tells it", is_told);
    // The terms of the new name hold for the rotation of the old one.
    place.write(&sandbox, &policy(&place, "speech", "renamed_from = \"tts\"\n"));
    place.reload();
    place.until("the key is taken over", || place.report("speech")["key_id"] == new.as_str());
    let old = place.report("tts");
    assert_eq!((&old["health"], &old["attention"]), (&"out_of_sync".into(), &false.into()), "{old}");
    assert!(old["summary"].as_str().unwrap().contains("no longer in the policy"), "{old}");

    // Killed and started again, nothing is taken over twice; the next rotation is one like any other.
    place.kill();
    place.start();
    let asked = place.run(&["rotate", "speech"]);
    assert!(asked.status.success(), "{}", error(&asked));
    place.until("it is rotated", || {
        let report = place.report("speech");
        report["key_id"] != new.as_str() && report["rotation"].is_null()
    });
    let value = std::fs::read_to_string(place.path("secrets/key")).unwrap();
    assert!(sandbox.workspace().accepts(&value, SystemClock.now()));
    let alive = sandbox.truth().keys().filter(|key| key.state != State::Deleted).count();
    assert_eq!(alive, 2, "one key of each account");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_leaves_in_mid_rotation_is_told_everywhere_with_a_way_out_that_leads_out() {
    let (sandbox, place) = in_the_overlap().await;
    let store = directory("local", &place.path("secrets"));
    place.write(&sandbox, &[store, credential("stt", "stt", "local", "other")].concat());
    place.reload();
    place.until("the log tells it", || place.log().contains("no longer in the policy: its rotation goes on"));
    let report = place.report("tts");
    assert_eq!(report["attention"], true, "{report}");
    let summary = report["summary"].as_str().unwrap();
    assert!(summary.contains("no longer in the policy") && summary.contains("put `tts` back"), "{report}");
    assert_eq!(report["next_command"], "rekeyd rollback tts", "{report}");
    let rolled_back = place.run(&["rollback", "tts", "--yes"]);
    assert!(rolled_back.status.success(), "{}", error(&rolled_back));
    // Put back, it ends.
    place.write(&sandbox, &policy(&place, "tts", "overlap.at_least = \"200ms\"\n"));
    place.reload();
    place.until("it ends", || place.report("tts")["rotation"].is_null());
}
