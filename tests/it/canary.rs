//! No secret is ever written anywhere but into the store (I6): known values are planted, the real program is run with
//! the loudest log through everything that can go wrong, and all that it wrote and said is searched.

#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod heap;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use rekeyd::demo::fixture::{Fixture, Pace};
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, Moment, Refused, What};
use rekeyd::sandbox::route::Route;
use rustix::process::Signal;
use serde_json::json;

use crate::support::rehearsal::Rehearsal;
use crate::traces::collector::Collector;
use heap::Heap;

/// Every way of a creation to go wrong, an answer that repeats secrets, and an old deployment whose answers hold keys.
fn everything_that_can_go_wrong(stage: &Fixture) -> Vec<Fault> {
    let admin = stage.sandbox.admin_key();
    let message = format!("the key {admin} may not; xi-api-key: {admin}");
    let echo = Refused {
        body: Some(
            json!({"detail": {"code": message, "status": message, "message": message, "request_id": admin}}),
        ),
        ..Refused::with(400, "")
    };
    let altered = What::Alter { set: serde_json::Map::new(), remove: vec!["xi-api-key".to_owned()] };
    let creations =
        [What::CutBody, What::GarbledBody, What::WrongTypes, altered, What::LostReply(Moment::After)];
    let mut faults: Vec<Fault> =
        creations.into_iter().map(|what| Fault::on(Route::CreateKey, what).times(1)).collect();
    // The first listings find out which keys there are; nothing begins without them.
    for (route, skip) in
        [(Route::ListAccounts, 8), (Route::User, 1), (Route::UpdateKey, 1), (Route::DeleteKey, 1)]
    {
        for what in [What::Refuse(echo.clone()), What::CutBody, What::HtmlPage { status: 502 }] {
            faults.push(Fault::on(route, what).after(skip).times(1));
        }
    }
    faults
}

