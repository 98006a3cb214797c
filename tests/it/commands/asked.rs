//! At a terminal, whoever gives an order that hurts is asked first; a program never is.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::http::harness::Harness;

/// Types a command at a terminal of its own, answers what it asks, and says how it went and all that was shown.
fn typed(command: &str, environment: &[(&str, &str)], answer: &str) -> (Option<i32>, String) {
    let line = format!("'{}' {command}", env!("CARGO_BIN_EXE_rekeyd"));
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    terminal.envs(environment.iter().copied()).env("ADMIN_KEY", "sk_of_nobody");
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = terminal.spawn().expect("`script` is not on the PATH: install util-linux");
    let mut keyboard = terminal.stdin.take().unwrap();
    keyboard.write_all(answer.as_bytes()).unwrap();
    let seen = terminal.wait_with_output().unwrap();
    drop(keyboard);
    (seen.status.code(), String::from_utf8_lossy(&seen.stdout).replace("\r\n", "\n"))
}

#[test]
fn text_is_broken_where_a_narrow_terminal_ends() {
    let place = super::Place::new();
    let plan = format!("plan tts --policy {}", place.path("fine.toml").display());
    let of = |columns| typed(&plan, &[("COLUMNS", columns)], "").1;
    let (narrow, wide) = (of("50"), of("80"));
    for (shown, columns) in [(&narrow, 50), (&wide, 80)] {
        let long: Vec<&str> =
            shown.lines().filter(|line| line.chars().count() > columns && !line.contains('/')).collect();
        assert!(shown.contains("Assumed") && long.is_empty(), "{long:?}\n{shown}");
    }
    assert!(narrow.lines().count() > wide.lines().count(), "{narrow}\n{wide}");
}

async fn at_a_terminal(
    harness: &Harness,
    command: &'static str,
    answer: &'static str,
) -> (Option<i32>, String) {
    let socket = harness.socket.display().to_string();
    let typed = move || typed(command, &[("REKEYD_SOCKET", &socket)], answer);
    tokio::task::spawn_blocking(typed).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_is_asked_before_an_order_that_hurts_and_no_is_no() {
    let harness = Harness::open().await;
    for (command, told, answer) in [
        ("rotate tts --emergency", "consumers that still use it are rejected", "no\n"),
        ("abort wide", "the rotation is cancelled", "never mind\nNo\n"),
        ("rollback wide", "the new key is not in use yet", "a\nb\nc\n"),
    ] {
        let (code, shown) = at_a_terminal(&harness, command, answer).await;
        let plain = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(plain.contains(told) && plain.contains("Continue? [yes/no]"), "{command}: {shown}");
        assert!(code == Some(1) && plain.contains("nothing was changed"), "{command}: {shown}");
    }
    let report = harness.until("wide", |report| report["rotation"]["phase"] == "parked").await;
    assert_eq!(report["last"], serde_json::Value::Null, "something was done: {report}");
    // What is refused anyway is not worth a question, nor is what hurts nobody.
    for command in ["rollback tts", "retry tts --overwrite", "accept tts", "rollback wide --check"] {
        let (_, shown) = at_a_terminal(&harness, command, "").await;
        assert!(!shown.contains("yes/no"), "{command}: {shown}");
    }
    let (code, shown) = at_a_terminal(&harness, "abort wide", "yes\n").await;
    assert!(code == Some(0) && shown.contains("is being aborted"), "{shown}");
    harness.until("wide", |report| report["last"]["outcome"] == "aborted").await;
    for command in ["rotate tts --emergency --yes", "rotate wide --emergency --output json"] {
        let (code, shown) = at_a_terminal(&harness, command, "").await;
        assert!(code == Some(0) && !shown.contains("yes/no"), "{command}: {shown}");
    }
}
