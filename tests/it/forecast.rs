//! `rekeyd forecast`: the calendar of a policy, and what of it cannot be kept.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use rekeyd::config;
use rekeyd::domain::ids::{CredentialName, KeyId, ServiceAccountId, VersionId};
use rekeyd::domain::plan::Reason;
use rekeyd::domain::record::{Current, PublishedVersion, Record};
use rekeyd::domain::secret::Fingerprint;
use rekeyd::ports::journal::CredentialState;
use rekeyd::rehearsal::dry_run::{Given, Past};
use rekeyd::rehearsal::simulation::{self, Conditions};
use serde_json::Value;

const AROUND: &str = "[daemon]\njournal.sqlite.path = \"/nonexistent/journal.db\"\n[workspaces.prod]\nfirst_rotations_at_once = 1000\nbase_url = \"https://api.elevenlabs.io\"\n\
                      admin_key = { env = \"ADMIN_KEY\" }\n[stores.aws.aws_secrets_manager]\nregion = \"eu-west-1\"\n";

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
    assert_eq!(
        begins(&told),
        ["2026-10-19T08:00:00Z", "2026-10-25T09:00:00Z", "2026-10-31T09:00:00Z", "2026-11-06T09:00:00Z"]
    );
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
    let first = &told["rotations"][1];
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
        let output = run(&credential("tts", policy), &["--for", "2d"]);
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
    assert_eq!(text.matches("BEGIN:VEVENT\r\n").count(), 4);
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
    let around = AROUND.replace(
        "[workspaces.prod]\nfirst_rotations_at_once = 1000\n",
        &format!("[workspaces.prod]\nfirst_rotations_at_once = 1000\n{limits}\n"),
    );
    format!(
        "{around}[stores.local.directory]\npath = \"/nonexistent/secrets\"\n{}{}{}",
        one("a", ""),
        one("b", second),
        one("c", third)
    )
}

/// Who begins when, by the forecast's or the rehearsal's names for it.
fn calendar(told: &Value, begins: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rotations = told["rotations"].as_array().unwrap().iter();
    rotations.map(|it| (text(&it["credential"]), text(&it[begins]))).collect()
}

fn played(command: &str, policy: &str, ahead: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, policy).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    run.args([command, "--now", NOW, "--for", ahead, "--output", "json", "--policy"]).arg(&file);
    serde_json::from_slice(&run.output().unwrap().stdout).unwrap()
}

#[test]
fn a_forecast_is_the_rehearsals_calendar_and_says_what_each_rotation_waits_for() {
    for (limits, second, third, held_by) in [
        ("", "", "", None),
        ("", "after = [\"a\"]", "after = [\"b\"]", Some("`a` is done and is watched until")),
        ("", "after = [\"a\"]", "after = [\"a\"]", Some("`a` is done and is watched until")),
        ("overlaps_at_once = 1", "", "", Some("`prod` has 1 rotations under way, `overlaps_at_once`")),
        ("overlaps_at_once = 2", "", "after = [\"a\"]", Some("`a` is done and is watched until")),
        ("mints_per_hour = 1", "", "", Some("the budget of `prod`, `mints_per_hour`")),
    ] {
        let policy = fleet(limits, second, third);
        let (forecast, rehearsal) = (played("forecast", &policy, "18d"), played("rehearse", &policy, "18d"));
        assert_eq!((&forecast["kept"], &rehearsal["kept"]), (&true.into(), &true.into()), "{forecast:#}");
        let prediction = calendar(&forecast, "begins");
        assert_eq!(prediction, calendar(&rehearsal, "begun_at"), "{limits} {second}");
        assert!(prediction.len() >= 12, "{prediction:?}");
        let reasons = forecast["rotations"].as_array().unwrap().iter();
        let reasons: Vec<&str> = reasons.filter_map(|it| it["held_by"].as_str()).collect();
        match held_by {
            Some(held_by) => assert!(reasons.iter().any(|it| it.contains(held_by)), "{held_by} {reasons:?}"),
            None => assert!(reasons.is_empty(), "{reasons:?}"),
        }
    }
}

#[test]
fn those_who_wait_for_others_longer_than_their_interval_are_told_what_to_change() {
    let waves = fleet("", "after = [\"a\"]", "after = [\"a\", \"b\"]").replace("\"6h\"", "\"60h\"");
    // The third of those that take three hours each waits for six.
    let slots = fleet("overlaps_at_once = 1", "", "").replace("\"4d\"", "\"6h\"");
    for (policy, ahead) in [(waves, "30d"), (slots, "6d")] {
        let told = played("forecast", &policy, ahead);
        assert_eq!(told["kept"], false, "{told:#}");
        let broken = told["broken"].as_array().unwrap().iter();
        let why: Vec<&str> = broken.map(|it| it["why"].as_str().unwrap()).collect();
        let expected = ["longer than its whole interval", "raise `overlaps_at_once`"];
        assert!(expected.iter().all(|text| why.iter().any(|why| why.contains(text))), "{why:#?}");
    }
}

#[test]
fn a_forecast_begins_with_what_the_journal_knows() {
    let policy = format!("{AROUND}{}", credential("tts", "every = \"10d\"\njitter = \"0s\""));
    let config = config::load(&policy, "policy.toml", &BTreeMap::new()).unwrap();
    let (name, now) = (CredentialName::new("tts").unwrap(), NOW.parse::<Timestamp>().unwrap());
    let since = now - SignedDuration::from_hours(24);
    let current = Current {
        key: KeyId::new("key").unwrap(),
        fingerprint: Some(Fingerprint::of(b"value")),
        since,
        expires_at: None,
        usage_hash: None,
        attributes: None,
    };
    let destination = config.policy.credentials[&name].destinations[0].clone();
    let published = PublishedVersion { destination, version: VersionId::new("version").unwrap() };
    let record = Record {
        account: Some(ServiceAccountId::new("account").unwrap()),
        current: Some(current),
        published: vec![published],
        ..Record::new(name.clone())
    };
    let known = Some(CredentialState { record, rotation: None });
    let pasts = BTreeMap::from([(name, Past { known, entries: Vec::new() })]);
    let until = now + SignedDuration::from_hours(24 * 15);
    let played = simulation::play(&Given::of(&config), &pasts, &Conditions::fair(), now, until, |_| {});
    let played = played.unwrap();
    assert!(played.violations.is_empty(), "{:?}", played.violations);
    let begun: Vec<_> = played.rotations.iter().map(|it| (it.reason, it.begun_at, it.age)).collect();
    let interval = SignedDuration::from_hours(240);
    assert_eq!(begun, [(Reason::Schedule, since + interval, interval)]);
}
