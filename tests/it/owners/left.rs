//! What leaves the policy is named until a person has cleared it away: destinations, credentials, and consumers.

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::server::Sandbox;
use serde_json::Value;

use super::harness::{Place, directory, error, sandbox};

/// A credential that is published to these secrets of the store.
fn published_to(name: &str, secrets: &[&str], more: &str) -> String {
    let each = |secret: &&str| format!("{{ store = \"local\", secret = \"{secret}\", create = true }}");
    let places: Vec<String> = secrets.iter().map(each).collect();
    format!(
        "[credentials.{name}]\nservice_account = \"{name}\"\npublish_to = [{}]\n{more}",
        places.join(", ")
    )
}

struct Fixture {
    sandbox: Sandbox,
    place: Place,
}

impl Fixture {
    /// A daemon that has published `tts` to `one` and `two`.
    async fn published() -> Self {
        let sandbox = sandbox(&["tts", "stt"]).await;
        let place = Place::new(&sandbox);
        std::fs::create_dir(place.path("secrets")).unwrap();
        let mut fixture = Self { sandbox, place };
        fixture.write(&published_to("tts", &["one", "two"], ""));
        fixture.place.start();
        fixture.place.until("it is published", || fixture.is_over("done"));
        fixture
    }

    fn write(&self, rest: &str) {
        let store = directory("local", &self.place.path("secrets"));
        self.place.write(&self.sandbox, &[store, rest.to_owned()].concat());
    }

    fn is_over(&self, outcome: &str) -> bool {
        let report = self.place.report("tts");
        report["rotation"].is_null() && report["last"]["outcome"] == outcome
    }

    fn left(&self) -> Vec<(String, String)> {
        let report = self.place.report("tts");
        let text = |it: &Value, field: &str| it[field].as_str().unwrap_or_default().to_owned();
        let all = report["left_destinations"].as_array().cloned().unwrap_or_default();
        all.iter().map(|it| (text(it, "destination"), text(it, "holds"))).collect()
    }

    fn two(holds: &str) -> Vec<(String, String)> {
        vec![("local:two".to_owned(), holds.to_owned())]
    }

    fn told(&self, words: &[&str]) -> String {
        let told = self.place.run(words);
        assert!(told.status.success(), "{words:?}: {}", error(&told));
        String::from_utf8(told.stdout).unwrap()
    }

    fn refused(&self, words: &[&str]) -> String {
        let told = self.place.run(words);
        assert!(!told.status.success(), "{words:?}");
        error(&told)
    }

