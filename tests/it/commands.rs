//! Every command, as the program's own help lists them: what a program is told, whatever happens, and with which code.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rekeyd::adapters::sqlite::SqliteJournal;
use serde_json::Value;
use tempfile::TempDir;

mod asked;

/// Exit codes that `docs/cli.md` lists for commands that end by themselves.
const DOCUMENTED: [i32; 6] = [0, 1, 2, 3, 4, 5];

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let shown = place.0.path().display().to_string();
        let policy = format!(
            "[daemon]\nlisten = \"127.0.0.1:0\"\nsocket = \"{shown}/socket\"\njournal.sqlite.path = \"{shown}/journal.db\"\n\
             [workspaces.prod]\nfirst_rotations_at_once = 1000\nbase_url = \"http://127.0.0.1:1\"\nadmin_key = {{ env = \"ADMIN_KEY\" }}\n\
             [stores.local.directory]\npath = \"{shown}/secrets\"\n\
             [credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{{ store = \"local\", secret = \"tts\", create = true }}]\n"
        );
        fs::write(place.path("fine.toml"), &policy).unwrap();
        fs::write(place.path("wrong.toml"), "[daemon]\nlisten = 5\n").unwrap();
        // As after an edit that went wrong.
        fs::write(place.path("edited.toml"), format!("{policy}frequency = 5\n")).unwrap();
        fs::write(place.path("admin"), "sk_of_nobody").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command with the policy of that name in the environment.
    fn run(&self, policy: &str, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.args(words).env("ADMIN_KEY", "sk_of_nobody").env("REKEYD_POLICY", self.path(policy));
        command.env_remove("REKEYD_SOCKET").env_remove("RUNTIME_DIRECTORY").env_remove("STATE_DIRECTORY");
        command.stdin(Stdio::null()).output().unwrap()
    }
}

fn help(words: &[String]) -> String {
    let said = Command::new(env!("CARGO_BIN_EXE_rekeyd")).args(words).arg("--help").output().unwrap();
    assert!(said.status.success(), "{words:?}");
    String::from_utf8(said.stdout).unwrap()
}

/// Every command that takes `--output`, with the words that lead to it.
fn that_take_output() -> Vec<Vec<String>> {
    let (mut found, mut ahead) = (Vec::new(), vec![Vec::<String>::new()]);
    while let Some(words) = ahead.pop() {
        let help = help(&words);
        let listed = help.split("\nCommands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
        let listed = listed.unwrap_or_default().lines().filter(|line| !line.starts_with("   "));
        for name in listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
            ahead.push(words.iter().cloned().chain([name.to_owned()]).collect());
        }
        // `notify` does nothing by itself.
        if help.contains("--output <") && !help.contains("Usage: rekeyd notify [OPTIONS] <COMMAND>") {
            found.push(words);
        }
    }
    found.sort();
    found
}

/// What has to be said besides.
fn completed<'w>(words: &'w [String], place: &'w Path) -> Vec<&'w str> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let more: &[&str] = match words.as_slice() {
        [
            "history" | "repair" | "rotate" | "confirm" | "retry" | "abort" | "rollback" | "reinstate"
            | "accept",
        ] => &["tts"],
        ["account", "create"] => &["batch", "--workspace", "prod"],
        ["forget"] => &["local:tts"],
        ["pause" | "resume"] => &["--all"],
        ["rehearse" | "forecast"] => &["--for", "1d"],
        ["init"] => &["--base-url", "http://127.0.0.1:1", "--store", "dir:/nowhere", "--admin-key-file"],
        ["healthcheck"] => &["--url", "http://127.0.0.1:1/livez"],
        ["audit" | "check" | "consumers" | "doctor" | "plan" | "reload" | "status" | "sweep"]
        | ["audit", "compare" | "export" | "verify"]
        | ["notify", "test"] => &[],
        other => panic!("{other:?} takes --output: say here what it needs, and below what it tells"),
    };
    let more = more.iter().copied().chain((words == ["init"]).then(|| place.to_str().unwrap()));
    words.iter().copied().chain(more).chain(["--output", "json"]).collect()
}

