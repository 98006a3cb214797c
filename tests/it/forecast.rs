//! `rekeyd forecast`: the calendar of a policy, and what of it cannot be kept.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use rekeyd::config;
use rekeyd::domain::forecast::{Start, forecast};
use rekeyd::domain::ids::{CredentialName, RotationId};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::record::LastRotation;
use serde_json::Value;

const AROUND: &str = "[daemon]\njournal.sqlite.path = \"/nonexistent/journal.db\"\n[workspaces.prod]\nbase_url = \"https://api.elevenlabs.io\"\n\
                      admin_key = { env = \"ADMIN_KEY\" }\n[stores.aws.aws_secrets_manager]\nregion = \"eu-west-1\"\n";

/// When a rehearsed rotation began, made its key, and was over.
struct Rehearsed {
    begun: Timestamp,
    minted: Option<Timestamp>,
    ended: Option<Timestamp>,
}

impl Rehearsed {
    fn read(story: &Value) -> Self {
        let moment = |at: &Value| at.as_str().and_then(|at| at.parse::<Timestamp>().ok());
        let minted = story["timeline"].as_array().unwrap().iter().find(|line| line["event"] == "minted");
        Self {
            begun: moment(&story["begun_at"]).unwrap(),
            minted: minted.and_then(|line| moment(&line["at"])),
            ended: moment(&story["ended_at"]),
        }
    }
}

/// A Monday, some days before the clocks go back in London.
const NOW: &str = "2026-10-19T00:00:00Z";

