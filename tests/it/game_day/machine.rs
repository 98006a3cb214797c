//! What a machine does to the journal: a file system that is full, and rows that are not what was written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::route::Route;
use rusqlite::Connection;
use serde_json::Value;

use crate::notify::receiver::Receiver;
use crate::support::rehearsal::Rehearsal;
use crate::support::tampering::tamper;

use super::harness::Harness;

/// An operator who waits for an answer.
struct Waiting(std::process::Child);

impl Waiting {
    fn types(harness: &Harness, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.args(arguments).env("REKEYD_SOCKET", harness.rehearsal.stage.socket());
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    async fn answered(mut self) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return assert!(status.success(), "{status}");
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "no answer yet");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

/// Adds a channel to the policy.
fn tell_of_troubles(harness: &Harness, receiver: &Receiver) {
    let (policy, root) = (harness.rehearsal.stage.policy(), harness.rehearsal.stage.root());
    fs::write(root.join("hook-url"), format!("{}/hook", receiver.url)).unwrap();
    fs::set_permissions(root.join("hook-url"), fs::Permissions::from_mode(0o600)).unwrap();
    let text =
        fs::read_to_string(&policy).unwrap().replacen("[daemon]", "[daemon]\nnotify_after = \"1s\"", 1);
    let channel = format!("\n[notify.hook.generic]\nurl = {{ file = \"{}/hook-url\" }}\n", root.display());
    fs::write(policy, text + &channel).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_nothing_is_made_until_there_is_room() {
    let receiver = Receiver::open().await;
    let mut harness = Harness::open(68).await;
    harness.meanwhile(|harness| tell_of_troubles(harness, &receiver)).await;
    let made = harness.rehearsal.calls(Route::CreateKey);
    harness.fill_the_disk(true);
    let asked = Waiting::types(&harness, &["rotate", "tts-backend"]);
    harness.tells("rekeyd_journal_writable 0").await;
    harness.raises(&["RekeydJournalUnusable"]).await;
    let ready: Value = serde_json::from_str(&harness.get("/readyz").await).unwrap();
    assert_eq!(
        (&ready["ready"], &ready["reasons"][0]["code"]),
        (&false.into(), &"journal_unwritable".into())
    );
    harness.status_says(&["journal_unwritable", "cannot write the journal", "findmnt -o"]).await;
    harness.page_says("/", &["Cannot write the journal", "every rotation waits", "findmnt -o"]).await;
    let is_told = |_: &Rehearsal| receiver.sent("hook").iter().any(|sent| sent.body["reason"] == "journal");
    harness.rehearsal.until("people are told", is_told).await;
    assert_eq!(harness.rehearsal.calls(Route::CreateKey), made, "a key was made that nobody could know of");

    let makes_room = |harness: &Harness, command: &str| {
        let is_room = command.starts_with("sudo journalctl --vacuum-size");
        if is_room {
            harness.fill_the_disk(false);
        }
        is_room
    };
    harness.follows("RekeydJournalUnusable", makes_room).await;
    asked.answered().await;
    harness.tells("rekeyd_journal_writable 1").await;
    let rotated = |it: &Rehearsal| it.calls(Route::CreateKey) > made;
    harness.rehearsal.until("it goes on where it was", rotated).await;
    harness.rehearsal.rests().await;
    harness.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_no_writes_while_nothing_is_written_is_found_and_a_leak_is_told_from_memory() {
    let harness = Harness::open(88).await;
    harness.rehearsal.rests().await;
    harness.tells_of("rekeyd_journal_last_write_timestamp_seconds ").await;
    harness.fill_the_disk(true);
    let begun = Instant::now();
    while !harness.scrape().await.contains("\nrekeyd_journal_writable 0") {
        assert!(begun.elapsed() < Duration::from_secs(75), "the probe does not find it");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    harness.raises(&["RekeydJournalUnusable"]).await;
    assert!(harness.get("/readyz").await.contains("\"journal_unwritable\""));
    harness.status_says(&["journal_unwritable", "cannot write the journal", "findmnt -o"]).await;
    harness.page_says("/", &["Cannot write the journal", "findmnt -o"]).await;

    let sandbox = &harness.rehearsal.stage.sandbox;
    let in_service = sandbox.truth().keys().filter(|key| key.key_id != "admin").last().unwrap().clone();
    let now = rekeyd::adapters::clock::SystemClock.now();
    sandbox.workspace().disable_key(&in_service.key_id, Some("exposed_publicly"), now).unwrap();
    harness.tells_of("rekeyd_finding{credential=").await;
    let raised = harness.alerts().await;
    assert!(raised.len() > 1 && raised.iter().any(|alert| alert == "RekeydJournalUnusable"), "{raised:?}");
    harness.page_says("/", &["Finding not recorded", &in_service.key_id]).await;
    harness.status_says(&["finding_unsaved", &in_service.key_id]).await;

    harness.fill_the_disk(false);
    harness.tells_of("rekeyd_last_emergency_completed_timestamp_seconds{credential=").await;
    harness.tells("rekeyd_journal_writable 1").await;
    // Whoever had the leaked key was refused from the moment at which the provider disabled it.
    harness.ends(|_| false).await;
}

/// What the journal holds of a credential, without what every change changes, and what is computed anew.
fn record(journal: &Path) -> Value {
    let connection = Connection::open(journal).unwrap();
    let sql = "SELECT body FROM records WHERE credential = 'tts-backend'";
    let body: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    let mut record: Value = serde_json::from_str(&body).unwrap();
    record.as_object_mut().unwrap().retain(|name, _| name != "revision" && name != "due");
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_is_told_and_made_anew_while_the_others_go_on() {
    let mut harness = Harness::open(69).await;
    let journal = harness.rehearsal.stage.journal();
    harness.types("rekeyd pause tts-backend --only revoking --reason 'so that both keys work'").await;
    harness.types("rekeyd rotate tts-backend").await;
    let begun = Instant::now();
    while !record(&journal)["open"].is_string() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", harness.rehearsal.tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut before = Value::Null;
    let damage = "UPDATE records SET body = substr(body, 1, 40) WHERE credential = 'tts-backend'";
    let damaged = |_: &Harness| {
        before = record(&journal);
        tamper(&journal, damage);
    };
    harness.meanwhile(damaged).await;
    harness.tells("rekeyd_engine_damaged_credentials 1").await;
    harness.raises(&["RekeydCredentialDamaged"]).await;
    harness.status_says(&["damaged", "broken JSON", "rekeyd repair tts-backend"]).await;
    harness.page_says("/", &["tts-backend", "broken JSON", "rekeyd repair tts-backend"]).await;
    harness.page_says("/credentials/tts-backend", &["damaged", "rekeyd repair tts-backend"]).await;
    let made = harness.rehearsal.calls(Route::CreateKey);
    harness.types("rekeyd rotate dubbing --wait").await;
    assert_eq!(harness.rehearsal.calls(Route::CreateKey), made + 1, "the others are not rotated");

    harness.follows("RekeydCredentialDamaged", |_, _| false).await;
    harness.tells("rekeyd_engine_damaged_credentials 0").await;
    let mut after = record(&journal);
    // The next inspection finds them out again.
    if after["sharing_groups"].is_null() {
        after["sharing_groups"] = before["sharing_groups"].clone();
    }
    assert_eq!(after, before);
    harness.follows("Damaged", |_, _| false).await;
    harness.types("rekeyd resume tts-backend").await;
    harness.rehearsal.rests().await;
    harness.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_damaged_come_back_from_a_backup() {
    let mut harness = Harness::open(70).await;
    let journal = harness.rehearsal.stage.journal();
    let backup = harness.rehearsal.stage.root().join("backups/journal.db");
    fs::create_dir(backup.parent().unwrap()).unwrap();
    Connection::open(&journal).unwrap().execute("VACUUM INTO ?1", [backup.to_str()]).unwrap();
    let damage = "UPDATE records SET body = '[' WHERE credential = 'tts-backend';
                  UPDATE entries SET body = '{}' WHERE sequence = 3";
    harness.meanwhile(|_| tamper(&journal, damage)).await;
    harness.raises(&["RekeydCredentialDamaged"]).await;
    let refused = harness.says_no("rekeyd repair tts-backend").await;
    assert!(refused.contains("cannot be made anew") && refused.contains("backup"), "{refused}");
    harness.status_says(&["damaged"]).await;
    harness.follows("Restore the journal from a backup", |_, _| false).await;
    harness.tells("rekeyd_engine_damaged_credentials 0").await;
    harness.ends_well().await;
}
