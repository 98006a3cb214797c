//! Who may open a journal, and in which state it must be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::event::Event;
use rekeyd::domain::record::Record;
use rekeyd::ports::journal::{
    Acknowledgements, AuditLog, AuditReader, JournalReader, OpenError, Records, RotationLog,
    WorkspaceActivity,
};

use super::samples::{
    ack, at, begun, entry, every_event, full_record, hindered, name, record, rotation, workspace,
};

fn fresh() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    (directory, path)
}

#[tokio::test]
async fn a_journal_that_is_closed_and_opened_again_holds_everything() {
    let (_directory, path) = fresh();
    let id = rotation(1);
    let journal = SqliteJournal::open(&path).unwrap();
    journal
        .append(&entry("tts", id, 0, begun("tts", "prod", id)), Some(&record("tts", 1, Some(id))))
        .await
        .unwrap();
    journal.acknowledge(&name("tts"), &ack("api", "new", 1)).await.unwrap();
    let before = (journal.load().await.unwrap().len(), journal.acks(&name("tts")).await.unwrap());
    drop(journal);
    let journal = SqliteJournal::open(&path).unwrap();
    assert_eq!((journal.load().await.unwrap().len(), journal.acks(&name("tts")).await.unwrap()), before);
    assert_eq!(journal.entries(id).await.unwrap().len(), 1);
}

#[test]
fn only_its_owner_can_read_what_a_journal_is_made_of() {
    let (directory, path) = fresh();
    let _journal = SqliteJournal::open(&path).unwrap();
    let mut names = Vec::new();
    for file in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["journal.db", "journal.db-shm", "journal.db-wal", "journal.db.lock"]);
}

#[test]
fn a_second_opening_names_the_process_that_has_it() {
    let (_directory, path) = fresh();
    let first = SqliteJournal::open(&path).unwrap();
    let error = SqliteJournal::open(&path).unwrap_err();
    let OpenError::Locked { pid, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
    drop(first);
    assert!(SqliteJournal::open(&path).is_ok());
}

fn change(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_directory, path) = fresh();
    drop(SqliteJournal::open(&path).unwrap());
    change(&path, "PRAGMA user_version = 7");
    let before = fs::read(&path).unwrap();
    for error in [SqliteJournal::open(&path).unwrap_err(), SqliteJournal::open_read_only(&path).unwrap_err()]
    {
        let OpenError::Newer { found: 7, known, .. } = &error else { panic!("{error:?}") };
        assert!(error.to_string().contains(&format!("versions up to {known}")), "{error}");
    }
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn what_is_not_a_journal_is_refused_and_left_alone() {
    let (directory, path) = fresh();
    for (text, what) in [("x".repeat(5000), "no database"), ("[journal]\n".to_owned(), "a small text")] {
        fs::write(&path, &text).unwrap();
        let error = SqliteJournal::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{what}: {error:?}");
        assert!(fs::read_to_string(&path).unwrap() == text, "{what}");
    }
    let other = directory.path().join("other.db");
    change(&other, "CREATE TABLE contacts (name TEXT)");
    let error = SqliteJournal::open(&other).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("another program"), "{error}");
}

#[test]
fn a_directory_that_is_not_there_is_named_with_what_to_type() {
    let (directory, path) = fresh();
    let missing = directory.path().join("nowhere");
    let error = SqliteJournal::open(&missing.join("journal.db")).unwrap_err().to_string();
    assert!(error.contains(&format!("install -d -m 0700 {}", missing.display())), "{error}");
    assert!(!missing.exists(), "a typing error makes no directories");

    fs::write(&path, "").unwrap();
    assert!(SqliteJournal::open(&path.join("journal.db")).is_err(), "a file is no directory");
    assert!(SqliteJournal::open(directory.path()).is_err(), "a directory is no file");
}