/// Whatever the socket answers.
fn ask_socket(stage: &Fixture, method: &str, path: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(stage.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: rekeyd\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Asks everything that there is to ask, with secrets where they do not belong.
async fn talk(rehearsal: &Rehearsal, heap: &mut Heap) {
    let (stage, secrets) = (&rehearsal.stage, rehearsal.stage.secrets());
    let address = rehearsal.launcher.address.borrow().unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let mut requests = Vec::new();
    for path in ["metrics", "readyz", "livez", "version", "v1/status", "v1/credentials/tts-backend"] {
        requests.push(http.get(format!("http://{address}/{path}")));
    }
    for secret in [secrets.first().unwrap(), secrets.last().unwrap()] {
        let acks = |name: &str| http.post(format!("http://{address}/v1/credentials/{name}/acks"));
        requests.push(http.get(format!("http://{address}/{secret}")));
        requests.push(acks(secret).bearer_auth(secret).json(&json!({"fingerprint": "0123456789abcdef"})));
        requests.push(acks("tts-backend").bearer_auth(secret).json(&json!({"fingerprint": secret})));
        requests.push(acks("tts-backend").bearer_auth(secret).body(secret.clone()));
        requests.push(acks("tts-backend").bearer_auth(secret).json(&json!({secret.as_str(): secret})));
        requests.push(acks("tts-backend").header("authorization", secret).json(&json!({})));
        heap.throw("socket", ask_socket(stage, "GET", &format!("/{secret}"), ""));
        heap.throw("socket", ask_socket(stage, "POST", &format!("/v1/credentials/{secret}/rotate"), ""));
        heap.throw(
            "socket",
            ask_socket(stage, "POST", "/v1/credentials/dubbing/retry", &format!("{{\"{secret}\": 1}}")),
        );
    }
    for request in requests {
        let answer = request.send().await.unwrap();
        heap.throw("http", format!("{:?}", answer.headers()));
        heap.throw("http", answer.text().await.unwrap());
    }
    for (method, path) in [
        ("GET", "/v1/status"),
        ("GET", "/v1/credentials/tts-backend"),
        ("POST", "/v1/credentials/tts-backend/rotate"),
        ("POST", "/v1/credentials/dubbing/abort"),
        ("POST", "/v1/sweep"),
        ("POST", "/v1/reload"),
    ] {
        let answer = ask_socket(stage, method, path, "");
        assert!(answer.starts_with("HTTP/1.1 "), "{path}: {answer}");
        heap.throw("socket", answer);
    }
}

/// Runs the program to its end.
fn run(arguments: &[&str], heap: &mut Heap) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    let output =
        command.args(arguments).env("REKEYD_LOG", "trace").env("RUST_BACKTRACE", "full").output().unwrap();
    heap.throw(arguments[0], output.stdout);
    heap.throw(arguments[0], output.stderr);
    output.status.code()
}

fn look(stage: &Fixture, heap: &mut Heap) {
    let journal = stage.journal();
    let journal = journal.to_str().unwrap();
    for output in ["table", "json"] {
        assert_eq!(run(&["status", "--journal", journal, "--output", output], heap), Some(0));
        for name in stage.credentials() {
            let arguments = ["history", name.as_str(), "--journal", journal, "--output", output];
            assert_eq!(run(&arguments, heap), Some(0));
            run(&["status", name.as_str(), "--journal", journal, "--output", output], heap);
        }
    }
}

/// Policies with a secret in the wrong place.
fn misplace(stage: &Fixture, secret: &str, heap: &mut Heap) {
    let good = std::fs::read_to_string(stage.policy()).unwrap();
    let key = format!("admin_key = {{ file = \"{}\" }}", stage.admin_key_file().display());
    let url = stage.sandbox.base_url();
    assert!(good.contains(&key) && good.contains(&url));
    let path = stage.root().join("misplaced.toml");
    for bad in [
        good.replace(&key, &format!("admin_key = \"{secret}\"")),
        good.replace(&key, &format!("admin_key = {{ env = \"{secret}\" }}")),
        good.replace(&key, &format!("admin_key = {{ value = \"{secret}\" }}")),
        good.replace(&key, &format!("admin_key = {{ systemd_credential = \"{secret}/\" }}")),
        good.replace(&key, &format!("admin_key = {secret}")),
        good.replace(&key, &format!("admin_key = \"{secret}")),
        good.replace(&url, &format!("http://admin:{secret}@127.0.0.1:1")),
        good.replace(&url, &format!("http://127.0.0.1:1/?key={secret}")),
        good.replace("every = \"", &format!("every = \"{secret}")),
    ] {
        std::fs::write(&path, bad).unwrap();
        let path = path.to_str().unwrap();
        assert_ne!(run(&["check", path], heap), Some(0));
        assert_ne!(run(&["check", path, "--output", "json"], heap), Some(0));
        assert_eq!(run(&["run", "--policy", path], heap), Some(78));
    }
    std::fs::remove_file(path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_written_or_said_holds_a_secret() {
    let pace = Pace::new("3s", "2s", "200ms");
    let mut rehearsal = Rehearsal::set(21, &pace).await;
    rehearsal.launcher.filter = Some("trace".to_owned());
    rehearsal.stage.sandbox.workspace().rules.api_version = ApiVersion::August2025;
    rehearsal.stage.sandbox.set_faults(everything_that_can_go_wrong(&rehearsal.stage));
    let collector = Collector::open().await;
    collector.listens_to(&mut rehearsal);
    let mut heap = Heap::default();

    let daemon = rehearsal.launcher.start().await.unwrap();
    heap.throw_process(daemon.id());
    let spoilt =
        |it: &Rehearsal| it.stage.sandbox.faults().iter().filter(|fault| fault.times == Some(0)).count();
    rehearsal.until("most things have gone wrong", |it| spoilt(it) >= 8).await;
    talk(&rehearsal, &mut heap).await;
    daemon.kill().await.unwrap();
    heap.throw_files(rehearsal.stage.root());
    look(&rehearsal.stage, &mut heap);

    rehearsal.stage.write_policy(&pace.at_rest()).unwrap();
    rehearsal.stage.sandbox.set_faults(vec![]);
    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.rests().await;
    talk(&rehearsal, &mut heap).await;
    rehearsal.rests().await;
    daemon.signal(Signal::HUP).unwrap();
    daemon.stop().await.unwrap();
    heap.throw_files(rehearsal.stage.root());
    look(&rehearsal.stage, &mut heap);
    let secrets = rehearsal.stage.secrets();
    misplace(&rehearsal.stage, &secrets[0], &mut heap);
    let traces = collector.requests();
    assert!(traces.len() > 3, "{} requests", traces.len());
    for body in traces {
        heap.throw("traces", body);
    }

    // The search finds what is there: the store holds keys, and the log is as loud as it can be.
    let mut store = Heap::default();
    store.throw_store(&rehearsal.stage.root().join("secrets"));
    assert!(!store.search(&secrets).is_empty(), "the search finds nothing in the store");
    assert!(heap.holds("\"level\":\"DEBUG\"") && heap.holds("transition"), "the log is not loud");
    assert!(heap.holds("effect_failed"), "nothing went wrong");
    assert!(heap.size() > 100_000, "too little was searched: {}", heap.size());
    let found = heap.search(&secrets);
    assert!(found.is_empty(), "secrets were written: {found:#?}");
}
