//! rekeyd hears which key is in use once the application is well with it, and that it fails if it is not.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use super::bench::{Bench, TOKEN, fingerprint};
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
    let bench = Bench::new();
    let (app, rekeyd) = (Recorder::start(), Recorder::start());
    let more = watched(&app) + &bench.rekeyd(&rekeyd.url(""), "100ms");
    let agent = bench.agent(&bench.config(&bench.to_key(), &more));
    bench.until("the first key is acknowledged", || said(&rekeyd) == [word("sk_first", "using")]);
    let request = rekeyd.requests().remove(0);
    assert_eq!(request.line, "POST /v1/credentials/tts/acks HTTP/1.1");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    let heard = rekeyd.posted().len();
    bench.until("it is said again and again", || rekeyd.posted().len() > heard + 3);

    // The application is told, and gets well neither at once nor before the deadline.
    bench.publish("sk_second");
    bench.until("the application is told", || app.posted().len() == 2);
    app.answers(503);
    bench.until("it is reported as failing", || said(&rekeyd).last() == Some(&word("sk_second", "failing")));
    app.answers(200);
    bench.until("it is reported as recovered", || said(&rekeyd).last() == Some(&word("sk_second", "using")));
    // Later, with a key that it used well for a while.
    app.answers(500);
    bench.until("it is reported again", || said(&rekeyd).last() == Some(&word("sk_second", "failing")));
    app.answers(200);
    bench.until("and recovers", || said(&rekeyd).last() == Some(&word("sk_second", "using")));
    agent.stop();
    assert!(bench.log().contains("the application fails"));
    assert!(!bench.log().contains(TOKEN) && !bench.log().contains("sk_"));
}

#[test]
fn an_application_that_cannot_be_told_counts_as_failing_with_the_new_key_only() {
    let bench = Bench::new();
    let (app, deaf, rekeyd) = (Recorder::start(), Recorder::start(), Recorder::start());
    let more = watched(&app).replace(&app.url("/reload"), &deaf.url("/reload"));
    let agent = bench.agent(&bench.config(&bench.to_key(), &(more + &bench.rekeyd(&rekeyd.url(""), "50ms"))));
    bench.until("the first key is acknowledged", || said(&rekeyd) == [word("sk_first", "using")]);
    deaf.answers(500);
    bench.publish("sk_second");
    bench.until("it is reported", || said(&rekeyd).len() > 1);
    assert_eq!(said(&rekeyd), [word("sk_first", "using"), word("sk_second", "failing")]);
    deaf.answers(200);
    bench.until("it is told in the end", || said(&rekeyd).last() == Some(&word("sk_second", "using")));
    agent.stop();
}

#[test]
fn a_health_command_can_tell_by_the_fingerprint_whether_the_new_key_is_in_use() {
    let bench = Bench::new();
    let rekeyd = Recorder::start();
    let more = "[on_change]\ncommand = [\"true\"]\n[health]\ncommand = [\"sh\", \"-c\", \"grep -q \
                $REKEYD_FINGERPRINT in-use\"]\nafter = \"20ms\"\nevery = \"20ms\"\n";
    let agent = bench
        .agent(&bench.config(&bench.to_key(), &(more.to_owned() + &bench.rekeyd(&rekeyd.url(""), "5m"))));
    bench.until_log("the application is told");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(rekeyd.posted(), Vec::<Value>::new());
    fs::write(bench.path("in-use"), fingerprint("sk_first")).unwrap();
    bench.until("it is acknowledged", || rekeyd.posted() == [word("sk_first", "using")]);
    agent.stop();
}

#[test]
fn without_rekeyd_everything_else_goes_on_and_the_word_is_kept_until_it_is_heard() {
    let bench = Bench::new();
    let app = Recorder::start();
    // An address at which nobody listens yet.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = watched(&app) + &bench.rekeyd(&format!("http://{address}"), "200ms");
    let agent = bench.agent(&bench.config(&bench.to_key(), &more));
    bench.until_log("rekeyd has not heard it yet");
    for value in ["sk_second", "sk_third"] {
        bench.publish(value);
        bench.until_key(value);
    }
    bench.until("the application is told of all", || app.posted().len() == 3);
    let rekeyd = Recorder::at(address, None);
    rekeyd.answers(503);
    bench.until_log("it answered with 503");
    rekeyd.answers(401);
    bench.until("it keeps trying", || rekeyd.posted().len() >= 2);
    rekeyd.answers(200);
    bench.until_log("acknowledged to rekeyd");
    assert!(rekeyd.posted().iter().all(|it| *it == word("sk_third", "using")), "{:?}", rekeyd.posted());
    // A token that is replaced is used from then on.
    fs::write(bench.path("token"), "tok_renewed").unwrap();
    bench.until("the new token is used", || {
        rekeyd.requests().last().and_then(|it| it.header("authorization").map(str::to_owned))
            == Some("Bearer tok_renewed".to_owned())
    });
    agent.stop();
}

#[test]
fn a_url_with_encryption_is_never_spoken_to_in_the_clear() {
    let bench = Bench::new();
    let rekeyd = Recorder::start();
    let https = rekeyd.url("").replace("http:", "https:");
    let more = "[on_change]\ncommand = [\"true\"]\n".to_owned() + &bench.rekeyd(&https, "5m");
    let agent = bench.agent(&bench.config(&bench.to_key(), &more));
    bench.until_log("rekeyd has not heard it yet");
    assert!(!bench.log().contains(TOKEN) && rekeyd.posted().is_empty());
    agent.stop();
    fs::write(bench.path("ca.pem"), "no certificate").unwrap();
    let config = bench.config(&bench.to_key(), &format!("{more}ca_file = \"{}\"\n", bench.shown("ca.pem")));
    let mut agent = bench.agent(&config);
    assert_eq!(agent.ended().code(), Some(78));
    bench.until_log("no certificates in PEM");
}
