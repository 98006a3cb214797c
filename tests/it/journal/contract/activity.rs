//! Recent events of a workspace.

use std::sync::Arc;

use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::ports::journal::Journal;

use super::every_adapter;
use crate::journal::samples::{at, begun, entry, hindered, mint_intended, rotation, workspace};

type Subject = Arc<dyn Journal>;

every_adapter!(mints_are_found_by_workspace_and_time, events_are_found_by_workspace_name_and_time,);

async fn mints_are_found_by_workspace_and_time(journal: Subject) {
    for (number, place, seconds) in [(1, "prod", 300), (2, "prod", 100), (3, "dev", 200), (4, "prod", 200)] {
        let id = rotation(number);
        for (sequence, event) in [(0, begun("tts", place, id)), (1, mint_intended())] {
            let mut entry = entry("tts", id, sequence, event);
            entry.workspace = workspace(place);
            entry.at = at(seconds);
            journal.append(&entry, None).await.unwrap();
        }
    }
    let since = |seconds| {
        let journal = Arc::clone(&journal);
        async move { journal.mints_since(&workspace("prod"), at(seconds)).await.unwrap() }
    };
    assert_eq!(since(0).await, [at(100), at(200), at(300)]);
    assert_eq!(since(200).await, [at(200), at(300)], "since and including");
    assert_eq!(since(301).await, []);
    let all = journal.mints_since(&workspace("prod"), jiff::Timestamp::MIN).await.unwrap();
    assert_eq!(all.len(), 3);
}

async fn events_are_found_by_workspace_name_and_time(journal: Subject) {
    for (number, place, seconds) in [(1, "prod", 300), (2, "prod", 100), (3, "dev", 200), (4, "prod", 200)] {
        let id = rotation(number);
        for (sequence, event) in [(0, begun("tts", place, id)), (1, mint_intended()), (2, hindered())] {
            let mut entry = entry("tts", id, sequence, event);
            entry.workspace = workspace(place);
            entry.at = at(seconds);
            journal.append(&entry, None).await.unwrap();
        }
    }
    let found = journal.events_since(&workspace("prod"), &["effect_failed", "begun"], at(200)).await.unwrap();
    let found: Vec<_> =
        found.iter().map(|entry| (entry.at, entry.rotation, entry.sequence, entry.event.name())).collect();
    assert_eq!(
        found,
        [
            (at(200), rotation(4), 0, "begun"),
            (at(200), rotation(4), 2, "effect_failed"),
            (at(300), rotation(1), 0, "begun"),
            (at(300), rotation(1), 2, "effect_failed"),
        ]
    );
    assert_eq!(journal.events_since(&workspace("prod"), &[], at(0)).await.unwrap(), []);
}
