//! Looking at a journal from another process: while the daemon runs, when it does not, and after it was killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::secret::Fingerprint;
use rekeyd::ports::journal::{Acknowledgements, JournalReader, OpenError, RotationLog};

use super::samples::{ack, begun, child, entry, hindered, name, record, rotation};

/// The files of a directory with what they hold. What shared memory holds may change while a daemon runs.
fn files(directory: &Path) -> Vec<(String, Fingerprint)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = if name.ends_with("-shm") { Vec::new() } else { fs::read(&path).unwrap() };
            (name, Fingerprint::of(&bytes))
        })
        .collect();
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

/// How many entries the open rotation of `tts` has, looked up in each way.
fn length(path: &Path) -> u64 {
    let journal = SqliteJournal::open_read_only(path).unwrap();
    let loaded = journal.load().unwrap();
    let length = loaded[0].1.as_ref().unwrap().rotation.as_ref().unwrap().length;
    let chapters = journal.history(&name("tts"), 5).unwrap();
    assert_eq!(u64::try_from(chapters[0].entries.len()).unwrap(), length);
    length
}

#[tokio::test]
async fn it_works_while_the_daemon_runs_and_when_it_does_not_and_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a journal?#1%20.db");
    let id = rotation(1);
    let journal = SqliteJournal::open(&path).unwrap();
    journal
        .append(&entry("tts", id, 0, begun("tts", "prod", id)), Some(&record("tts", 1, Some(id))))
        .await
        .unwrap();
    journal.acknowledge(&name("tts"), &ack("api", "new", 1)).await.unwrap();
    for sequence in 1..5 {
        let before = files(directory.path());
        assert_eq!(length(&path), sequence, "the newest is seen while the daemon runs");
        assert_eq!(files(directory.path()), before);
        journal.append(&entry("tts", id, sequence, hindered()), None).await.unwrap();
    }
    drop(journal);
    let before = files(directory.path());
    assert_eq!(before.len(), 2, "the database and the lock file");
    assert_eq!(length(&path), 5);
    let acks = SqliteJournal::open_read_only(&path).unwrap().acks(&name("tts")).unwrap();
    assert_eq!(acks, [ack("api", "new", 1)]);
    assert_eq!(files(directory.path()), before);
}

#[test]
fn it_works_beside_a_busy_daemon_and_after_that_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let entries = || -> usize {
        let loaded = SqliteJournal::open_read_only(&path).unwrap().load().unwrap();
        let revisions = loaded.iter().map(|(_, known)| known.as_ref().unwrap().record.revision);
        usize::try_from(revisions.sum::<u64>()).unwrap()
    };
    let mut process = child("journal::crash::child_appends_until_killed", &path).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = 0;
    for _ in 0..40 {
        let more = lines.by_ref().filter(|line| line.starts_with("acknowledged ")).take(10);
        acknowledged += more.count();
        let seen = entries();
        assert!(seen >= acknowledged, "{acknowledged} acknowledged, {seen} seen");
    }
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(acknowledged, 400);
    let before = files(directory.path());
    assert!(before.iter().any(|(name, _)| name == "journal.db-wal"), "it had no time to clean up");
    assert!(entries() >= 400);
    assert_eq!(files(directory.path()), before);
}

#[test]
fn a_journal_that_is_not_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let error = SqliteJournal::open_read_only(&directory.path().join("journal.db")).unwrap_err();
    assert!(matches!(error, OpenError::Missing { .. }), "{error:?}");
    assert!(files(directory.path()).is_empty());
    let path = directory.path().join("text");
    fs::write(&path, "not a database at all, but a text of some length").unwrap();
    assert!(matches!(SqliteJournal::open_read_only(&path).unwrap_err(), OpenError::Foreign { .. }));
    fs::write(&path, "").unwrap();
    assert!(matches!(SqliteJournal::open_read_only(&path).unwrap_err(), OpenError::Older { found: 0, .. }));
}
