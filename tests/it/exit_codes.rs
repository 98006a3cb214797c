//! Every exit code that `docs/cli.md` lists, and what a program is told with it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rekeyd::adapters::sqlite::SqliteJournal;
use serde_json::Value;

fn run(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.args(words).env("ADMIN_KEY", "sk_of_nobody").output().unwrap()
}

fn policy(folder: &Path) -> String {
    let shown = folder.display();
    let text = format!(
        "[daemon]\nlisten = \"127.0.0.1:0\"\nsocket = \"{shown}/socket\"\njournal.sqlite.path = \"{shown}/journal.db\"\n\
         [workspaces.prod]\nfirst_rotations_at_once = 1000\nbase_url = \"http://127.0.0.1:1\"\nadmin_key = {{ env = \"ADMIN_KEY\" }}\n\
         [stores.local.directory]\npath = \"{shown}/secrets\"\n\
         [credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{{ store = \"local\", secret = \"tts\", create = true }}]\n"
    );
    fs::write(folder.join("policy.toml"), text).unwrap();
    fs::write(folder.join("wrong.toml"), "[daemon]\nlisten = 5\n").unwrap();
    folder.join("policy.toml").display().to_string()
}

#[test]
fn each_exit_code_is_what_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let policy = policy(folder.path());
    let wrong = folder.path().join("wrong.toml").display().to_string();
    let locked = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
    for (code, words) in [
        (0, vec!["check", &policy]),
        (0, vec!["status", "--policy", &policy]),
        (1, vec!["status", "nobody", "--policy", &policy]),
        (2, vec!["history"]),
        (3, vec!["status", "--policy", "/nonexistent/policy.toml"]),
        (2, vec!["frobnicate"]),
        (3, vec!["check", &wrong]),
        (3, vec!["status", "--policy", &wrong]),
        (3, vec!["plan", "--policy", &wrong]),
        (3, vec!["forecast", "--policy", &wrong]),
        (3, vec!["rehearse", "--policy", &wrong]),
        (3, vec!["rotate", "tts", "--policy", &wrong]),
        (4, vec!["plan", "--exit-code", "--policy", &policy]),
        (5, vec!["rotate", "tts", "--policy", &policy]),
        (75, vec!["run", "--policy", &policy]),
        (78, vec!["run", "--policy", &wrong]),
    ] {
        let said = run(&words);
        let error = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(code), "{words:?}: {error}");
    }
    drop(locked);
}

#[test]
fn a_program_that_asked_for_json_is_told_errors_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let policy = policy(folder.path());
    let wrong = folder.path().join("wrong.toml").display().to_string();
    for (code, words) in [
        ("policy_invalid", vec!["status", "--policy", &wrong]),
        ("policy_invalid", vec!["plan", "--policy", &wrong]),
        ("policy_invalid", vec!["forecast", "--policy", &wrong]),
        ("policy_invalid", vec!["rehearse", "--policy", &wrong]),
        ("policy_invalid", vec!["rotate", "tts", "--policy", &wrong]),
        ("journal_unusable", vec!["status", "--policy", &policy]),
        ("journal_unusable", vec!["history", "tts", "--policy", &policy]),
        ("journal_unusable", vec!["consumers", "--policy", &policy]),
        ("not_found", vec!["plan", "nobody", "--policy", &policy]),
        ("unreachable", vec!["pause", "--all", "--policy", &policy]),
    ] {
        let words: Vec<&str> = words.into_iter().chain(["--output", "json"]).collect();
        let said = run(&words);
        let told: Value =
            serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{words:?}: {said:?}"));
        assert_eq!(told["error"]["code"], code, "{words:?}: {told}");
        assert!(!told["error"]["message"].as_str().unwrap().is_empty(), "{words:?}");
        assert!(said.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
        assert_ne!(said.status.code(), Some(0), "{words:?}");
    }
}

#[test]
fn colours_are_for_terminals_alone() {
    let folder = tempfile::tempdir().unwrap();
    let policy = policy(folder.path());
    for words in [
        vec!["check", &policy],
        vec!["plan", "--policy", &policy],
        vec!["rehearse", "--for", "2d", "--policy", &policy],
    ] {
        let said = run(&words);
        let all = [said.stdout, said.stderr].concat();
        assert!(!all.contains(&0x1b), "{words:?}: {}", String::from_utf8_lossy(&all));
    }
}