/// The one document on the standard output, and the code of the error that it tells, if it does.
fn told(said: &Output, words: &[&str]) -> (Value, Option<String>) {
    let text = String::from_utf8_lossy(&said.stdout);
    let told: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{words:?}: {text} {}", String::from_utf8_lossy(&said.stderr)));
    let code = told.pointer("/error/code").map(|code| code.as_str().unwrap().to_owned());
    if code.is_some() {
        assert!(!told["error"]["message"].as_str().unwrap().is_empty(), "{words:?}: {told}");
        assert_ne!(said.status.code(), Some(0), "{words:?}: {told}");
    }
    assert!(said.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    assert!(DOCUMENTED.contains(&said.status.code().unwrap()), "{words:?}: {:?}", said.status);
    (told, code)
}

#[test]
fn each_answers_in_json_with_the_code_that_is_documented_whatever_is_wrong() {
    let place = Place::new();
    let admin = place.path("admin");
    let commands = that_take_output();
    assert!(commands.len() >= 20, "only {commands:?} were found");
    for words in &commands {
        let words = completed(words, &admin);
        let misspelt: Vec<&str> = words.iter().copied().chain(["--frobnicate"]).collect();
        let said = place.run("fine.toml", &misspelt);
        assert_eq!(told(&said, &misspelt).1.as_deref(), Some("usage"), "{misspelt:?}");
        assert_eq!(said.status.code(), Some(2), "{misspelt:?}");
        for policy in ["wrong.toml", "missing.toml"] {
            let said = place.run(policy, &words);
            let (expected, code) = match words.first().copied().unwrap() {
                // One writes it, the other does not need it.
                "init" | "healthcheck" => ("failed", 1),
                _ => ("policy_invalid", 3),
            };
            assert_eq!(told(&said, &words).1.as_deref(), Some(expected), "{policy}: {words:?}");
            assert_eq!(said.status.code(), Some(code), "{policy}: {words:?}");
        }
    }
}

#[test]
fn each_finds_its_policy_by_itself_and_tells_what_is_not_there() {
    let place = Place::new();
    let admin = place.path("admin");
    for words in that_take_output() {
        let words = completed(&words, &admin);
        let said = place.run("fine.toml", &words);
        let (expected, code) = match words.as_slice() {
            ["status" | "history" | "consumers" | "audit", ..] => (Some("journal_unusable"), 1),
            ["check" | "plan" | "forecast" | "rehearse", ..] => (None, 0),
            // What it found is the answer.
            ["doctor", ..] => (None, 1),
            ["init" | "healthcheck", ..] => (Some("failed"), 1),
            ["notify", ..] => (Some("not_found"), 1),
            _ => (Some("unreachable"), 5),
        };
        assert_eq!(told(&said, &words).1.as_deref(), expected, "{words:?}");
        assert_eq!(said.status.code(), Some(code), "{words:?}");
    }
    drop(SqliteJournal::open(&place.path("journal.db")).unwrap());
    for words in [&["status"][..], &["consumers"], &["audit"], &["audit", "verify"], &["history", "tts"]] {
        let words: Vec<&str> = words.iter().copied().chain(["--output", "json"]).collect();
        let said = place.run("fine.toml", &words);
        assert_eq!((told(&said, &words).1, said.status.code()), (None, Some(0)), "{words:?}");
    }
}

#[test]
fn an_edit_that_went_wrong_hides_nothing_of_what_happened() {
    let place = Place::new();
    drop(SqliteJournal::open(&place.path("journal.db")).unwrap());
    for words in [&["status"][..], &["consumers"], &["audit", "verify"]] {
        let said = place.run("edited.toml", words);
        assert_eq!(said.status.code(), Some(0), "{words:?}: {said:?}");
        let error = String::from_utf8(said.stderr).unwrap();
        let next = format!("next: rekeyd check {}", place.path("edited.toml").display());
        assert!(error.contains("from the journal alone") && error.contains(&next), "{error}");
    }
    // Whoever names a policy is told that it is wrong.
    let edited = place.path("edited.toml");
    let said = place.run("fine.toml", &["status", "--policy", edited.to_str().unwrap()]);
    assert_eq!(said.status.code(), Some(3));
    assert!(String::from_utf8(said.stderr).unwrap().contains("frequency"));
}
