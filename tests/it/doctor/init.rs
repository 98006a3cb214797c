//! `rekeyd init`: the policy that it writes is one that `rekeyd check` takes, whatever a workspace lists.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::config;
use rekeyd::domain::gate::{Gate, Idle, WhenUnknown};
use rekeyd::domain::ids::CredentialName;
use rekeyd::domain::sharing::SharingGroups;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::analytics::rules::AnalyticsRules;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::settings::{Granted, Settings};

use super::harness::{Harness, command, restricted};

fn init(harness: &Harness, more: &[&str]) -> (Output, String) {
    let mut run = command(Path::new(env!("CARGO_BIN_EXE_rekeyd")));
    run.args(["init", "--base-url", &harness.sandbox.base_url(), "--admin-key-file"])
        .arg(harness.path("admin"));
    let output = run.args(more).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let all = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    for value in harness.sandbox.workspace().values() {
        assert!(!all.contains(value), "a key's value is told");
    }
    (output, all)
}

fn drafted(harness: &Harness, more: &[&str]) -> (String, config::Config) {
    let (output, text) = init(harness, &[&["--dry-run", "--store", "aws:eu-west-1"], more].concat());
    assert!(output.status.success(), "{text}");
    let config = config::load(&text, "drafted", &std::collections::BTreeMap::new());
    let config = config.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    assert!(config.warnings().problems.is_empty(), "{}\n{text}", config.warnings());
    (text, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_with_one_usable_key_become_credentials_and_the_others_comments_with_the_reason() {
    let harness = Harness::build(Rules::default()).await;
    let now = SystemClock.now();
    let accounts = ["none", "several", "wide", "rekeyd", "dead"].map(|name| {
        let mut workspace = harness.sandbox.workspace();
        workspace.create_account(name, now)
    });
    let [_, several, wide, rekeyd, dead] = &accounts;
    let make = |account: &str, settings: Settings| {
        harness.sandbox.workspace().create_key(account, settings, now).unwrap().id
    };
    let groups = SharingGroups::default().with("g1", "viewer").with("g2", "editor");
    harness.sandbox.workspace().share(several, groups).unwrap();
    let first = make(several, restricted(&["text_to_speech"]));
    make(several, restricted(&["text_to_speech"]));
    make(wide, Settings::new("wide", Granted::All));
    make(rekeyd, restricted(&["service_account_write"]));
    make(dead, Settings { disabled: true, ..restricted(&["text_to_speech"]) });
    let (text, config) = drafted(&harness, &["--store", "dir:/run/rekeyd/secrets"]);
    let names: Vec<&str> = config.policy.credentials.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["tts"], "{text}");
    for reason in [
        "Skipped `none`",
        "it has no key",
        "it has 2 enabled keys",
        &format!("# adopt = \"{first}\""),
        "its key is unrestricted",
        "its key can administer the workspace",
        "all of its keys are disabled or expired",
        &format!("adopts its key `{}`", harness.key),
        "with permissions: text_to_speech",
    ] {
        assert!(text.contains(reason), "{reason}\n{text}");
    }
    // A comment taken out is a credential: what was left out is a policy too.
    let open = text.lines().map(|line| {
        let keys = ["[credentials", "service_account =", "adopt =", "publish_to =", "create_account ="];
        let is_entry = keys.iter().chain(&["permissions =", "mode ="]);
        let is_entry =
            is_entry.into_iter().any(|it| line.strip_prefix("# ").is_some_and(|line| line.starts_with(it)));
        if is_entry { &line[2..] } else { line }
    });
    let open = open.collect::<Vec<_>>().join("\n");
    let config = config::load(&open, "opened", &std::collections::BTreeMap::new())
        .unwrap_or_else(|it| panic!("{it}\n{open}"));
    assert_eq!(config.policy.credentials.len(), 7);
    let new = config.policy.credentials.values().find(|it| it.create_account.is_some()).unwrap();
    assert_eq!((new.service_account.as_str(), new.first.is_some()), ("new-application", true));
    assert!(text.contains("groups of the accounts listed here: g1, g2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_and_equal_names_become_names_of_their_own_that_mean_their_accounts() {
    let harness = Harness::build(Rules { accounts_max: 500, ..Rules::default() }).await;
    let now = SystemClock.now();
    let long = "x".repeat(300);
    let odd = [
        "tts",
        "TTS",
        "a \"quoted\" name",
        "new\nline",
        "turned\u{202e}round",
        "tts\u{200b}",
        "--",
        "日本語",
        "",
        " spaces ",
        "a.b",
        "it's",
        "back\\slash",
        "]] # [[",
        &long,
    ];
    let many: Vec<String> = (0..150).map(|number| format!("Team {}", number % 75)).collect();
    for name in odd.iter().copied().chain(many.iter().map(String::as_str)) {
        let mut workspace = harness.sandbox.workspace();
        let account = workspace.create_account(name, now);
        workspace.create_key(&account, restricted(&["text_to_speech"]), now).unwrap();
    }
    let (text, config) = drafted(&harness, &[]);
    assert!(text.chars().all(|c| c == '\n' || !rekeyd::domain::sanitize::is_unseen(c)), "{text:?}");
    assert_eq!(config.policy.credentials.len(), 1 + odd.len() + many.len(), "{text}");
    // Each means one account, by its name or its id, and no two the same.
    let truth = harness.sandbox.truth();
    let mut meant = std::collections::BTreeSet::new();
    for credential in config.policy.credentials.values() {
        let wanted = &credential.service_account;
        let is_it = |account: &&rekeyd::sandbox::truth::AccountTruth| {
            account.name == *wanted || account.service_account_user_id == *wanted
        };
        let found: Vec<_> = truth.accounts.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{wanted:?}");
        assert!(meant.insert(found[0].service_account_user_id.clone()), "{wanted:?} is meant twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_passes_check_and_the_doctor_and_is_never_overwritten() {
    let harness = Harness::build(Rules::default()).await;
    let path = harness.path("written.toml");
    let store = format!("dir:{}", harness.path("secrets").display());
    let arguments = ["--store", &store, "--policy", path.to_str().unwrap()];
    let (output, text) = init(&harness, &arguments);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("credentials: 1, skipped: 0") && text.contains("\n  rekeyd check "), "{text}");
    assert!(
        text.contains("rekeyd doctor --policy") && text.contains("systemctl enable --now rekeyd"),
        "{text}"
    );
    let checked = Command::new(env!("CARGO_BIN_EXE_rekeyd")).arg("check").arg(&path).output().unwrap();
    assert!(
        checked.status.success() && checked.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );

    let written = std::fs::read_to_string(&path).unwrap();
    let told = harness.doctor(&format!(
        "{}\n{written}",
        "[daemon]\nlisten = \"127.0.0.1:0\"\nsocket = \"SOCKET\"\njournal.sqlite.path = \"STATE\"\n"
            .replace("SOCKET", harness.path("s").to_str().unwrap())
            .replace("STATE", harness.path("state/journal.db").to_str().unwrap())
    ));
    assert_eq!(told.json["counts"]["error"], 0, "{}", told.text);
    told.says("key", "ok", &["credential `tts`", "will be adopted"]);

    std::fs::write(&path, "mine").unwrap();
    let (output, text) = init(&harness, &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("already exists and is not overwritten"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_refused_or_may_not_list_and_what_was_not_said_end_with_what_to_do() {
    let harness = Harness::build(Rules::default()).await;
    let path = harness.path("written.toml");
    let refused = |more: &[&str], code: i32, words: &str| {
        let (output, text) = init(&harness, &[more, &["--policy", path.to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(words), "{words}\n{text}");
        assert!(!path.exists());
    };
    refused(&[], 2, "`--store aws:REGION` or `--store dir:PATH`");
    refused(&["--store", "s3:x"], 2, "pass `aws:REGION`");
    refused(&["--store", "dir:relative"], 2, "absolute path");
    let aws = ["--store", "aws:eu-west-1"];
    harness.administer_with("sk_planted_and_unknown");
    refused(&aws, 1, "create a new admin key in the workspace");
    let small = harness.sandbox.workspace().create_key(
        &harness.account,
        restricted(&["text_to_speech"]),
        SystemClock.now(),
    );
    harness.administer_with(&small.unwrap().value);
    refused(&aws, 1, "the permission to manage service accounts (`service_account_write`");
    std::fs::remove_file(harness.path("admin")).unwrap();
    refused(&aws, 1, "`install -m 0400 /dev/stdin FILE`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_key_from_the_standard_input_is_in_no_argument_and_is_left_to_the_unit() {
    let harness = Harness::build(Rules::default()).await;
    let mut run = command(Path::new(env!("CARGO_BIN_EXE_rekeyd")));
    run.args([
        "init",
        "--dry-run",
        "--store",
        "aws:eu-west-1",
        "--admin-key-file",
        "-",
        "--base-url",
        &harness.sandbox.base_url(),
    ]);
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", harness.sandbox.admin_key()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success()
            && text.contains("admin_key = { systemd_credential = \"elevenlabs-admin-key\" }"),
        "{text}"
    );
    assert!(!text.contains(&harness.sandbox.admin_key()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_in_use_gets_a_gate_that_waits_until_it_is_idle_and_the_others_are_told_what_is_known()
{
    let harness = Harness::build(Rules::default()).await;
    let now = SystemClock.now();
    let make = |account: &str| {
        let mut workspace = harness.sandbox.workspace();
        workspace.create_key(account, restricted(&["text_to_speech"]), now).unwrap()
    };
    let account = |name: &str| harness.sandbox.workspace().create_account(name, now);
    make(&account("silent"));
    let several = account("several");
    let (first, second) = (make(&several), make(&several));
    let value = harness.sandbox.workspace().values().nth(1).unwrap().to_owned();
    harness.speak(&value, "tts-api").await;
    harness.speak(&second.value, "batch").await;
    let (text, config) = drafted(&harness, &[]);
    let named = |name: &str| CredentialName::new(name).unwrap();
    let gates = |name: &str| config.policy.credentials[&named(name)].terms.gates.clone();
    let day = jiff::SignedDuration::from_hours(24);
    assert_eq!(gates("tts"), [Gate::Idle(Idle { quiet: day, when_unknown: WhenUnknown::Hold })], "{text}");
    assert_eq!(gates("silent"), [], "{text}");
    for words in [
        "# Last used ",
        "request_source=tts-api",
        "# Its use: no use seen since ",
        &format!("`{}`, `{}`, last used ", first.id, second.id),
        &format!("# adopt = \"{}\"", second.id),
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    // Where the workspace shows nothing, that is said, and a person decides.
    let analytics = AnalyticsRules { full_read_is_required: true, ..AnalyticsRules::default() };
    let harness = Harness::build(Rules { analytics, ..Rules::default() }).await;
    let admin = harness.sandbox.workspace().create_account("rekeyd", now);
    let settings = restricted(&["service_account_write"]);
    let admin = harness.sandbox.workspace().create_key(&admin, settings, now).unwrap();
    harness.administer_with(&admin.value);
    let (text, config) = drafted(&harness, &[]);
    assert!(text.contains("# Its use: cannot be known: "), "{text}");
    assert!(text.contains("workspace_analytics_full_read"), "{text}");
    assert!(config.policy.credentials[&named("tts")].is_confirmed_first(), "{text}");
}
