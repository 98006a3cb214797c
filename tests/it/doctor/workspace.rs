//! What is found of a workspace and of the credentials in it.

use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::sharing::SharingGroups;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::analytics::rules::AnalyticsRules;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::settings::{Granted, Settings};

use super::harness::{Harness, restricted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_in_order_is_not_broken_and_everything_that_was_looked_at_is_listed() {
    let harness = Harness::build(Rules::default()).await;
    let told = harness.doctor(&harness.policy());
    assert_eq!((told.code, &told.json["counts"]["error"]), (Some(0), &0.into()), "{}", told.text);
    for (check, words) in [
        ("policy_file", "valid; credentials: 1"),
        ("schedule", "the schedule can be kept"),
        ("secret", "is readable"),
        ("dns", "addresses: 1"),
        ("admin_key", "accepted; service accounts: 1, keys: 1"),
        ("provider_clock", ""),
        ("capabilities", "key expiry, address allow-lists, leak reports, usage by key"),
        ("analytics", "usage_by_key"),
        ("audit_log", "is readable"),
        ("service_account", "service account `tts`"),
        ("key", harness.key.as_str()),
        ("directory", "the daemon creates it"),
        ("published_value", "the first rotation publishes it"),
        ("journal", "the daemon creates it"),
        ("state_directory", "writable"),
        ("disk", " free"),
        ("listen", "free"),
        ("socket", "can be created"),
    ] {
        told.says(check, "ok", &[words]);
    }
    let requests = harness.sandbox.truth().requests;
    let harmless = [Route::ListAccounts, Route::Usage, Route::RequestLog, Route::AuditLog];
    assert!(requests.keys().all(|route| harmless.contains(route)), "{requests:?}");
    assert!(
        !harness.path("secrets").exists() && !harness.path("state/journal.db").exists(),
        "it has made something"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_key_that_is_dead_or_may_not_administer_is_told_apart() {
    let harness = Harness::build(Rules::default()).await;
    harness.administer_with("sk_planted_and_unknown");
    let told = harness.doctor(&harness.policy());
    told.says("admin_key", "error", &["[create a new admin key in the workspace"]);
    let now = SystemClock.now();
    let small = harness
        .sandbox
        .workspace()
        .create_key(&harness.account, restricted(&["text_to_speech"]), now)
        .unwrap();
    harness.administer_with(&small.value);
    let told = harness.doctor(&harness.policy());
    told.says(
        "admin_key",
        "error",
        &["[grant the admin key the permission to manage service accounts (`service_account_write`"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_key_without_the_analytics_hurts_only_who_waits_for_evidence() {
    let analytics = AnalyticsRules { full_read_is_required: true, ..AnalyticsRules::default() };
    let harness = Harness::build(Rules { analytics, ..Rules::default() }).await;
    let now = SystemClock.now();
    let other = harness.sandbox.workspace().create_account("rekeyd", now);
    let admin =
        harness.sandbox.workspace().create_key(&other, restricted(&["service_account_write"]), now).unwrap();
    harness.administer_with(&admin.value);
    let told = harness.doctor(&harness.policy());
    told.says("analytics", "ok", &["not needed by this policy"]);
    told.says("audit_log", "ok", &["rotations do not need it"]);
    let told = harness.doctor(&format!("{}wait_for = {{ idle = \"30m\" }}\n", harness.policy()));
    told.says("analytics", "warning", &["[grant the admin key `workspace_analytics_full_read`"]);
    told.says("evidence", "warning", &["credential `tts`", "when_unknown"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_of_a_key_without_a_usage_hash_cannot_be_had() {
    let harness = Harness::build(Rules::default()).await;
    let told = harness.doctor(&format!("{}wait_for = {{ idle = \"30m\" }}\n", harness.policy()));
    told.says("evidence", "ok", &["the first rotation confirms"]);
    harness.sandbox.workspace().rules.api_version = ApiVersion::August2025;
    let told = harness
        .doctor(&format!("{}wait_for = {{ idle = \"30m\" }}\nkey_lifetime = \"60d\"\n", harness.policy()));
    told.says("evidence", "warning", &["credential `tts`"]);
    told.says(
        "capabilities",
        "warning",
        &["`tts` relies on", "[remove `key_lifetime` and `expire_old_key` from"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sharing_groups_and_an_account_that_does_not_exist_yet_are_told_by_api_version() {
    let harness = Harness::build(Rules::default()).await;
    let groups = SharingGroups::default().with("g1", "editor");
    harness.sandbox.workspace().share(&harness.account, groups).unwrap();
    let creating = "create_account = { groups = [\"g2\"] }\npermissions = [\"text_to_speech\"]\n";
    let there = format!("{}{creating}", harness.policy());
    let missing = there.replace("service_account = \"tts\"", "service_account = \"new\"");
    let told = harness.doctor(&there);
    told.says("service_account", "ok", &["sharing groups: `g1` (editor)"]);
    let differs = "differ from `create_account`: removed `g2`, added `g1` (editor)";
    told.says("service_account", "warning", &[differs, "[change them in the dashboard"]);
    told.says("capabilities", "ok", &["sharing groups of service accounts are listed"]);
    let told = harness.doctor(&missing);
    told.says(
        "service_account",
        "ok",
        &["`new` does not exist yet; rekeyd creates it, sharing groups: `g2` (viewer)"],
    );
    let observed = format!("{missing}mode = \"observe\"\n");
    harness.doctor(&observed).says("service_account", "warning", &["an observed credential creates none"]);
    harness.sandbox.workspace().rules.api_version = ApiVersion::August2025;
    let told = harness.doctor(&there);
    told.says("capabilities", "ok", &["this API version does not list sharing groups"]);
    let told = harness.doctor(&missing);
    told.says(
        "service_account",
        "warning",
        &["it may not create accounts", "[create the account in the dashboard"],
    );
    assert_eq!(harness.sandbox.truth().accounts.len(), 1, "the doctor creates nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_and_keys_that_no_rotation_could_begin_with_are_found_with_what_to_write() {
    let harness = Harness::build(Rules::default()).await;
    let policy = harness.policy();
    let told = harness.doctor(&policy.replace("service_account = \"tts\"", "service_account = \"tss\""));
    told.says(
        "service_account",
        "error",
        &["no service account `tss`", "[set `service_account` to the exact name or ID"],
    );

    let now = SystemClock.now();
    let mut twin = harness.sandbox.workspace();
    let twin_id = twin.create_account("tts", now);
    drop(twin);
    let told = harness.doctor(&policy);
    told.says("service_account", "error", &["2 service accounts are named `tts`", &twin_id]);

    let by_id =
        policy.replace("service_account = \"tts\"", &format!("service_account = \"{}\"", harness.account));
    let second =
        harness.sandbox.workspace().create_key(&harness.account, restricted(&["dubbing_read"]), now).unwrap();
    let told = harness.doctor(&by_id);
    told.says("key", "error", &["2 enabled keys", &second.id, "[set `adopt` to the ID"]);

    let adopting = format!("{by_id}adopt = \"{}\"\n", second.id);
    harness.doctor(&adopting).says("key", "ok", &[&second.id, "dubbing_read"]);
    let told = harness.doctor(&format!("{adopting}permissions = [\"text_to_speech\"]\n"));
    told.says("key", "error", &["has more permissions", "dubbing_read", "[restrict the key"]);

    let wide = Settings::new("wide", Granted::All);
    let wide = harness.sandbox.workspace().create_key(&harness.account, wide, now).unwrap();
    let told = harness.doctor(&format!("{by_id}adopt = \"{}\"\n", wide.id));
    told.says("key", "error", &["is unrestricted", "allow_unrestricted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_is_found_before_a_rotation_is_held_by_it() {
    let harness = Harness::build(Rules::default()).await;
    for (seconds, severity, words) in [
        (30, "warning", "s ahead of this machine's"),
        (-1200, "error", "s behind this machine's, more than `daemon.clock_skew_max`"),
    ] {
        harness.sandbox.workspace().rules.date_skew = SignedDuration::from_secs(seconds);
        let told = harness.doctor(&harness.policy());
        told.says(
            "provider_clock",
            severity,
            &[words, "[synchronize the clock: `timedatectl set-ntp true`]"],
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_nowhere_is_said_once_and_nothing_is_called() {
    let harness = Harness::build(Rules::default()).await;
    let told =
        harness.doctor(&harness.policy().replace(&harness.sandbox.base_url(), "https://api.nowhere.invalid"));
    told.says(
        "dns",
        "error",
        &["cannot resolve `api.nowhere.invalid`", "`getent hosts api.nowhere.invalid`"],
    );
    told.says("admin_key", "error", &["not tested"]);
    assert!(told.of("key").is_empty());
    assert!(harness.sandbox.truth().requests.is_empty());
}
