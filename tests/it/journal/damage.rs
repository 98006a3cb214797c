//! Rows and files that rekeyd cannot have written.

use std::fs;
use std::path::Path;

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::ports::journal::{Acknowledgements, Error, OpenError, Records, RotationLog};

use super::samples::{ack, begun, entry, hindered, mint_intended, name, record, rotation};

/// A journal with two credentials, `asr` and `tts`, each in the middle of a rotation.
async fn two_rotations(path: &Path) {
    let journal = SqliteJournal::open(path).unwrap();
    for (number, credential) in [(1, "asr"), (2, "tts")] {
        let id = rotation(number);
        let first = entry(credential, id, 0, begun(credential, "prod", id));
        journal.append(&first, Some(&record(credential, 1, Some(id)))).await.unwrap();
        journal.append(&entry(credential, id, 1, hindered()), None).await.unwrap();
        journal.append(&entry(credential, id, 2, mint_intended()), None).await.unwrap();
    }
}

/// Does to the file what no program of ours does.
fn tamper(path: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;
             DROP TRIGGER entries_never_change; DROP TRIGGER entries_never_go; DROP TRIGGER records_go_on_by_one;",
        )
        .unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_damaged_acknowledgement_is_the_damage_of_its_own_credential() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    two_rotations(&path).await;
    let journal = SqliteJournal::open(&path).unwrap();
    for credential in ["asr", "tts"] {
        journal.acknowledge(&name(credential), &ack("api", "new", 30)).await.unwrap();
        journal.acknowledge(&name(credential), &ack("batch", "new", 40)).await.unwrap();
    }
    for damage in [
        "UPDATE acks SET health = 'fine' WHERE credential = 'tts' AND consumer = 'api'",
        "UPDATE acks SET health = 'using', at = 'noon' WHERE credential = 'tts' AND consumer = 'batch'",
        "UPDATE acks SET consumer = 'no name!' WHERE credential = 'tts' AND consumer = 'api'",
        "UPDATE acks SET credential = 'ttß' WHERE credential = 'tts'",
    ] {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(&format!("PRAGMA ignore_check_constraints = ON; {damage}")).unwrap();
        let all = journal.all_acks().await.unwrap();
        let asr = all[&name("asr")].as_ref().unwrap();
        assert_eq!(asr, &[ack("api", "new", 30), ack("batch", "new", 40)], "{damage}");
        let tts = all.get(&name("tts"));
        let of_one = journal.acks(&name("tts")).await;
        let is_nobodys = damage.contains("ttß");
        assert_eq!(tts.is_none(), is_nobodys, "{damage}");
        assert_eq!(of_one.is_ok(), is_nobodys, "{damage}");
        assert!(tts.is_none_or(|acks| matches!(acks, Err(Error::Corrupt { .. }))), "{damage}");
    }
}

#[tokio::test]
async fn a_damaged_row_stops_its_own_credential_only() {
    const TTS: &str = "rotation = '0190b8a0-0000-7000-8000-000000000002'";
    for (damage, told) in [
        (format!("UPDATE entries SET body = 'no' WHERE sequence = 1 AND {TTS}"), "entry 1: broken JSON"),
        (
            format!("UPDATE entries SET body = '{{}}' WHERE sequence = 1 AND {TTS}"),
            "entry 1: JSON of another shape",
        ),
        (
            format!("UPDATE entries SET event = 'staged' WHERE sequence = 1 AND {TTS}"),
            "entry 1: the row says `staged`",
        ),
        (format!("UPDATE entries SET at = 'noon' WHERE sequence = 1 AND {TTS}"), "entry 1: its time"),
        (format!("DELETE FROM entries WHERE sequence = 1 AND {TTS}"), "entry 1: it is missing"),
        (format!("DELETE FROM entries WHERE {TTS}"), "all of its entries"),
        (format!("DELETE FROM entries WHERE sequence = 0 AND {TTS}"), "entry 0: it is missing"),
        (
            format!(
                "UPDATE entries SET event = 'discarded', body = '{{\"event\":\"discarded\"}}'
                 WHERE sequence = 1 AND {TTS}"
            ),
            "event 1 of the history cannot follow",
        ),
        (
            format!(
                "UPDATE entries SET body = json_set(body, '$.credential', 'asr') WHERE sequence = 0 AND {TTS}"
            ),
            "its plan is of another",
        ),
        (
            "UPDATE records SET body = '[' WHERE credential = 'tts'".to_owned(),
            "the record of tts: broken JSON",
        ),
        (
            "UPDATE records SET revision = 9 WHERE credential = 'tts'".to_owned(),
            "the record of tts: its columns",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        two_rotations(&path).await;
        tamper(&path, &damage);
        let journal = SqliteJournal::open(&path).unwrap_or_else(|error| panic!("{damage}: {error}"));
        let loaded = journal.load().await.unwrap();
        assert!(loaded[0].1.is_ok(), "{damage}: {:?}", loaded[0].1);
        let Err(Error::Corrupt { place, why }) = &loaded[1].1 else {
            panic!("{damage}: {:?}", loaded[1].1);
        };
        assert!(format!("{place}: {why}").contains(told), "{damage}: {place}: {why}");
        assert!(!why.contains('{'), "it does not quote the row: {why}");
        assert!(journal.load_one(&name("asr")).await.is_ok());
        // The other credential goes on.
        journal.append(&entry("asr", rotation(1), 3, hindered()), None).await.unwrap();
    }
}

#[tokio::test]
async fn only_open_rotations_are_folded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    two_rotations(&path).await;
    let journal = SqliteJournal::open(&path).unwrap();
    journal.save(&record("tts", 2, None), &[]).await.unwrap();
    drop(journal);
    tamper(&path, "UPDATE entries SET body = 'no' WHERE rotation LIKE '%2'");
    let journal = SqliteJournal::open(&path).unwrap();
    assert!(journal.load().await.unwrap().iter().all(|(_, known)| known.is_ok()));
    assert!(matches!(journal.history(&name("tts"), 1).await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_record_whose_name_is_no_name_stops_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    two_rotations(&path).await;
    tamper(&path, "UPDATE records SET credential = 'ttß' WHERE credential = 'tts'");
    let journal = SqliteJournal::open(&path).unwrap();
    assert!(matches!(journal.load().await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_damaged_file_is_not_opened_and_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    two_rotations(&path).await;
    let whole = fs::read(&path).unwrap();
    let page = 4096;
    assert!(whole.len() > 6 * page);
    let garbled_from = |start: usize, end: usize| {
        let mut bytes = whole.clone();
        bytes[start..end].fill(0xa5);
        bytes
    };
    for (what, bytes) in [
        ("pages", garbled_from(2 * page, 5 * page)),
        ("the end is cut off", whole[..whole.len() - 2 * page].to_vec()),
        ("the schema", garbled_from(100, page)),
    ] {
        fs::write(&path, &bytes).unwrap();
        let error = SqliteJournal::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {error:?}");
        let told = error.to_string();
        assert!(told.contains("journal.db") && told.contains("restore a backup"), "{what}: {told}");
        assert!(fs::read(&path).unwrap() == bytes, "{what}: the evidence is kept");
    }
}
