//! kill -9 in the middle of writing: whatever was acknowledged is there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::ports::journal::{AuditReader, Records, RotationLog};
use tokio::task::JoinSet;

use super::samples::{CHILD_JOURNAL, begun, child, entry, hindered, record, rotation};

/// Credentials that are written at the same time, so that appends share transactions.
const CREDENTIALS: u64 = 6;

#[tokio::test]
async fn every_acknowledged_append_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    for acks_before_the_kill in [1, 17, 60, 141, 300] {
        acknowledged.extend(append_and_kill(&path, acks_before_the_kill));
        let journal = SqliteJournal::open(&path).unwrap();
        for (&number, &sequence) in &acknowledged {
            let entries = journal.entries(rotation(number)).await.unwrap();
            let length = u64::try_from(entries.len()).unwrap();
            // At most one more than was acknowledged: the one under way.
            assert!(
                length == sequence + 1 || length == sequence + 2,
                "{number}: {length}, {sequence} acknowledged"
            );
            let known = journal.load_one(&entries[0].credential).await.unwrap().unwrap();
            assert_eq!(known.record.revision, length, "the record was written with its entry");
            assert_eq!(known.rotation.unwrap().length, length);
        }
        // Each event has its record in the audit log, and there is no record without one.
        let verified = SqliteJournal::open_read_only(&path).unwrap().verify_audit(None).unwrap();
        let mut events = 0;
        for number in 0..CREDENTIALS {
            events += journal.entries(rotation(number)).await.unwrap().len();
        }
        assert_eq!((verified.fault, verified.events), (None, events));
        assert_eq!(verified.head.sequence, u64::try_from(events).unwrap());
    }
    assert_eq!(acknowledged.len(), usize::try_from(CREDENTIALS).unwrap());
}

/// The newest acknowledged sequence number of each rotation at the moment of the kill.
fn append_and_kill(path: &Path, acks: usize) -> BTreeMap<u64, u64> {
    let mut process = child("journal::crash::child_appends_until_killed", path).spawn().unwrap();
    let mut printed = BufReader::new(process.stdout.take().unwrap());
    let parse = |line: &str| {
        let (number, sequence) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
        Some((number.parse().unwrap(), sequence.parse().unwrap()))
    };
    let mut seen: Vec<(u64, u64)> =
        printed.by_ref().lines().filter_map(|line| parse(&line.unwrap())).take(acks).collect();
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(seen.len(), acks, "the child ended by itself");
    // What it had printed before it died was acknowledged too, but for a line that was cut.
    let mut rest = String::new();
    printed.read_to_string(&mut rest).unwrap();
    seen.extend(rest.rsplit_once('\n').unwrap_or_default().0.lines().filter_map(parse));
    seen.into_iter().collect()
}

/// Not a test by itself: the process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_appends_until_killed() {
    let Some(path) = std::env::var_os(CHILD_JOURNAL) else {
        return;
    };
    println!();
    let journal = Arc::new(SqliteJournal::open(&PathBuf::from(path)).unwrap());
    let mut tasks = JoinSet::new();
    for number in 0..CREDENTIALS {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move {
            let (credential, id) = (format!("c{number}"), rotation(number));
            let mut sequence = u64::try_from(journal.entries(id).await.unwrap().len()).unwrap();
            loop {
                let event = if sequence == 0 { begun(&credential, "prod", id) } else { hindered() };
                let record = record(&credential, sequence + 1, Some(id));
                journal.append(&entry(&credential, id, sequence, event), Some(&record)).await.unwrap();
                println!("acknowledged {number} {sequence}");
                sequence += 1;
            }
        });
    }
    tasks.join_all().await;
}
