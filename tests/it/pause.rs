//! The real program, paused and resumed, and killed in between.

#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::process::Command;
use std::time::Duration;

use rekeyd::demo::fixture::Pace;
use rekeyd::sandbox::route::Route;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::rehearsal::Rehearsal;

/// Longer than the interval of the policy, so that every credential is due.
const LONG_ENOUGH: Duration = Duration::from_millis(4500);

async fn rekeyd(rehearsal: &Rehearsal, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.args(arguments).arg("--policy").arg(rehearsal.stage.policy());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// What must not happen in a pause.
fn deeds(rehearsal: &Rehearsal) -> [u64; 3] {
    [Route::CreateKey, Route::DisableKey, Route::DeleteKey].map(|route| rehearsal.calls(route))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_survives_being_killed_and_ends_when_somebody_says_so() {
    let pace = Pace::new("3s", "2s", "200ms");
    let rehearsal = Rehearsal::set(21, &pace).await;
    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.until("keys are revoked", |it| it.calls(Route::DeleteKey) > 0).await;
    let (code, told) = rekeyd(&rehearsal, &["pause", "--all", "--reason", "an audit"]).await;
    assert!(code == Some(0) && told.contains("everything is held everywhere by uid "), "{told}");
    let before = deeds(&rehearsal);
    daemon.kill().await.unwrap();
    let daemon = rehearsal.launcher.start().await.unwrap();
    tokio::time::sleep(LONG_ENOUGH).await;
    assert_eq!(deeds(&rehearsal), before, "{}", rehearsal.tail());
    assert!(rehearsal.said().contains("still held"), "{}", rehearsal.tail());

    let (_, table) = rekeyd(&rehearsal, &["status"]).await;
    assert!(table.contains("held: everything, fleet, by uid ") && table.contains("an audit"), "{table}");
    assert!(table.contains("next: rekeyd resume --all"), "{table}");
    let (_, json) = rekeyd(&rehearsal, &["status", "--output", "json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["holds"][0]["what"], json["holds"].as_array().unwrap().len()),
        (&"everything".into(), 1)
    );

    // Lifting something else lifts nothing.
    let (code, told) = rekeyd(&rehearsal, &["resume", "dubbing"]).await;
    assert!(code == Some(1) && told.contains("rekeyd resume --all"), "{told}");
    let (code, _) = rekeyd(&rehearsal, &["resume"]).await;
    assert_eq!(code, Some(2));
    let (code, told) = rekeyd(&rehearsal, &["resume", "--all"]).await;
    assert_eq!((code, told.as_str()), (Some(0), "everything is no longer held for fleet\n"));
    rehearsal.until("keys are made again", |it| it.calls(Route::CreateKey) > before[0]).await;

    rehearsal.stage.write_policy(&pace.at_rest()).unwrap();
    daemon.signal(Signal::HUP).unwrap();
    rehearsal.rests().await;
    daemon.stop().await.unwrap();
    let (verdict, ..) = rehearsal.verdict(1).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
}
