//! What a policy promises: `rekeyd forecast` and `rekeyd rehearse` say the same of it, and neither takes the machine
//! down where it promises far too much.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::directory;
use rekeyd::config;
use rekeyd::domain::acceptance::AcceptanceRule;
use rekeyd::engine::{Periods, Timing};
use rekeyd::rehearsal::dry_run::Given;
use rekeyd::rehearsal::simulation::{self, Conditions};
use serde_json::Value;

/// A Monday.
const NOW: &str = "2026-10-19T00:00:00Z";
const AROUND: &str = r#"
[daemon]
acceptances.over = "0s"
journal.sqlite.path = "/nonexistent/journal.db"
[workspaces.prod]
first_rotations_at_once = 1000
base_url = "https://api.elevenlabs.io"
admin_key = { env = "ADMIN_KEY" }
mints_per_hour = 10000
[stores.local.directory]
path = "/nonexistent/secrets"
[stores.aws.aws_secrets_manager]
region = "eu-west-1"
"#;

fn credentials(count: usize, store: &str, terms: &str) -> String {
    let one = |number: usize| {
        format!(
            "[credentials.c{number}]\nservice_account = \"c{number}\"\n\
             publish_to = [{{ store = \"{store}\", secret = \"c{number}\", create = true }}]\n{terms}\n"
        )
    };
    (0..count).map(one).collect()
}

/// Runs `rekeyd` in so much address space and no more.
fn run(command: &str, policy: &str, arguments: &[&str], kibibytes_max: u32) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, format!("{AROUND}{policy}")).unwrap();
    let bounded = format!("ulimit -v {kibibytes_max} && exec \"$0\" \"$@\"");
    let program = Path::new(env!("CARGO_BIN_EXE_rekeyd"));
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &bounded])
        .arg(program)
        .args([command, "--now", NOW, "--policy"])
        .arg(file)
        .args(arguments);
    shell.output().unwrap()
}