fn run(policy: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, format!("{AROUND}{policy}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.args(["forecast", "--now", NOW, "--policy"]).arg(&file).args(arguments);
    command.output().unwrap()
}

fn told(policy: &str, ahead: &str) -> (Option<i32>, Value) {
    let output = run(policy, &["--for", ahead, "--output", "json"]);
    assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

fn credential(name: &str, more: &str) -> String {
    format!(
        "[credentials.{name}]\nservice_account = \"{name}\"\npublish_to = [{{ store = \"aws\", secret = \"{name}\" }}]\n{more}\n"
    )
}

/// The instants at which rotations begin.
fn begins(told: &Value) -> Vec<&str> {
    told["rotations"].as_array().unwrap().iter().map(|it| it["begins"].as_str().unwrap()).collect()
}

#[test]
fn a_window_is_kept_in_its_own_zone_over_a_change_of_the_clocks() {
    let window =
        "every = \"6d\"\nwindow = { opens = \"0 9 * * *\", lasts = \"1h\", time_zone = \"Europe/London\" }";
    let (code, told) = told(&credential("tts", window), "20d");
    assert_eq!(code, Some(0), "{told}");
    // Nine o'clock is eight in UTC until the 25th of October, and nine from then on.
    assert_eq!(begins(&told), ["2026-10-25T09:00:00Z", "2026-10-31T09:00:00Z", "2026-11-06T09:00:00Z"]);
    assert_eq!(told["assumed"], true);
}

#[test]
fn a_freeze_holds_the_beginning_and_the_revocation_back() {
    let policy = credential(
        "tts",
        "every = \"2d\"\nquarantine = \"1h\"\noverlap = { at_least = \"2h\" }\nfreeze = [{ name = \"launch\", from = 2026-10-21T01:00:00Z, until = 2026-10-22T00:00:00Z }]",
    );
    let (code, told) = told(&policy, "3d");
    assert_eq!(code, Some(0), "{told}");
    let first = &told["rotations"][0];
    assert_eq!(first["begins"], "2026-10-21T00:00:00Z");
    assert_eq!(first["disables"], "2026-10-22T00:00:00Z", "the overlap ends in the freeze");
    assert_eq!(first["deletes"], "2026-10-22T01:00:00Z");
}

#[test]
fn an_expiring_key_beats_its_window() {
    let policy = credential(
        "tts",
        "every = \"25d\"\nkey_lifetime = \"30d\"\njitter = \"0s\"\nwindow = { opens = \"0 9 1 * *\", lasts = \"1h\", time_zone = \"UTC\" }",
    );
    let (code, told) = told(&policy, "80d");
    assert_eq!(code, Some(0), "{told}");
    let reasons: Vec<&str> =
        told["rotations"].as_array().unwrap().iter().map(|it| it["reason"].as_str().unwrap()).collect();
    assert!(reasons.contains(&"expiry"), "{told}");
    assert!(told["broken"].as_array().unwrap().is_empty());
}

#[test]
fn what_cannot_be_kept_is_exit_code_1_and_says_why() {
    for (policy, why) in [
        (
            "every = \"1d\"\noverlap = { at_least = \"20h\" }\nquarantine = \"10h\"",
            "the rotation before it ends",
        ),
        (
            "every = \"10m\"\noverlap = { at_least = \"1m\" }\nquarantine = \"1m\"",
            "more than 100 versions within a day",
        ),
    ] {
        let output = run(&credential("tts", policy), &["--for", "40d"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{policy}\n{text}");
        assert!(text.contains("CANNOT BE KEPT: tts") && text.contains(why), "{policy}\n{text}");
    }
    let output = run("", &["--for", "40d"]);
    assert_eq!(output.status.code(), Some(0), "a policy without credentials promises nothing");
}

#[test]
fn a_calendar_has_an_event_for_each_rotation() {
    let output = run(&credential("tts", "every = \"10d\""), &["--for", "35d", "--output", "ics"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("BEGIN:VCALENDAR\r\n") && text.ends_with("END:VCALENDAR\r\n"), "{text}");
    assert_eq!(text.matches("BEGIN:VEVENT\r\n").count(), 3);
    assert!(text.contains("DTSTART:20261029T000000Z\r\n"), "{text}");
    assert!(text.contains("SUMMARY:rotate tts (schedule)\r\n"), "{text}");
}

#[test]
fn a_table_is_for_people_and_a_wrong_duration_is_a_wrong_call() {
    let output = run(&credential("tts", "every = \"10d\""), &["--for", "15d"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("there is no journal yet"), "{text}");
    assert!(text.contains("2026-10-29 00:00  tts"), "{text}");
    assert_eq!(run("", &["--for", "soon"]).status.code(), Some(2));
}

/// Three credentials that are rotated every four days, three hours each.
fn fleet(limits: &str, second: &str, third: &str) -> String {
    let one = |name: &str, more: &str| {
        format!(
            "[credentials.{name}]\nservice_account = \"{name}\"\nevery = \"4d\"\njitter = \"0s\"\nbake = \"6h\"\n\
             publish_to = [{{ store = \"local\", secret = \"{name}\", create = true }}]\n\
             overlap = {{ at_least = \"1h\", at_most = \"1d\" }}\nquarantine = \"2h\"\n{more}\n"
        )
    };
    let around = AROUND.replace("[workspaces.prod]\n", &format!("[workspaces.prod]\n{limits}\n"));
    format!(
        "{around}[stores.local.directory]\npath = \"/nonexistent/secrets\"\n{}{}{}",
        one("a", ""),
        one("b", second),
        one("c", third)
    )
}

#[test]
fn what_is_foreseen_of_waves_places_and_budgets_is_what_the_engine_then_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    for (limits, second, third) in [
        ("", "", ""),
        ("", "after = [\"a\"]", "after = [\"b\"]"),
        ("", "after = [\"a\"]", "after = [\"a\"]"),
        ("overlaps_at_once = 1", "", ""),
        ("overlaps_at_once = 2", "", "after = [\"a\"]"),
        ("mints_per_hour = 1", "", ""),
    ] {
        let policy = fleet(limits, second, third);
        fs::write(&file, &policy).unwrap();
        let mut rehearse = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        rehearse.args(["rehearse", "--now", NOW, "--for", "18d", "--output", "json", "--policy"]).arg(&file);
        let said = rehearse.output().unwrap();
        let played: Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(played["kept"], true, "{limits} {played:#}");
        let mut stories: BTreeMap<CredentialName, Vec<Rehearsed>> = BTreeMap::new();
        for story in played["rotations"].as_array().unwrap() {
            let name = CredentialName::new(story["credential"].as_str().unwrap()).unwrap();
            stories.entry(name).or_default().push(Rehearsed::read(story));
        }
        // From where everybody has been adopted, both play the same policy.
        let adopted = stories.values().filter_map(|of_one| of_one.first()?.ended).max().unwrap();
        let starts = stories.iter().map(|(name, of_one)| {
            let mut start = Start::assumed(name.clone(), of_one[0].minted.unwrap());
            let rotation = RotationId::from_uuid(uuid::Uuid::nil());
            let at = of_one[0].ended.unwrap();
            start.record.last = Some(LastRotation { rotation, outcome: PhaseName::Done, at, why: None });
            (name.clone(), start)
        });
        let config = config::load(&policy, "policy.toml", &BTreeMap::new()).unwrap();
        let until: Timestamp = played["until"].as_str().unwrap().parse().unwrap();
        let foreseen = forecast(&config.policy, &config.version_quotas(), starts.collect(), adopted, until);
        assert_eq!(foreseen.broken, []);
        for (name, of_one) in &stories {
            let expected = foreseen.rotations.iter().filter(|it| it.credential == *name);
            let (begun, expected): (Vec<Timestamp>, Vec<Timestamp>) =
                (of_one[1..].iter().map(|it| it.begun).collect(), expected.map(|it| it.begins).collect());
            // The one that is due just before the end may begin just after it.
            assert!(
                begun.len() >= 3 && expected.len().abs_diff(begun.len()) <= 1,
                "{name} {begun:?} {expected:?}"
            );
            for (begun, expected) in begun.iter().zip(&expected) {
                let apart = begun.duration_since(*expected).abs();
                assert!(
                    apart < SignedDuration::from_mins(90),
                    "{limits} {second} {name}: {begun} {expected}"
                );
            }
        }
    }
}
