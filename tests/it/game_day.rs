//! Game day: faults are staged with the real program; the alert that fires, what status and page say, and the runbook's
//! commands that mend it, run as they are written.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod entries;
mod machine;
mod store;
mod theatre;

use std::fs;

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::settings::{Granted, Settings};
use rustix::process::Signal;

use theatre::Theatre;

/// A key that works, of an account that no policy names.
fn made_in_the_dashboard(theatre: &Theatre, permissions: &[&str]) -> String {
    let now = SystemClock.now();
    let mut workspace = theatre.rehearsal.stage.sandbox.workspace();
    let account = workspace.create_account("somebody", now);
    let granted = Granted::Only(permissions.iter().map(|it| (*it).to_owned()).collect());
    workspace.create_key(&account, Settings::new("by a person", granted), now).unwrap().value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_key_that_was_deleted_is_told_and_replaced() {
    let mut theatre = Theatre::open(61).await;
    let stage = &theatre.rehearsal.stage;
    stage.sandbox.workspace().delete_key("admin", SystemClock.now()).unwrap();
    theatre.tells("rekeyd_workspace_failing{workspace=\"sandbox\",kind=\"unauthenticated\"} 1").await;
    theatre.raises(&["RekeydAdminKeyDead"]).await;
    theatre.types("rekeyd rotate tts-backend").await;
    theatre.status_says(&["workspace_unusable", "rekeyd doctor"]).await;
    theatre.page_says("/", &["refuses the admin key", "rekeyd doctor"]).await;
    theatre.page_says("/credentials/tts-backend", &["workspace_unusable", "rekeyd doctor"]).await;

    let key = made_in_the_dashboard(&theatre, &["service_account_write", "user_read"]);
    fs::write(theatre.rehearsal.stage.root().join("new-admin-key"), key).unwrap();
    theatre.follows("RekeydAdminKeyDead", |_, _| false).await;
    theatre.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_with_a_typo_is_told_and_mended() {
    let mut theatre = Theatre::open(62).await;
    let path = theatre.rehearsal.stage.policy();
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("quarantine", "quarantaine")).unwrap();
    theatre.signal(Signal::HUP);
    theatre.tells("rekeyd_policy_reload_success 0").await;
    theatre.raises(&["RekeydPolicyRefused"]).await;
    theatre.page_says("/", &["The newest policy was refused", "rekeyd check /etc/rekeyd/policy.toml"]).await;
    let found = theatre.types("rekeyd check /etc/rekeyd/policy.toml").await;
    assert!(found.contains("quarantaine"), "{found}");

    let edits = |_: &Theatre, command: &str| {
        let is_edit = command.starts_with("sudoedit ");
        if is_edit {
            fs::write(&path, &good).unwrap();
        }
        is_edit
    };
    theatre.follows("RekeydPolicyRefused", edits).await;
    theatre.tells("rekeyd_policy_reload_success 1").await;
    theatre.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_for_a_while_is_told_and_waited_for() {
    let mut theatre = Theatre::open(63).await;
    let down = [Route::ListAccounts, Route::ListKeys, Route::User];
    let down = down.map(|route| Fault::on(route, What::Refuse(Refused::with(503, "unavailable"))));
    theatre.rehearsal.stage.sandbox.set_faults(down.to_vec());
    theatre.tells("rekeyd_workspace_reachable{workspace=\"sandbox\"} 0").await;
    theatre.raises(&["RekeydWorkspaceUnreachable"]).await;
    theatre.page_says("/", &["Workspace sandbox does not answer as it should", "rekeyd doctor"]).await;
    theatre.follows("RekeydWorkspaceUnreachable", |_, _| false).await;
    theatre.rehearsal.stage.sandbox.set_faults(Vec::new());
    theatre.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_a_person_wrote_is_told_and_replaced() {
    let mut theatre = Theatre::open(64).await;
    let foreign = made_in_the_dashboard(&theatre, &["text_to_speech"]);
    let secrets = theatre.rehearsal.stage.root().join("secrets");
    fs::write(secrets.join("by-hand"), foreign).unwrap();
    fs::rename(secrets.join("by-hand"), secrets.join("tts-backend")).unwrap();
    theatre.types("rekeyd sweep").await;
    theatre.tells("kind=\"destination_changed\"} 1").await;
    theatre.raises(&["RekeydDrift"]).await;
    theatre.status_says(&["drifted", "rekeyd rotate tts-backend"]).await;
    theatre
        .page_says("/credentials/tts-backend", &["destination_changed", "rekeyd rotate tts-backend"])
        .await;
    theatre.types("rekeyd rotate tts-backend").await;
    theatre.tells("reason=\"foreign_value\"} 1").await;
    let raised = theatre.alerts().await;
    assert!(raised.iter().any(|it| it == "RekeydRotationParkedConsumersHurt"), "{raised:?}");
    theatre.status_says(&["foreign_value", "rekeyd retry --overwrite tts-backend"]).await;
    theatre.follows("`foreign_value`", |_, _| false).await;
    theatre.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_differ_are_told_and_waited_for() {
    let mut theatre = Theatre::open(65).await;
    let skew = |theatre: &Theatre, minutes| {
        let skew = jiff::SignedDuration::from_mins(minutes);
        theatre.rehearsal.stage.sandbox.workspace().rules.date_skew = skew;
    };
    skew(&theatre, -10);
    theatre.types("rekeyd sweep").await;
    theatre.tells("rekeyd_workspace_clock_skew_seconds{workspace=\"sandbox\"} -600").await;
    theatre.raises(&["RekeydClockSkewed"]).await;
    theatre.page_says("/", &["the provider's is 600 s behind"]).await;
    let mends = |theatre: &Theatre, command: &str| {
        let is_clock = command.starts_with("timedatectl");
        if is_clock {
            skew(theatre, 0);
        }
        is_clock
    };
    theatre.follows("RekeydClockSkewed", mends).await;
    theatre.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_is_told_and_gone() {
    let mut theatre = Theatre::open(66).await;
    let before = theatre.scrape().await;
    let orphan = {
        let now = SystemClock.now();
        let truth = theatre.rehearsal.stage.sandbox.truth();
        let account = &truth.account("dubbing").unwrap().service_account_user_id;
        let granted = Granted::Only(vec!["text_to_speech".to_owned()]);
        // A rotation of this journal made it, and lost it.
        let rotations = theatre.rehearsal.chronicle.rotations().unwrap();
        let plan =
            rotations.iter().map(|told| &told.rotation.plan).find(|it| it.credential.as_str() == "dubbing");
        let name = plan.map(|plan| plan.rotation.nonce(7).key_name(&plan.credential)).unwrap();
        let mut workspace = theatre.rehearsal.stage.sandbox.workspace();
        workspace.create_key(account, Settings::new(name, granted), now).unwrap().id
    };
    theatre.types("rekeyd sweep").await;
    theatre.tells("rekeyd_orphans_deleted_total 1").await;
    let raised = theatre.alerts_since(&before).await;
    assert_eq!(raised, ["RekeydOrphanFound"]);
    let said = theatre.rehearsal.said();
    assert!(said.contains("deleted an orphan") && said.contains(&orphan), "{}", theatre.rehearsal.tail());
    theatre.page_says("/", &["An orphan was found and deleted", &orphan, "rekeyd history dubbing"]).await;
    theatre.status_says(&["orphan_deleted", &orphan, "rekeyd history dubbing"]).await;
    let audit = "rekeyd audit --credential dubbing --journal /var/lib/rekeyd/journal.db";
    assert!(theatre.types(audit).await.contains(&orphan));
    theatre.follows("RekeydOrphanFound", |_, _| false).await;
    theatre.ends_well().await;
}
