//! The contract of the journal port for every adapter: a module per part, and here the clauses that join parts.

mod acknowledgements;
mod activity;
mod audit_log;
mod holds;
mod records;
mod rotation_log;

use std::sync::Arc;

use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::event::Event;
use rekeyd::domain::phase::PhaseName;
use rekeyd::ports::journal::{Error, Journal, Records};
use tokio::task::JoinSet;

use super::samples::{at, begun, entry, hindered, mint_intended, name, record, rotation};

macro_rules! every_adapter {
    ($($clause:ident),* $(,)?) => {
        mod memory {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $clause() {
                super::$clause(Arc::new(MemoryJournal::new())).await;
            })*
        }
        mod sqlite {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $clause() {
                let directory = tempfile::tempdir().unwrap();
                let journal = SqliteJournal::open(&directory.path().join("journal.db")).unwrap();
                super::$clause(Arc::new(journal)).await;
            })*
        }
    };
}

use every_adapter;

every_adapter!(
    an_append_and_its_record_are_written_together_or_not_at_all,
    what_is_loaded_is_the_record_and_the_open_rotation_folded,
    an_illegal_history_stops_its_own_credential_only,
    an_open_rotation_is_one_of_the_credentials_own,
    of_many_appends_at_one_place_exactly_one_is_made,
    many_credentials_are_written_at_the_same_time,
);

type Subject = Arc<dyn Journal>;

fn is_conflict<T: std::fmt::Debug>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Conflict(_)))
}

fn is_corrupt<T: std::fmt::Debug>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Corrupt { .. }))
}

async fn an_append_and_its_record_are_written_together_or_not_at_all(journal: Subject) {
    let id = rotation(1);
    let first = entry("tts", id, 0, begun("tts", "prod", id));
    assert!(is_conflict(&journal.append(&first, Some(&record("tts", 2, Some(id)))).await));
    assert_eq!(journal.entries(id).await.unwrap(), []);
    assert_eq!(journal.load_one(&name("tts")).await.unwrap(), None);

    journal.append(&first, Some(&record("tts", 1, Some(id)))).await.unwrap();
    let second = entry("tts", id, 1, hindered());
    assert!(is_conflict(&journal.append(&first, Some(&record("tts", 2, None))).await));
    assert!(is_conflict(&journal.append(&second, Some(&record("tts", 1, None))).await));
    let known = journal.load_one(&name("tts")).await.unwrap().unwrap();
    assert_eq!(known.record, record("tts", 1, Some(id)));
    assert_eq!(known.rotation.unwrap().length, 1);
}

async fn what_is_loaded_is_the_record_and_the_open_rotation_folded(journal: Subject) {
    assert_eq!(journal.load().await.unwrap().len(), 0);
    let id = rotation(1);
    journal
        .append(&entry("tts", id, 0, begun("tts", "prod", id)), Some(&record("tts", 1, Some(id))))
        .await
        .unwrap();
    journal.append(&entry("tts", id, 1, mint_intended()), None).await.unwrap();
    journal.save(&record("asr", 1, None), &[]).await.unwrap();

    let loaded = journal.load().await.unwrap();
    let names: Vec<String> = loaded.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["asr", "tts"]);
    let tts = loaded[1].1.as_ref().unwrap();
    let rotation = tts.rotation.as_ref().unwrap();
    assert_eq!((rotation.phase.name(), rotation.length, rotation.attempt), (PhaseName::Minting, 2, 1));
    assert_eq!(loaded[0].1.as_ref().unwrap().rotation, None);
    assert_eq!(journal.load_one(&name("tts")).await.unwrap().as_ref(), Some(tts));
    assert_eq!(journal.load_one(&name("nobody")).await.unwrap(), None);
}

async fn an_illegal_history_stops_its_own_credential_only(journal: Subject) {
    let id = rotation(1);
    journal
        .append(&entry("tts", id, 0, begun("tts", "prod", id)), Some(&record("tts", 1, Some(id))))
        .await
        .unwrap();
    journal.append(&entry("tts", id, 1, Event::OldKeyGone), None).await.unwrap();
    journal.save(&record("asr", 1, None), &[]).await.unwrap();
    let loaded = journal.load().await.unwrap();
    assert!(loaded[0].1.is_ok());
    assert!(is_corrupt(&loaded[1].1), "{loaded:?}");
    assert!(is_corrupt(&journal.load_one(&name("tts")).await));
    assert_eq!(journal.entries(id).await.unwrap().len(), 2, "a person can still look at it");
}

async fn an_open_rotation_is_one_of_the_credentials_own(journal: Subject) {
    let id = rotation(1);
    assert!(is_corrupt(&journal.save(&record("tts", 1, Some(id)), &[]).await));
    journal.append(&entry("asr", id, 0, begun("asr", "prod", id)), None).await.unwrap();
    assert!(is_corrupt(&journal.save(&record("tts", 1, Some(id)), &[]).await));
    assert_eq!(journal.load_one(&name("tts")).await.unwrap(), None);
}

async fn of_many_appends_at_one_place_exactly_one_is_made(journal: Subject) {
    let id = rotation(1);
    journal
        .append(&entry("tts", id, 0, begun("tts", "prod", id)), Some(&record("tts", 1, Some(id))))
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..50i64 {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move {
            let mut entry = entry("tts", id, 1, hindered());
            entry.at = at(number);
            (entry.at, journal.append(&entry, Some(&record("tts", 2, Some(id)))).await)
        });
    }
    let outcomes = tasks.join_all().await;
    let made: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(outcomes.iter().filter(|(_, outcome)| is_conflict(outcome)).count(), 49);
    let entries = journal.entries(id).await.unwrap();
    assert_eq!((entries.len(), entries[1].at), (2, made[0].0));
}

async fn many_credentials_are_written_at_the_same_time(journal: Subject) {
    let mut tasks = JoinSet::new();
    for number in 0..50 {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move {
            let (credential, id) = (format!("c{number:02}"), rotation(number));
            let beginning = entry(&credential, id, 0, begun(&credential, "prod", id));
            journal.append(&beginning, Some(&record(&credential, 1, Some(id)))).await?;
            for sequence in 1..10 {
                journal.append(&entry(&credential, id, sequence, hindered()), None).await?;
            }
            Ok::<(), Error>(())
        });
    }
    assert!(tasks.join_all().await.iter().all(Result::is_ok));
    let loaded = journal.load().await.unwrap();
    assert_eq!(loaded.len(), 50);
    assert!(loaded.iter().all(|(_, known)| known.as_ref().unwrap().rotation.as_ref().unwrap().length == 10));
}

#[tokio::test]
async fn a_clone_of_the_memory_journal_has_the_same_contents_and_counts_writes() {
    let journal = MemoryJournal::new();
    let successor = journal.clone();
    journal.save(&record("tts", 1, None), &[]).await.unwrap();
    assert!(is_conflict(&journal.save(&record("tts", 1, None), &[]).await));
    assert_eq!(successor.load_one(&name("tts")).await.unwrap().unwrap().record.revision, 1);
    assert_eq!(successor.writes(), 1);
}
