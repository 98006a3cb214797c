//! Somebody changes a key of rekeyd: the workspace's own audit log says who, and rekeyd looks there by itself.

use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::ports::clock::Clock as _;
use rekeyd::ports::journal::JournalReader as _;
use rekeyd::sandbox::route::Route;

use super::harness::Harness;

/// Longer than sixty inspections.
const LIMIT: Duration = Duration::from_secs(100);

fn in_service(harness: &Harness) -> String {
    let journal = SqliteJournal::open_read_only(&harness.rehearsal.stage.journal()).unwrap();
    let tts = journal.load().unwrap().into_iter().find(|(name, _)| name.as_str() == "tts-backend").unwrap().1;
    tts.unwrap().record.current.unwrap().key.to_string()
}

async fn compares(harness: &Harness) {
    let (begun, before) = (Instant::now(), harness.rehearsal.calls(Route::AuditLog));
    while harness.rehearsal.calls(Route::AuditLog) == before {
        assert!(begun.elapsed() < LIMIT, "it does not compare\n{}", harness.rehearsal.tail());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_somebody_else_changed_is_told_with_who_did_it_and_where_there_is_no_log_that_is_said_once()
 {
    let mut harness = Harness::open(87).await;
    let key = in_service(&harness);
    harness.rehearsal.stage.sandbox.workspace().change_key(&key, SystemClock.now(), |_| ()).unwrap();
    compares(&harness).await;
    harness.tells("rekeyd_keys_changed_by_others{workspace=\"sandbox\"} 1").await;
    harness.raises(&["RekeydKeyChangedByOthers"]).await;
    let said = [key.as_str(), "was changed by user administrator", "rekeyd audit compare"];
    harness.page_says("/", &["Key changed by others", said[0], said[1], said[2]]).await;
    harness.status_says(&["key_changed_by_others", said[0], "`administrator`", said[2]]).await;
    let audit = harness.types("rekeyd audit --limit 5 --journal /var/lib/rekeyd/journal.db").await;
    assert!(audit.contains("changed_by_others"), "{audit}");

    let told = |command: &str| command.contains("audit compare");
    harness.follows("RekeydKeyChangedByOthers", |_, command| told(command)).await;
    harness.says_no("rekeyd audit compare --policy /etc/rekeyd/policy.toml").await;

    harness.meanwhile(|it| it.rehearsal.stage.sandbox.workspace().rules.enterprise = false).await;
    compares(&harness).await;
    harness.raises(&[]).await;
    harness
        .rehearsal
        .until("that there is none is said", |it| it.said().contains("is not compared with rekeyd's"))
        .await;
    harness.ends(|_| true).await;
}
