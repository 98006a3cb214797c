//! `rekeyd rehearse`: a whole policy over months, in an imagined world.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Output};

use jiff::Timestamp;
use serde_json::Value;

const POLICY: &str = r#"
[daemon]
journal.sqlite.path = "/nonexistent/journal.db"
[workspaces.prod]
first_rotations_at_once = 1000
base_url = "https://api.elevenlabs.io"
admin_key = { env = "ADMIN_KEY" }
[stores.aws.aws_secrets_manager]
region = "eu-west-1"
[stores.local.directory]
path = "/nonexistent/secrets"
[consumers.web]
token = { env = "WEB_TOKEN" }
[credentials.canary]
service_account = "canary"
every = "10d"
jitter = "0s"
publish_to = [{ store = "local", secret = "canary", create = true }]
overlap = { at_least = "1h", at_most = "1d" }
quarantine = "1h"
[credentials.tts]
service_account = "tts"
every = "10d"
jitter = "0s"
after = ["canary"]
bake = "3h"
publish_to = [{ store = "aws", secret = "tts" }]
wait_for = { acks = ["web"] }
overlap = { at_least = "1h", at_most = "1d" }
quarantine = "1h"
"#;

fn run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, POLICY).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.args(["rehearse", "--now", "2026-11-25T00:00:00Z", "--policy"]).arg(&file).args(arguments);
    command.output().unwrap()
}

fn told(arguments: &[&str]) -> (Option<i32>, Value) {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
    let said = run(&arguments);
    assert!(!said.stdout.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    (said.status.code(), serde_json::from_slice(&said.stdout).unwrap())
}

fn of<'v>(told: &'v Value, credential: &str) -> Vec<&'v Value> {
    told["rotations"].as_array().unwrap().iter().filter(|it| it["credential"] == credential).collect()
}

fn at(story: &Value, field: &str) -> Timestamp {
    story[field].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_month_goes_well_whatever_dies_in_it_and_is_the_same_again() {
    for more in [&[][..], &["--crash-every", "20m"]] {
        let arguments: Vec<&str> = ["--for", "32d"].iter().chain(more).copied().collect();
        let (code, first) = told(&arguments);
        assert_eq!((code, &first["kept"]), (Some(0), &true.into()), "{first:#}");
        assert!(more.is_empty() || first["crashes"].as_u64().unwrap() > 10, "{}", first["crashes"]);
        for credential in ["canary", "tts"] {
            let stories = of(&first, credential);
            assert!(stories.len() >= 4, "{credential}: {stories:#?}");
            assert!(stories.iter().all(|it| it["phase"] == "done"), "{stories:#?}");
        }
        // Waves are kept: by its schedule, `tts` begins when `canary` has been done for a while.
        let canaries = of(&first, "canary");
        for story in of(&first, "tts").into_iter().filter(|it| it["reason"] == "schedule") {
            let begun = at(story, "begun_at");
            let before =
                canaries.iter().filter(|it| at(it, "ended_at") < begun).max_by_key(|it| at(it, "ended_at"));
            let waited = begun.duration_since(at(before.unwrap(), "ended_at"));
            assert!(waited.as_hours() >= 3, "{story:#}");
        }
        assert_eq!(told(&arguments).1, first, "chance has no part in it");
    }
}

#[test]
fn a_consumer_that_never_switches_keeps_the_policy_from_being_kept() {
    let (code, told) = told(&["--for", "5d", "--never", "web"]);
    assert_eq!((code, &told["kept"]), (Some(1), &false.into()), "{told:#}");
    let violation = &told["violations"][0];
    assert_eq!(violation["credential"], "tts", "{told:#}");
    assert!(violation["why"].as_str().unwrap().contains("acknowledged by web"), "{violation}");
    assert!(of(&told, "canary").iter().all(|it| it["phase"] == "done"), "others go on: {told:#}");
    let said = run(&["--for", "5d", "--never", "nobody"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("no consumer `nobody`"));
}

#[test]
fn it_is_told_to_people_within_eighty_columns() {
    let said = run(&["--for", "12d", "--timeline", "--crash-every", "1h"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(0), "{text}");
    for told in
        ["BEGINS", "canary", "adoption", "schedule", "old_key_gone", "store aws", "The policy can be kept."]
    {
        assert!(text.contains(told), "{told}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