fn told(command: &str, policy: &str, ahead: &str) -> (Option<i32>, Value) {
    let said = run(command, policy, &["--for", ahead, "--output", "json"], 2_000_000);
    assert!(!said.stdout.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    (said.status.code(), serde_json::from_slice(&said.stdout).unwrap())
}

#[test]
fn a_forecast_and_a_rehearsal_say_the_same_of_what_can_be_kept() {
    let leap = "every = \"1d\"\nwindow = { opens = \"0 9 29 2 *\", lasts = \"1d\", time_zone = \"UTC\" }";
    let decade = "every = \"1d\"\nfreeze = [{ name = \"decade\", from = 2020-01-01T00:00:00Z, until = 2030-01-01T00:00:00Z }]";
    let autumn = "every = \"7d\"\nfreeze = [{ name = \"autumn\", from = 2026-10-24T00:00:00Z, until = 2026-11-04T00:00:00Z }]";
    let mornings =
        "every = \"6d\"\nwindow = { opens = \"0 9 * * Mon-Thu\", lasts = \"6h\", time_zone = \"UTC\" }";
    for (store, terms, ahead, expected) in [
        ("local", "every = \"1s\"", "4d", Err("shorten `overlap` or `quarantine`")),
        (
            "local",
            "cron = \"30 2 * * *\"\ntime_zone = \"UTC\"\nquarantine = \"24h\"",
            "4d",
            Err("shorten `overlap` or `quarantine`"),
        ),
        ("local", "every = \"1h\"\noverlap = { at_least = \"7d\" }", "4d", Err("shorten `overlap`")),
        ("local", decade, "4d", Err("shorten `freeze`")),
        ("local", leap, "4d", Err("open `window` more often")),
        (
            "aws",
            "every = \"5m\"\njitter = \"0s\"\noverlap = { at_least = \"1m\" }\nquarantine = \"1m\"",
            "1d",
            Err("more than 100 versions"),
        ),
        ("local", "every = \"1d\"\nquarantine = \"12h\"", "4d", Ok(())),
        ("local", autumn, "20d", Ok(())),
        ("local", mornings, "20d", Ok(())),
    ] {
        let policy = credentials(1, store, terms);
        for (command, troubles) in [("forecast", "broken"), ("rehearse", "violations")] {
            let (code, told) = told(command, &policy, ahead);
            let said = told[troubles].to_string();
            match expected {
                Ok(()) => {
                    assert_eq!((code, &told["kept"]), (Some(0), &true.into()), "{command} {terms}: {said}")
                }
                Err(why) => {
                    assert_eq!((code, &told["kept"]), (Some(1), &false.into()), "{command} {terms}: {said}");
                    assert!(said.contains(why), "{command} {terms}: {said}");
                }
            }
        }
    }
}

#[test]
fn a_policy_of_seventy_thousand_rotations_is_forecast_within_bounds_that_are_told() {
    let terms = "every = \"1s\"\njitter = \"0s\"\noverlap = { at_least = \"0s\" }\nquarantine = \"0s\"";
    let policy = credentials(7, "local", terms);
    let said = run("forecast", &policy, &["--for", "2d"], 400_000);
    let text = String::from_utf8(said.stdout).unwrap();
    let last = text.lines().rev().take(3).collect::<Vec<_>>();
    assert_eq!(said.status.code(), Some(0), "{last:?} {}", String::from_utf8_lossy(&said.stderr));
    assert!(text.lines().count() < 5_100, "{}", text.lines().count());
    let cut = text.lines().find(|line| line.starts_with('…')).unwrap();
    // Those of one moment begin together.
    assert!(cut.contains("stopped after 500") && cut.ends_with("use a shorter --for"), "{cut}");
}

#[test]
fn a_rehearsal_without_an_end_is_played_as_far_as_it_is_bounded_and_says_how_far_that_was() {
    let terms = "every = \"10s\"\njitter = \"0s\"\noverlap = { at_least = \"0s\" }\nquarantine = \"0s\"";
    let policy = format!("{AROUND}{}", credentials(1, "local", terms));
    let policy = config::load(&policy, "policy.toml", &BTreeMap::new()).unwrap().policy;
    let stores = policy.credentials.values().flat_map(|it| &it.destinations);
    let stores = stores.map(|it| (it.store.clone(), &directory::kind::KIND)).collect();
    let second = SignedDuration::from_secs(1);
    let timing = Timing {
        settle: second,
        activation_deadline: second,
        acceptances: AcceptanceRule { count: 2, over: SignedDuration::ZERO },
        clock_skew_max: second,
        look_again: second,
        periods: Periods::NEVER,
    };
    let given = Given { policy: &policy, stores, admins: BTreeMap::new(), timing };
    // Enough for the journal to be rid of some of them.
    let conditions = Conditions {
        acks_after: SignedDuration::ZERO,
        rotations_max: 1200,
        play_out: false,
        ..Conditions::fair()
    };
    let from: Timestamp = NOW.parse().unwrap();
    let until = from + SignedDuration::from_hours(24);
    let told = simulation::play(&given, &BTreeMap::new(), &conditions, from, until, |_| {}).unwrap();
    assert_eq!(told.rotations.len(), 1200);
    assert!(told.rotations[..1199].iter().all(|it| it.ended_at.is_some()), "each is played to its end");
    let last = told.rotations[1199].begun_at;
    assert!(
        told.complete_until.is_some_and(|at| last <= at && at < until),
        "{:?} {last}",
        told.complete_until
    );
}

/// The time of a processor that a plan takes, in seconds.
fn planned_in(count: usize) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, format!("{AROUND}{}", credentials(count, "local", "every = \"30d\""))).unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-c", "TIMEFORMAT=%U; time \"$0\" \"$@\" >/dev/null"]).arg(env!("CARGO_BIN_EXE_rekeyd"));
    let said = shell.args(["plan", "--now", NOW, "--policy"]).arg(&file).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stderr).unwrap().trim().parse().unwrap()
}

#[test]
fn a_plan_of_sixteen_times_as_many_credentials_takes_about_sixteen_times_as_long() {
    let (few, many) = (planned_in(100), planned_in(1600));
    assert!(many < few * 20.0, "{few} s for 100, {many} s for 1600");
}

#[test]
fn the_policies_that_are_shipped_can_be_kept_and_a_plan_begins_when_a_forecast_says() {
    for (name, ahead) in [("rekeyd.toml", "90d"), ("rehearsal.toml", "1h")] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let told = |command: &str, more: &[&str]| -> Value {
            let mut run = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
            run.args([command, "--now", "2026-11-30T00:00:00Z", "--output", "json", "--policy"]).arg(&file);
            let said = run.args(more).env("REKEYD_SANDBOX_ADMIN_KEY", "sk_x").output().unwrap();
            assert!(said.status.success(), "{command} {name}: {}", String::from_utf8_lossy(&said.stdout));
            serde_json::from_slice(&said.stdout).unwrap()
        };
        let forecast = told("forecast", &["--for", ahead]);
        let rehearsal = told("rehearse", &["--for", ahead]);
        let plan = told("plan", &[]);
        for planned in plan["credentials"].as_array().unwrap() {
            let credential = &planned["credential"];
            let first = |rotations: &Value, field: &str| {
                let of_it = |it: &&Value| it["credential"] == *credential;
                rotations.as_array().unwrap().iter().find(of_it).unwrap()[field].clone()
            };
            let begins = &planned["prediction"]["begins"];
            assert_eq!(*begins, first(&forecast["rotations"], "begins"), "{name} {credential}");
            assert_eq!(*begins, first(&rehearsal["rotations"], "begun_at"), "{name} {credential}");
        }
    }
}
