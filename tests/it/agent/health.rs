//! rekeyd hears which key is in use once the application is well with it, and that it fails if it is not.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use super::harness::{AgentHarness, TOKEN, fingerprint};
use super::recorder::Recorder;

fn watched(app: &Recorder) -> String {
    format!(
        "[on_change]\nurl = \"{}\"\n[health]\nurl = \"{}\"\nafter = \"20ms\"\nevery = \"20ms\"\ndeadline = \"1s\"\n",
        app.url("/reload"),
        app.url("/healthz")
    )
}

fn word(value: &str, status: &str) -> Value {
    json!({ "consumer": "api", "fingerprint": fingerprint(value), "status": status })
}

/// What was said, without what was only repeated.
fn said(rekeyd: &Recorder) -> Vec<Value> {
    let mut said = rekeyd.posted();
    said.dedup();
    said
}

#[test]
fn an_application_that_fails_with_a_new_key_is_reported_and_so_is_its_recovery() {
    let harness = AgentHarness::new();
    let (app, rekeyd) = (Recorder::start(), Recorder::start());
    let more = watched(&app) + &harness.rekeyd(&rekeyd.url(""), "100ms");
    let agent = harness.agent(&harness.config(&harness.to_key(), &more));
    harness.until("the first key is acknowledged", || said(&rekeyd) == [word("sk_first", "using")]);
    let request = rekeyd.requests().remove(0);
    assert_eq!(request.line, "POST /v1/credentials/tts/acks HTTP/1.1");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    let heard = rekeyd.posted().len();
    harness.until("it is said again and again", || rekeyd.posted().len() > heard + 3);

    // The application is told, and gets well neither at once nor before the deadline.
    harness.publish("sk_second");
    harness.until("the application is told", || app.posted().len() == 2);
    app.answers(503);
    harness
        .until("it is reported as failing", || said(&rekeyd).last() == Some(&word("sk_second", "failing")));
    app.answers(200);
    harness
        .until("it is reported as recovered", || said(&rekeyd).last() == Some(&word("sk_second", "using")));
    // Later, with a key that it used well for a while.
    app.answers(500);
    harness.until("it is reported again", || said(&rekeyd).last() == Some(&word("sk_second", "failing")));
    app.answers(200);
    harness.until("and recovers", || said(&rekeyd).last() == Some(&word("sk_second", "using")));
    agent.stop();
    assert!(harness.log().contains("application is failing"));
    assert!(!harness.log().contains(TOKEN) && !harness.log().contains("sk_"));
}

#[test]
fn an_application_that_cannot_be_told_counts_as_failing_with_the_new_key_only() {
    let harness = AgentHarness::new();
    let (app, deaf, rekeyd) = (Recorder::start(), Recorder::start(), Recorder::start());
    let more = watched(&app).replace(&app.url("/reload"), &deaf.url("/reload"));
    let agent =
        harness.agent(&harness.config(&harness.to_key(), &(more + &harness.rekeyd(&rekeyd.url(""), "50ms"))));
    harness.until("the first key is acknowledged", || said(&rekeyd) == [word("sk_first", "using")]);
    deaf.answers(500);
    harness.publish("sk_second");
    harness.until("it is reported", || said(&rekeyd).len() > 1);
    assert_eq!(said(&rekeyd), [word("sk_first", "using"), word("sk_second", "failing")]);
    deaf.answers(200);
    harness.until("it is told in the end", || said(&rekeyd).last() == Some(&word("sk_second", "using")));
    agent.stop();
}

#[test]
fn a_health_command_can_tell_by_the_fingerprint_whether_the_new_key_is_in_use() {
    let harness = AgentHarness::new();
    let rekeyd = Recorder::start();
    let more = "[on_change]\ncommand = [\"true\"]\n[health]\ncommand = [\"sh\", \"-c\", \"grep -q \
                $REKEYD_FINGERPRINT in-use\"]\nafter = \"20ms\"\nevery = \"20ms\"\n";
    let agent = harness.agent(
        &harness.config(&harness.to_key(), &(more.to_owned() + &harness.rekeyd(&rekeyd.url(""), "5m"))),
    );
    harness.until_log("application notified");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(rekeyd.posted(), Vec::<Value>::new());
    fs::write(harness.path("in-use"), fingerprint("sk_first")).unwrap();
    harness.until("it is acknowledged", || rekeyd.posted() == [word("sk_first", "using")]);
    agent.stop();
}

#[test]
fn without_rekeyd_everything_else_goes_on_and_the_word_is_kept_until_it_is_heard() {
    let harness = AgentHarness::new();
    let app = Recorder::start();
    // An address at which nobody listens yet.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = watched(&app) + &harness.rekeyd(&format!("http://{address}"), "200ms");
    let agent = harness.agent(&harness.config(&harness.to_key(), &more));
    harness.until_log("cannot acknowledge to rekeyd");
    for value in ["sk_second", "sk_third"] {
        harness.publish(value);
        harness.until_key(value);
    }
    harness.until("the application is told of all", || app.posted().len() == 3);
    let rekeyd = Recorder::at(address, None);
    rekeyd.answers(503);
    harness.until_log("rekeyd answered 503");
    rekeyd.answers(401);
    harness.until("it keeps trying", || rekeyd.posted().len() >= 2);
    rekeyd.answers(200);
    harness.until_log("acknowledged to rekeyd");
    assert!(rekeyd.posted().iter().all(|it| *it == word("sk_third", "using")), "{:?}", rekeyd.posted());
    // A token that is replaced is used from then on.
    fs::write(harness.path("token"), "tok_renewed").unwrap();
    harness.until("the new token is used", || {
        rekeyd.requests().last().and_then(|it| it.header("authorization").map(str::to_owned))
            == Some("Bearer tok_renewed".to_owned())
    });
    agent.stop();
}

#[test]
fn a_url_with_encryption_is_never_spoken_to_in_the_clear() {
    let harness = AgentHarness::new();
    let rekeyd = Recorder::start();
    let https = rekeyd.url("").replace("http:", "https:");
    let more = "[on_change]\ncommand = [\"true\"]\n".to_owned() + &harness.rekeyd(&https, "5m");
    let agent = harness.agent(&harness.config(&harness.to_key(), &more));
    harness.until_log("cannot acknowledge to rekeyd");
    assert!(!harness.log().contains(TOKEN) && rekeyd.posted().is_empty());
    agent.stop();
    fs::write(harness.path("ca.pem"), "no certificate").unwrap();
    let config =
        harness.config(&harness.to_key(), &format!("{more}ca_file = \"{}\"\n", harness.shown("ca.pem")));
    let mut agent = harness.agent(&config);
    assert_eq!(agent.ended().code(), Some(78));
    harness.until_log("no certificates in PEM");
}
