//! What a valid policy means.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::SignedDuration;
use rekeyd::adapters::directory::Settings;
use rekeyd::config::components::JournalConfig;
use rekeyd::config::{self, Config};
use rekeyd::config_file::secret_source::SecretSource;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::ids::CredentialName;
use rekeyd::domain::key::Permissions;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::domain::policy::Credential;
use rekeyd::domain::schedule::{Cadence, StartDecision};

const REFERENCE: &str = include_str!("../../../config/rekeyd.toml");
const SMALL: &str = include_str!("../../../config/small.toml");

fn load(text: &str) -> Config {
    config::load(text, "policy.toml", &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn credential<'c>(config: &'c Config, name: &str) -> &'c Credential {
    &config.policy.credentials[&CredentialName::new(name).unwrap()]
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

#[test]
fn a_small_policy_means_the_defaults() {
    let config = load(SMALL);
    assert_eq!(config.daemon.listen.to_string(), "127.0.0.1:9809");
    assert_eq!(config.daemon.socket, Path::new("/run/rekeyd/rekeyd.sock"));
    assert_eq!(config.daemon.journal, JournalConfig::Sqlite { path: "/var/lib/rekeyd/journal.db".into() });
    assert_eq!(config.daemon.drain, SignedDuration::from_secs(30));
    let workspace = config.workspaces.values().next().unwrap();
    assert_eq!(workspace.base_url.as_str(), "https://api.elevenlabs.io/");
    assert_eq!(
        workspace.admin_key.otherwise.clone().unwrap(),
        SecretSource::File("/etc/rekeyd/credentials/elevenlabs-admin-key".into())
    );
    assert_eq!((workspace.in_flight, workspace.requests_per_second), (3, 5));
    let limits = config.policy.workspaces.values().next().unwrap();
    assert_eq!((limits.rotations_at_once, limits.mints_per_hour), (4, 20));
    let store = config.stores.values().next().unwrap();
    let directory =
        Settings { path: "/run/rekeyd/secrets".into(), mode: 0o440, directory_mode: 0o750, group: None };
    assert_eq!(format!("{store:?}"), format!("{directory:?}"));
    let tts = credential(&config, "tts-backend");
    assert_eq!(tts.workspace.as_str(), "main");
    assert_eq!((tts.terms.at_least, tts.terms.at_most), (hours(2), hours(7 * 24)));
    assert_eq!((tts.terms.then, tts.terms.quarantine), (AfterDeadline::Hold, hours(24)));
    assert!(tts.terms.gates.is_empty() && tts.first.is_none() && !tts.allow_unrestricted);
    assert!(tts.destinations[0].create, "a directory store creates its files");
}

#[test]
fn a_credential_inherits_what_it_does_not_say() {
    let config = load(REFERENCE);
    let tts = credential(&config, "tts-backend");
    assert!(matches!(tts.schedule.cadence, Cadence::Every(every) if every == hours(30 * 24)));
    assert_eq!(tts.schedule.jitter, hours(4));
    assert!(tts.schedule.window.is_some());
    assert!(matches!(
        &tts.terms.gates[..],
        [Gate::Acks(names), Gate::Idle(idle), Gate::NewKeyUsed, Gate::Probes(probes), Gate::Command(_)]
            if names.len() == 2 && idle.quiet == SignedDuration::from_mins(30) && probes[0].name == "tts-api"
    ));
    assert_eq!(tts.terms.acks_valid_for, Some(hours(1)));
    assert!(!tts.destinations[0].create && tts.destinations[1].create);
    let dubbing = credential(&config, "dubbing");
    assert!(
        matches!(dubbing.schedule.cadence, Cadence::Calendar(_)),
        "its own cron replaces the default's every"
    );
    assert!(dubbing.schedule.window.is_none(), "`always` lifts the window");
    assert_eq!((dubbing.terms.at_least, dubbing.terms.at_most), (SignedDuration::from_mins(30), hours(168)));
    assert_eq!(dubbing.schedule.freezes.len(), 2);
    assert!(dubbing.destinations[0].create);
    let first = dubbing.first.as_ref().unwrap();
    assert!(matches!(&first.permissions, Permissions::Only(names) if names.contains("dubbing_write")));
    assert_eq!(first.limits.get("character_limit"), Some(&serde_json::json!(500_000)));
    let networks = first.limits.get("allowed_ips").and_then(serde_json::Value::as_array);
    assert_eq!(networks.map(Vec::len), Some(1));
}

#[test]
fn a_frozen_date_is_frozen_from_its_first_to_its_last_instant_in_its_zone() {
    let text = format!(
        "{SMALL}freeze = [{{ name = \"f\", from = 2026-10-24, until = 2026-10-25, time_zone = \"Europe/London\" }}]"
    );
    let config = load(&text);
    let schedule = &credential(&config, "tts-backend").schedule;
    let open = |instant: &str| schedule.admits(instant.parse().unwrap()) == StartDecision::Open;
    // The 24th begins in BST, and the 25th, of 25 hours, ends in GMT.
    assert!(open("2026-10-23T22:59:59Z") && !open("2026-10-23T23:00:00Z"));
    assert!(!open("2026-10-25T23:59:59Z") && open("2026-10-26T00:00:00Z"));
}

#[test]
fn directories_made_by_systemd_win_over_the_defaults_and_lose_to_the_policy() {
    let environment = BTreeMap::from([
        ("RUNTIME_DIRECTORY".to_owned(), "/run/rekeyd-a:/run/other".to_owned()),
        ("STATE_DIRECTORY".to_owned(), "/var/lib/rekeyd-a".to_owned()),
    ]);
    let daemon = |text: &str| config::load(text, "policy.toml", &environment).unwrap().daemon;
    let given = daemon(SMALL);
    assert_eq!(given.socket, Path::new("/run/rekeyd-a/rekeyd.sock"));
    assert_eq!(given.journal, JournalConfig::Sqlite { path: "/var/lib/rekeyd-a/journal.db".into() });
    let written =
        daemon(&format!("[daemon]\nsocket = \"/srv/s\"\njournal.sqlite.path = \"/srv/j\"\n{SMALL}"));
    assert_eq!(written.socket, Path::new("/srv/s"));
    assert_eq!(written.journal, JournalConfig::Sqlite { path: "/srv/j".into() });
}

#[test]
fn a_policy_that_others_can_reach_must_say_so() {
    let text =
        format!("[daemon]\nlisten = \"0.0.0.0:9809\"\nallow_plaintext_beyond_loopback = true\n{SMALL}");
    assert_eq!(load(&text).daemon.listen.to_string(), "0.0.0.0:9809");
}

#[test]
fn credentials_may_share_a_service_account_if_each_adopts_its_own_key_and_a_secret_by_fields() {
    let two = |a: &str, b: &str| {
        let shared = SMALL.replace("[credentials.tts-backend]", "[credentials.one]\nadopt = \"key-1\"");
        let shared =
            shared.replace("secret = \"tts-backend\"", &format!("secret = \"s\", json_field = \"{a}\""));
        let other =
            "[credentials.two]\nservice_account = \"tts-backend\"\nadopt = \"key-2\"\nevery = \"30d\"";
        format!(
            "{shared}{other}\npublish_to = [{{ store = \"local\", secret = \"s\", json_field = \"{b}\" }}]\n"
        )
    };
    assert_eq!(load(&two("a", "b")).policy.credentials.len(), 2);
    assert!(config::load(&two("a", "a"), "policy.toml", &BTreeMap::new()).is_err());
}

#[test]
fn the_hash_tells_two_policies_apart() {
    assert_eq!(load(SMALL).hash(), load(SMALL).hash());
    assert_ne!(load(SMALL).hash(), load(&format!("{SMALL}\n# a comment\n")).hash());
    assert_eq!(load(SMALL).hash().len(), 64);
}

#[test]
fn a_thousand_credentials_are_checked_quickly() {
    let mut text = SMALL.to_owned();
    for number in 0..1000 {
        text.push_str(&format!(
            "[credentials.c{number}]\nservice_account = \"c{number}\"\n\
             cron = {{ at = \"{} 3 * * Mon\", time_zone = \"Europe/London\" }}\n\
             publish_to = [{{ store = \"local\", secret = \"c{number}\" }}]\n",
            number % 60
        ));
    }
    let begun = std::time::Instant::now();
    assert_eq!(load(&text).policy.credentials.len(), 1001);
    // An unoptimised build on a busy machine; what grows with the square takes minutes.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn a_cron_expression_that_is_wrong_says_in_which_field() {
    for (cron, told) in [
        ("99 9 * * Mon", "the minute of the cron expression is not valid"),
        ("0 24 * * *", "the hour of the cron expression is not valid"),
        ("0 9 32 * *", "the day of the month of the cron expression is not valid"),
        ("0 9 * 13 *", "the month of the cron expression is not valid"),
        ("0 9 * * Mno", "the weekday of the cron expression is not valid"),
        ("0 9 * *", "not a cron expression with five fields"),
    ] {
        let text = REFERENCE.replace("cron = \"0 10 * * Fri\"", &format!("cron = \"{cron}\""));
        assert_ne!(text, REFERENCE);
        let problems = config::load(&text, "policy.toml", &BTreeMap::new()).err().unwrap().to_string();
        assert!(problems.contains(told), "{cron}: {problems}");
    }
}
