//! The commands that speak to a daemon.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::harness::Harness;

pub(super) struct Run {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

/// Runs the program without blocking the daemon in this process.
pub(super) async fn rekeyd(arguments: &[&str], environment: &[(&str, &Path)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.args(arguments).env_remove("REKEYD_SOCKET").env_remove("RUNTIME_DIRECTORY");
    command.envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Run { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_exit_code_0_and_a_refusal_1() {
    let harness = Harness::open().await;
    let socket = harness.socket.to_str().unwrap();
    let refused = rekeyd(&["rotate", "tts", "--socket", socket], &[]).await;
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
    assert!(refused.err.contains("is under way already, in phase `overlap`"), "{}", refused.err);
    let refused =
        rekeyd(&["reinstate", "wide", "--output", "json"], &[("REKEYD_SOCKET", &harness.socket)]).await;
    assert_eq!((refused.code, refused.err.as_str()), (Some(1), ""));
    let told: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!(told["error"]["code"], "refused");
    let possible = rekeyd(&["rollback", "wide", "--check", "--socket", socket], &[]).await;
    assert_eq!((possible.code, possible.err.as_str()), (Some(0), ""));
    let told = "`wide` can be rolled back: the new key is not in use yet, so the rotation is aborted\n";
    assert_eq!(possible.out, told);
    let impossible = rekeyd(&["rollback", "tts", "--check", "--socket", socket], &[]).await;
    assert_eq!((impossible.code, impossible.out.as_str()), (Some(1), ""));
    let told = "cannot roll back `tts`: a destination has no earlier version";
    assert!(impossible.err.contains(told), "{}", impossible.err);
    let runtime = harness.socket.parent().unwrap();
    let done = rekeyd(&["abort", "wide"], &[("RUNTIME_DIRECTORY", runtime)]).await;
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    assert!(done.out.ends_with("of `wide` is being aborted\n"), "{}", done.out);
    let accept = rekeyd(&["accept", "tts", "--socket", socket], &[]).await;
    assert!(accept.code == Some(1) && accept.err.contains("is under way"), "{}", accept.err);
    harness.until("wide", |report| report["last"]["outcome"] == "aborted").await;
    let accepted = rekeyd(&["accept", "wide", "--socket", socket], &[]).await;
    assert!(
        accepted.code == Some(0) && accepted.out.contains("0 other keys"),
        "{}{}",
        accepted.out,
        accepted.err
    );
    let hurry = rekeyd(&["rotate", "tts", "--emergency", "--wait", "--socket", socket], &[]).await;
    assert_eq!((hurry.code, hurry.out.as_str()), (Some(0), "`tts` has a new key\n"), "{}", hurry.err);
    let swept = rekeyd(&["sweep", "--socket", socket], &[]).await;
    assert_eq!(swept.code, Some(0), "{}", swept.err);
    let unnameable = rekeyd(&["retry", "a/b", "--socket", socket], &[]).await;
    assert!(unnameable.code == Some(1) && unnameable.err.contains("is not a valid credential name"));
    assert_eq!(rekeyd(&["retry", "--socket", socket], &[]).await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_with_the_rotation() {
    let harness = Harness::open().await;
    // The adoption first.
    acknowledge(&harness).await;
    harness.until("tts", |report| report["last"]["outcome"] == "done").await;
    let socket = harness.socket.to_str().unwrap();
    let arguments = ["rotate", "tts", "--wait", "--socket", socket];
    let consumers = async {
        harness.until("tts", |report| report["rotation"]["phase"] == "overlap").await;
        acknowledge(&harness).await;
    };
    let (done, ()) = tokio::join!(rekeyd(&arguments, &[]), consumers);
    assert_eq!((done.code, done.out.as_str()), (Some(0), "`tts` has a new key\n"), "{}", done.err);
    assert!(!done.err.is_empty(), "what it waits for is told");
    let parked = rekeyd(&["retry", "wide", "--overwrite", "--socket", socket], &[]).await;
    assert_eq!(parked.code, Some(0), "{}", parked.err);
}

async fn acknowledge(harness: &Harness) {
    for token in ["tok_api_planted", "tok_batch_planted"] {
        let body = serde_json::json!({ "fingerprint": harness.served("tts").as_str() });
        assert_eq!(harness.ack("tts", token, body).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_rotation_that_needs_a_person_says_what_to_do() {
    let harness = Harness::open().await;
    let socket = harness.socket.to_str().unwrap();
    assert_eq!(rekeyd(&["abort", "wide", "--socket", socket], &[]).await.code, Some(0));
    harness.until("wide", |report| report["last"]["outcome"] == "aborted").await;
    let parked = rekeyd(&["rotate", "wide", "--wait", "--output", "json", "--socket", socket], &[]).await;
    assert_eq!(parked.code, Some(1));
    let told: Value = serde_json::from_str(&parked.out).unwrap();
    assert_eq!(told["error"]["code"], "parked");
    assert!(told["error"]["message"].as_str().unwrap().ends_with("next: rekeyd abort wide"), "{told}");
}

#[tokio::test]
async fn without_a_daemon_it_is_exit_code_5_with_advice() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("rekeyd.sock");
    let missing = rekeyd(&["reload", "--socket", socket.to_str().unwrap()], &[]).await;
    assert_eq!((missing.code, missing.out.as_str()), (Some(5), ""));
    assert!(missing.err.contains("check that the daemon runs"), "{}", missing.err);
    // A killed daemon's socket.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let stale = rekeyd(&["reload", "--output", "json"], &[("REKEYD_SOCKET", &socket)]).await;
    assert_eq!(stale.code, Some(5));
    assert!(stale.out.contains("unreachable"), "{}", stale.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_says_where_the_socket_and_the_journal_are() {
    let harness = Harness::open().await;
    let directory = tempfile::tempdir().unwrap();
    let (journal, policy) = (directory.path().join("journal.db"), directory.path().join("policy.toml"));
    let small = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/small.toml")).unwrap();
    let daemon = format!(
        "[daemon]\nsocket = \"{}\"\njournal.sqlite.path = \"{}\"\n",
        harness.socket.display(),
        journal.display()
    );
    fs::write(&policy, daemon + &small).unwrap();
    let policy = policy.to_str().unwrap();
    let sweep = rekeyd(&["sweep", "--policy", policy], &[]).await;
    assert_eq!(sweep.code, Some(0), "{}", sweep.err);
    assert_eq!(rekeyd(&["sweep", "--policy", policy, "--socket", "x"], &[]).await.code, Some(2));
    let nothing = rekeyd(&["status", "--policy", policy], &[]).await;
    assert!(nothing.code == Some(1) && nothing.err.contains("there is no journal at"), "{}", nothing.err);
    drop(rekeyd::adapters::sqlite::SqliteJournal::open(&journal).unwrap());
    let status = rekeyd(&["status", "tts-backend", "--policy", policy], &[]).await;
    assert_eq!(status.code, Some(0), "{}", status.err);
    assert!(status.out.contains("no key yet") && status.out.contains("local:tts-backend: absent"));
    let history = rekeyd(&["history", "tts-backend", "--policy", policy], &[]).await;
    assert_eq!(
        (history.code, history.out.as_str()),
        (Some(0), "there was no rotation of `tts-backend` yet\n")
    );
    assert_eq!(rekeyd(&["history"], &[]).await.code, Some(2));
    fs::write(policy, "nonsense = 1\n").unwrap();
    let broken = rekeyd(&["status", "--policy", policy], &[]).await;
    assert!(broken.code == Some(3) && broken.err.contains("nonsense"), "{}", broken.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_learns_whether_the_daemon_is_well() {
    let harness = Harness::open().await;
    let livez = format!("{}/livez", harness.url);
    let well = rekeyd(&["healthcheck", "--url", &livez], &[]).await;
    assert_eq!((well.code, well.out.as_str(), well.err.as_str()), (Some(0), "", ""));
    harness.status.send_modify(|status| status.draining = true);
    let readyz = format!("{}/readyz?verbose", harness.url);
    let unwell = rekeyd(&["healthcheck", "--url", &readyz], &[]).await;
    assert!(unwell.code == Some(1) && unwell.err.contains("503"), "{}", unwell.err);
    for url in ["http://127.0.0.1:1/livez", "https://127.0.0.1:1/livez"] {
        assert_eq!(rekeyd(&["healthcheck", "--url", url], &[]).await.code, Some(1));
    }
    assert_eq!(rekeyd(&["healthcheck", "--url", "nonsense"], &[]).await.code, Some(2));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (file, code) in [(manifest, 0), ("/dev/null", 1), ("/none/such", 1), (env!("CARGO_MANIFEST_DIR"), 1)]
    {
        assert_eq!(rekeyd(&["healthcheck", "--file", file], &[]).await.code, Some(code), "{file}");
    }
}