#[test]
fn an_empty_file_becomes_a_journal() {
    let (_directory, path) = fresh();
    fs::write(&path, "").unwrap();
    assert!(SqliteJournal::open(&path).is_ok());
}

#[tokio::test]
async fn a_journal_is_the_same_by_whatever_name_it_is_reached() {
    let (directory, path) = fresh();
    let journal = SqliteJournal::open(&path).unwrap();
    journal.save(&record("tts", 1, None), &[]).await.unwrap();
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink("journal.db", &link).unwrap();
    assert!(matches!(SqliteJournal::open(&link).unwrap_err(), OpenError::Locked { .. }));
    // Under another name it is the same, and people delete lock files.
    let other = directory.path().join("other.db");
    fs::hard_link(&path, &other).unwrap();
    fs::remove_file(directory.path().join("journal.db.lock")).unwrap();
    for name in [&path, &other] {
        assert!(matches!(SqliteJournal::open(name).unwrap_err(), OpenError::Locked { .. }));
    }
    assert_eq!(SqliteJournal::open_read_only(&link).unwrap().load().unwrap().len(), 1, "its log is read too");
}

#[tokio::test]
async fn an_event_under_its_former_name_is_read_found_and_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    let id = rotation(1);
    journal.append(&entry("tts", id, 0, begun("tts", "prod", id)), None).await.unwrap();
    let older = entry("tts", id, 1, hindered());
    let body = serde_json::to_string(&older.event).unwrap().replacen("effect_failed", "hindered", 1);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let row = "INSERT INTO entries (rotation, sequence, at, event, body, actor, by, key)
               VALUES (?1, 1, ?2, 'hindered', ?3, 'operator', 'uid 0 (root)', 'key_old')";
    connection.execute(row, (id.to_string(), format!("{:.9}", older.at), &body)).unwrap();
    journal.record(&older.act_as_written(&body)).await.unwrap();
    let records = journal.audit(0, 10).await.unwrap();
    assert_eq!(records.last().unwrap().act.what, "hindered");
    assert_eq!(SqliteJournal::open_read_only(&path).unwrap().verify_audit(None).unwrap().fault, None);
    let found = journal.events_since(&workspace("prod"), &["effect_failed"], at(0)).await.unwrap();
    assert_eq!(found.iter().map(|entry| &entry.event).collect::<Vec<_>>(), [&older.event]);
}

/// Rows that schema version 1 held when it was released: whoever changes an event or the record must still read them.
/// Events that version 1 did not know.
const SINCE_VERSION_2: &[&str] =
    &["alarmed", "expiry_intended", "expiry_settled", "escalated", "clock_agreed", "overwrite_requested"];

#[test]
fn rows_of_the_past_are_still_read() {
    let mut rows = include_str!("rows_of_version_1.jsonl").lines();
    let samples = every_event("tts", rotation(1));
    let of_the_past = |event: &&Event| !SINCE_VERSION_2.contains(&event.name());
    for sample in samples.iter().filter(of_the_past) {
        let row = rows.next().unwrap();
        let read: Event = serde_json::from_str(row).unwrap_or_else(|error| panic!("{row}: {error}"));
        let mut sample = sample.clone();
        if let Event::Verified { facts } = &mut sample {
            facts.attributes = None;
        }
        assert_eq!(read, sample);
    }
    let read: Record = serde_json::from_str(rows.next().unwrap()).unwrap();
    let mut current = full_record("tts").current;
    current.as_mut().unwrap().attributes = None;
    let (findings, accepted) = Default::default();
    let (sharing_groups, account_creation) = (None, None);
    let full = full_record("tts");
    let of_the_past = Record { current, findings, accepted, sharing_groups, account_creation, ..full };
    let of_the_past =
        Record { last_use: None, empty_destinations: Vec::new(), left: Vec::new(), ..of_the_past };
    assert_eq!(read, Record { emergency: None, answered: None, ..of_the_past });
    assert_eq!(rows.next(), None);
}
