//! Any bytes in a column of the journal: the credential that they belong to is stopped, or as it was; no other is.

use std::path::Path;
use std::sync::OnceLock;

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::audit::Actor;
use rekeyd::domain::event::Event;
use rekeyd::domain::ids::{CredentialName, RotationId, WorkspaceName};
use rekeyd::domain::record::Record;
use rekeyd::ports::journal::{Acknowledgements, Entry, Records, RotationLog};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::waiting::runtime;

/// What is written over, and in which row. The rows are those of the credential `tts`.
const PLACES: &[&str] = &[
    "UPDATE entries SET body = ?1 WHERE sequence = 0",
    "UPDATE entries SET body = ?1 WHERE sequence = 1",
    "UPDATE entries SET body = ?1 WHERE sequence = 2",
    "UPDATE entries SET event = ?1 WHERE sequence = 1",
    "UPDATE entries SET at = ?1 WHERE sequence = 2",
    "UPDATE entries SET credential = ?1 WHERE sequence = 1",
    "UPDATE records SET body = ?1 WHERE credential = 'tts'",
];

/// The first byte says where, the second whether as text or as bytes, the rest is what is there.
///
/// # Panics
/// If the journal can be read as a whole no more, or another credential is hurt.
pub(crate) fn eat(bytes: &[u8]) {
    let [place, form, rest @ ..] = bytes else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    std::fs::write(&path, template()).unwrap();
    let written = match form % 2 {
        0 => Value::Text(String::from_utf8_lossy(rest).into_owned()),
        _ => Value::Blob(rest.to_vec()),
    };
    let is_harmless = overwrite(&path, PLACES[usize::from(*place) % PLACES.len()], &written).is_err();
    runtime().block_on(async {
        let journal = SqliteJournal::open(&path).unwrap();
        let loaded = journal.load().await.unwrap();
        let other = loaded.iter().find(|(name, _)| name.as_str() == "asr");
        assert!(other.is_some_and(|(_, known)| known.is_ok()), "another credential is hurt");
        if is_harmless {
            assert!(loaded.iter().all(|(_, known)| known.is_ok()), "hurt although nothing was written");
        }
        for (name, _) in &loaded {
            // Whether it can be told is not the question, but that asking does no harm.
            drop(journal.history(name, 5).await);
            drop(journal.acks(name).await);
        }
    });
}

/// Fails where the schema itself refuses what is to be written.
fn overwrite(path: &Path, place: &str, written: &Value) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA foreign_keys = OFF; DROP TRIGGER entries_never_change; DROP TRIGGER records_go_on_by_one;",
    )?;
    let place = match place.contains("entries") {
        true => format!("{place} AND rotation = '{}'", rotation(2)),
        false => place.to_owned(),
    };
    connection.execute(&place, [written])?;
    Ok(())
}

/// A journal with two credentials, each in the middle of a rotation, as the bytes of its file.
fn template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        runtime().block_on(async {
            let journal = SqliteJournal::open(&path).unwrap();
            for (number, name) in [(1, "asr"), (2, "tts")] {
                write(&journal, rotation(number), &CredentialName::new(name).unwrap()).await;
            }
        });
        Connection::open(&path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        std::fs::read(&path).unwrap()
    })
}

async fn write(journal: &SqliteJournal, rotation: RotationId, credential: &CredentialName) {
    let workspace = WorkspaceName::new("prod").unwrap();
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let begun = include_str!("../journal/rows_of_version_1.jsonl").lines().next().unwrap();
    let mut begun: serde_json::Value = serde_json::from_str(begun).unwrap();
    begun["rotation"] = rotation.to_string().into();
    begun["credential"] = credential.as_str().into();
    let intended = include_str!("../journal/rows_of_version_1.jsonl").lines().nth(1).unwrap();
    let hindered = r#"{"event":"hindered","effect":"preflight","failure":{"certainty":"rejected","kind":"unreachable","message":"refused"}}"#;
    let events: [Event; 3] = [
        serde_json::from_value(begun).unwrap(),
        serde_json::from_str(hindered).unwrap(),
        serde_json::from_str(intended).unwrap(),
    ];
    let record = Record { revision: 1, open: Some(rotation), ..Record::new(credential.clone()) };
    for (sequence, event) in events.into_iter().enumerate() {
        let (credential, workspace) = (credential.clone(), workspace.clone());
        let sequence = u64::try_from(sequence).unwrap();
        let actor = Actor::Policy;
        let entry = Entry { rotation, sequence, at, credential, workspace, actor, key: None, event };
        journal.append(&entry, (sequence == 0).then_some(&record)).await.unwrap();
    }
}

fn rotation(number: u64) -> RotationId {
    format!("0190b8a0-0000-7000-8000-{number:012x}").parse().unwrap()
}
