//! Game day: faults are staged with the real program; the alert that fires, what status and page say, and the runbook's
//! commands that mend it, run as they are written.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod changed;
mod consumers;
mod dependencies;
mod harness;
mod leaks;
mod machine;
mod silent;
mod store;

use std::fs;

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::settings::{Granted, Settings};
use rustix::process::Signal;

use harness::Harness;

/// A key that works, of an account that no policy names.
fn made_in_the_dashboard(harness: &Harness, permissions: &[&str]) -> String {
    let now = SystemClock.now();
    let mut workspace = harness.rehearsal.stage.sandbox.workspace();
    let account = workspace.create_account("somebody", now);
    let granted = Granted::Only(permissions.iter().map(|it| (*it).to_owned()).collect());
    workspace.create_key(&account, Settings::new("by a person", granted), now).unwrap().value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_key_that_was_deleted_is_told_and_replaced() {
    let mut harness = Harness::open(61).await;
    let stage = &harness.rehearsal.stage;
    stage.sandbox.workspace().delete_key("admin", SystemClock.now()).unwrap();
    harness.tells("rekeyd_workspace_failing{workspace=\"sandbox\",kind=\"unauthenticated\"} 1").await;
    harness.raises(&["RekeydAdminKeyRejected"]).await;
    harness.types("rekeyd rotate tts-backend").await;
    harness.status_says(&["workspace_unusable", "rekeyd doctor"]).await;
    harness.page_says("/", &["rejects the admin key", "rekeyd doctor"]).await;
    harness.page_says("/credentials/tts-backend", &["workspace_unusable", "rekeyd doctor"]).await;

    let key = made_in_the_dashboard(&harness, &["service_account_write", "user_read"]);
    fs::write(harness.rehearsal.stage.root().join("new-admin-key"), key).unwrap();
    harness.follows("RekeydAdminKeyRejected", |_, _| false).await;
    harness.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_with_a_typo_is_told_and_mended() {
    let mut harness = Harness::open(62).await;
    let path = harness.rehearsal.stage.policy();
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("quarantine", "quarantaine")).unwrap();
    harness.signal(Signal::HUP);
    harness.tells("rekeyd_policy_reload_success 0").await;
    harness.raises(&["RekeydPolicyReloadFailed"]).await;
    harness.page_says("/", &["The newest policy was rejected", "rekeyd check /etc/rekeyd/policy.toml"]).await;
    let found = harness.types("rekeyd check /etc/rekeyd/policy.toml").await;
    assert!(found.contains("quarantaine"), "{found}");

    let edits = |_: &Harness, command: &str| {
        let is_edit = command.starts_with("sudoedit ");
        if is_edit {
            fs::write(&path, &good).unwrap();
        }
        is_edit
    };
    harness.follows("RekeydPolicyReloadFailed", edits).await;
    harness.tells("rekeyd_policy_reload_success 1").await;
    harness.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_for_a_while_is_told_and_waited_for() {
    let mut harness = Harness::open(63).await;
    let down = [Route::ListAccounts, Route::ListKeys, Route::User];
    let down = down.map(|route| Fault::on(route, What::Refuse(Refused::with(503, "unavailable"))));
    harness.rehearsal.stage.sandbox.set_faults(down.to_vec());
    harness.tells("rekeyd_workspace_reachable{workspace=\"sandbox\"} 0").await;
    harness.raises(&["RekeydWorkspaceUnreachable"]).await;
    harness.page_says("/", &["Workspace sandbox is unreachable", "rekeyd doctor"]).await;
    harness.follows("RekeydWorkspaceUnreachable", |_, _| false).await;
    harness.rehearsal.stage.sandbox.set_faults(Vec::new());
    harness.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_a_person_wrote_is_told_and_replaced() {
    let mut harness = Harness::open(64).await;
    let foreign = made_in_the_dashboard(&harness, &["text_to_speech"]);
    let secrets = harness.rehearsal.stage.root().join("secrets");
    fs::write(secrets.join("by-hand"), foreign).unwrap();
    fs::rename(secrets.join("by-hand"), secrets.join("tts-backend")).unwrap();
    harness.types("rekeyd sweep").await;
    harness.tells("kind=\"destination_changed\"} 1").await;
    harness.raises(&["RekeydOutOfBandChange"]).await;
    harness.status_says(&["out_of_sync", "rekeyd rotate tts-backend"]).await;
    harness
        .page_says("/credentials/tts-backend", &["destination_changed", "rekeyd rotate tts-backend"])
        .await;
    harness.types("rekeyd rotate tts-backend").await;
    harness.tells("reason=\"foreign_value\"} 1").await;
    let raised = harness.alerts().await;
    assert!(raised.iter().any(|it| it == "RekeydRotationParkedConsumersAffected"), "{raised:?}");
    harness.status_says(&["foreign_value", "rekeyd retry --overwrite tts-backend"]).await;
    harness.follows("`foreign_value`", |_, _| false).await;
    harness.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_differ_are_told_and_waited_for() {
    let mut harness = Harness::open(65).await;
    let skew = |harness: &Harness, minutes| {
        let skew = jiff::SignedDuration::from_mins(minutes);
        harness.rehearsal.stage.sandbox.workspace().rules.date_skew = skew;
    };
    skew(&harness, -10);
    harness.types("rekeyd sweep").await;
    harness.tells("rekeyd_workspace_clock_skew_seconds{workspace=\"sandbox\"} -600").await;
    harness.raises(&["RekeydClockSkewed"]).await;
    harness.page_says("/", &["provider 600 s behind"]).await;
    let mends = |harness: &Harness, command: &str| {
        let is_clock = command.starts_with("timedatectl");
        if is_clock {
            skew(harness, 0);
        }
        is_clock
    };
    harness.follows("RekeydClockSkewed", mends).await;
    harness.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_is_told_and_gone() {
    let mut harness = Harness::open(66).await;
    let before = harness.scrape().await;
    let orphan = {
        let now = SystemClock.now();
        let truth = harness.rehearsal.stage.sandbox.truth();
        let account = &truth.account("dubbing").unwrap().service_account_user_id;
        let granted = Granted::Only(vec!["text_to_speech".to_owned()]);
        // A rotation of this journal made it, and lost it.
        let rotations = harness.rehearsal.chronicle.rotations().unwrap();
        let plan =
            rotations.iter().map(|told| &told.rotation.plan).find(|it| it.credential.as_str() == "dubbing");
        let name = plan.map(|plan| plan.rotation.nonce(7).key_name(&plan.credential)).unwrap();
        let mut workspace = harness.rehearsal.stage.sandbox.workspace();
        workspace.create_key(account, Settings::new(name, granted), now).unwrap().id
    };
    harness.types("rekeyd sweep").await;
    harness.tells("rekeyd_orphans_deleted_total 1").await;
    let raised = harness.alerts_since(&before).await;
    assert_eq!(raised, ["RekeydOrphanDeleted"]);
    let said = harness.rehearsal.said();
    assert!(said.contains("deleted an orphan") && said.contains(&orphan), "{}", harness.rehearsal.tail());
    harness.page_says("/", &["Orphaned key deleted", &orphan, "rekeyd history dubbing"]).await;
    harness.status_says(&["orphan_deleted", &orphan, "rekeyd history dubbing"]).await;
    let audit = "rekeyd audit --credential dubbing --journal /var/lib/rekeyd/journal.db";
    assert!(harness.types(audit).await.contains(&orphan));
    harness.follows("RekeydOrphanDeleted", |_, _| false).await;
    harness.ends_well().await;
}