    /// How often the audit log has this.
    fn recorded(&self, what: &str) -> usize {
        let exported = self.told(&["audit", "export"]);
        exported.matches(&format!("\"what\":\"{what}\"")).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_leaves_the_policy_is_named_until_it_is_forgotten() {
    let mut it = Fixture::published().await;
    let refused = it.refused(&["forget", "local:two"]);
    assert!(refused.contains("is in `publish_to` of `tts`"), "{refused}");

    it.write(&published_to("tts", &["one"], ""));
    let planned = it.told(&["plan"]);
    assert!(planned.contains("`local:two` has left the policy"), "{planned}");
    let reloaded = it.told(&["reload"]);
    assert!(reloaded.contains("`local:two` has left the policy"), "{reloaded}");
    it.place.until("it is recorded", || it.recorded("destination_left") == 1);
    assert!(it.place.log().contains("rekeyd forget local:two"), "{}", it.place.log());
    assert_eq!(it.left(), Fixture::two("in_service"));

    // After the next rotation its key is dead; a restart and a sweep change nothing about that.
    it.told(&["rotate", "tts", "--wait"]);
    it.place.kill();
    it.place.start();
    it.told(&["sweep"]);
    let report = it.place.report("tts");
    assert_eq!(it.left(), Fixture::two("replaced"));
    assert_eq!((&report["health"], &report["attention"]), (&"out_of_sync".into(), &false.into()), "{report}");
    assert_eq!(report["next_command"], "rekeyd forget local:two", "{report}");
    assert!(it.told(&["status"]).contains("next: rekeyd forget local:two"));

    let unknown = it.refused(&["forget", "local:nowhere"]);
    assert!(unknown.contains("there is: `local:two` of `tts`"), "{unknown}");
    it.told(&["forget", "local:two"]);
    assert_eq!(it.left(), []);
    assert_eq!((it.recorded("destination_left"), it.recorded("destination_forgotten")), (1, 1));
    let value = std::fs::read_to_string(it.place.path("secrets/two")).unwrap();
    assert!(!value.is_empty(), "rekeyd removes nothing");
    it.told(&["audit", "verify"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_comes_back_is_named_no_longer() {
    let it = Fixture::published().await;
    it.write(&published_to("tts", &["one"], ""));
    it.place.reload();
    it.place.until("it is named", || it.left() == Fixture::two("in_service"));
    // Forgotten twice, it is forgotten once.
    it.told(&["forget", "local:two"]);
    assert!(it.told(&["forget", "local:two"]).contains("forgotten already"));
    assert_eq!(it.recorded("destination_forgotten"), 1);
    it.write(&published_to("tts", &["one", "two"], ""));
    it.place.reload();
    it.write(&published_to("tts", &["one"], ""));
    it.place.reload();
    it.place.until("it is named again", || it.left() == Fixture::two("in_service"));
    it.write(&published_to("tts", &["one", "two"], ""));
    it.place.reload();
    it.place.until("it came back", || it.recorded("destination_returned") == 1);
    assert_eq!(it.left(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_credential_leaves_behind_is_named_also_after_a_start_with_the_changed_policy() {
    let mut it = Fixture::published().await;
    it.place.kill();
    it.write(&published_to("stt", &["other"], ""));
    it.place.start();
    it.place.until("it is recorded", || it.recorded("destination_left") == 2);
    let report = it.place.report("tts");
    assert_eq!(report["next_due"], Value::Null, "{report}");
    let destinations: Vec<String> = it.left().into_iter().map(|(destination, _)| destination).collect();
    assert_eq!(destinations, ["local:one", "local:two"]);
    assert!(it.told(&["plan"]).contains("`local:one` has left the policy"));
    it.told(&["forget", "local:two"]);
    it.told(&["forget", "local:one"]);
    assert_eq!(it.left(), []);
    let again = it.refused(&["rotate", "tts"]);
    assert!(again.contains("not in the policy any more"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_leaves_in_mid_rotation_is_forgotten_only_when_nothing_writes_there() {
    let it = Fixture::published().await;
    let slow = "overlap.at_least = \"1h\"\noverlap.at_most = \"2h\"\n";
    it.write(&published_to("tts", &["one", "two"], slow));
    it.place.reload();
    it.told(&["rotate", "tts"]);
    it.place.until("it waits", || it.place.report("tts")["rotation"]["phase"] == "overlap");
    it.write(&published_to("tts", &["one"], slow));
    it.place.reload();
    it.place.until("it is recorded", || it.recorded("destination_left") == 1);
    let refused = it.refused(&["forget", "local:two"]);
    assert!(refused.contains("still writes to `local:two`"), "{refused}");
    it.write(&published_to("tts", &["one"], ""));
    it.place.reload();
    it.place.until("it is over", || it.is_over("done"));
    assert_eq!(it.left(), Fixture::two("in_service"));
    it.told(&["forget", "local:two"]);
    assert_eq!((it.left(), it.recorded("destination_left")), (vec![], 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_leaves_while_its_acknowledgement_is_awaited_is_named() {
    let it = Fixture::published().await;
    let token = it.place.path("token");
    std::fs::write(&token, "a-token-of-more-than-sixteen-characters").unwrap();
    let app = format!("[consumers.app]\ntoken = {{ file = \"{}\" }}\n", token.display());
    let acks = "overlap.at_least = \"200ms\"\nwait_for.acks = [\"app\"]\n";
    it.write(&[published_to("tts", &["one", "two"], acks), app].concat());
    it.place.reload();
    it.told(&["rotate", "tts"]);
    it.place.until("it waits", || it.place.report("tts")["rotation"]["phase"] == "overlap");

    it.write(&published_to("stt", &["other"], ""));
    let reloaded = it.told(&["reload"]);
    assert!(reloaded.contains("`app` cannot acknowledge any more"), "{reloaded}");
    let is_named = || {
        let summary = it.place.report("tts")["summary"].as_str().unwrap_or_default().to_owned();
        summary.contains("waits for `app`, which left the policy too")
    };
    it.place.until("status names the consumer", is_named);
    assert_eq!(it.place.report("tts")["next_command"], "rekeyd rollback tts");

    // Put back without the consumer, it waits for that no longer, and the reload says so.
    it.write(&published_to("tts", &["one", "two"], ""));
    let reloaded = it.told(&["reload"]);
    assert!(reloaded.contains("waits for `app` no longer"), "{reloaded}");
    it.place.until("it ends", || it.is_over("done"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_key_whose_credential_left_the_policy_is_not_said_to_be_replaced() {
    let it = Fixture::published().await;
    it.write(&published_to("stt", &["other"], ""));
    it.place.reload();
    let key = it.place.report("tts")["key_id"].as_str().unwrap().to_owned();
    assert!(it.place.report("tts")["next_due"].is_null());
    it.write(&published_to("tts", &["one", "two"], "mode = \"observe\"\n"));
    it.place.reload();
    let now = SystemClock.now();
    it.sandbox.workspace().disable_key(&key, Some("exposed_publicly"), now).unwrap();
    it.place.until("it is found", || {
        it.place.report("tts")["findings"].as_array().is_some_and(|it| !it.is_empty())
    });
    it.write(&published_to("stt", &["other"], ""));
    it.place.reload();
    let report = it.place.report("tts");
    let summary = report["summary"].as_str().unwrap();
    assert!(summary.contains("rekeyd does not replace it") && summary.contains(&key), "{report}");
    assert_eq!(
        (&report["attention"], &report["next_command"]),
        (&true.into(), &"systemctl reload rekeyd".into())
    );
}
