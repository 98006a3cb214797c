//! Our audit log against the workspace's own, both written by the real program's work.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::process::Command;

use rekeyd::adapters::clock::SystemClock;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::demo::fixture::Pace;
use rekeyd::ports::clock::Clock as _;
use rekeyd::ports::journal::AuditReader;
use serde_json::Value;

use crate::support::rehearsal::Rehearsal;

async fn compare(rehearsal: &Rehearsal, output: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.args(["audit", "compare", "--output", output, "--policy"]).arg(rehearsal.stage.policy());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rekeyd_did_is_told_apart_from_what_somebody_else_did_to_its_keys() {
    let pace = Pace::new("3s", "1s", "200ms");
    let rehearsal = Rehearsal::set(9, &pace).await;
    let daemon = rehearsal.launcher.start().await.unwrap();
    let journal = rehearsal.stage.journal();
    let records = || SqliteJournal::open_read_only(&journal).unwrap().audit(0, 100_000).unwrap();
    let gone = |_: &Rehearsal| records().iter().filter(|it| it.act.what == "old_key_gone").count() >= 3;
    rehearsal.until("three rotations are done", gone).await;
    daemon.stop().await.unwrap();

    let (code, told) = compare(&rehearsal, "json").await;
    let answer: Value = serde_json::from_str(&told).unwrap();
    let of_workspace = &answer["workspaces"][0];
    assert_eq!((code, &of_workspace["foreign"]), (Some(0), &serde_json::json!([])), "{told}");
    // Made, disabled and deleted, three times.
    assert!(of_workspace["matched"].as_u64().unwrap() >= 8, "{told}");
    assert_eq!(of_workspace["unseen"], serde_json::json!([]), "{told}");

    let minted: Vec<_> = records().into_iter().filter(|it| it.act.what == "minted").collect();
    let newest = minted.last().unwrap().act.key().unwrap();
    rehearsal.stage.sandbox.workspace().delete_key(newest.as_str(), SystemClock.now()).unwrap();
    let (code, told) = compare(&rehearsal, "table").await;
    assert_eq!(code, Some(4), "{told}");
    let line = format!("key {newest} was deleted by user administrator, and not by rekeyd");
    assert!(told.contains(&line) && told.contains("1 are of our keys and not ours"), "{told}");

    rehearsal.stage.sandbox.workspace().rules.enterprise = false;
    let (code, told) = compare(&rehearsal, "table").await;
    assert!(code == Some(1) && told.contains("it takes an Enterprise plan"), "{told}");
    let (_, _, stage) = rehearsal.verdict(0).await;
    stage.sandbox.shutdown().await;
}
