//! The events of every rotation.

use std::sync::Arc;

use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::event::Event;
use rekeyd::ports::journal::RotationLog;

use super::{every_adapter, is_conflict, is_corrupt};
use crate::journal::samples::{begun, entry, every_event, hindered, name, rotation};

type Subject = Arc<dyn RotationLog>;

every_adapter!(
    every_event_is_read_back_as_it_was_appended,
    an_append_that_was_made_before_is_a_conflict,
    a_rotation_begins_once_and_stays_with_its_credential,
    history_is_newest_first_and_bounded,
    rotations_are_paged_newest_first,
);

async fn every_event_is_read_back_as_it_was_appended(journal: Subject) {
    let id = rotation(1);
    let events = every_event("tts", id);
    let names: std::collections::BTreeSet<&str> = events.iter().map(Event::name).collect();
    assert_eq!(names.len(), 34, "every kind of event is there");
    let entries: Vec<_> =
        (0..).zip(events).map(|(sequence, event)| entry("tts", id, sequence, event)).collect();
    for entry in &entries {
        journal.append(entry, None).await.unwrap();
    }
    assert_eq!(journal.entries(id).await.unwrap(), entries);
    assert_eq!(journal.entries(rotation(2)).await.unwrap(), []);
    assert_eq!(journal.owner_of(id).await.unwrap(), Some(name("tts")));
    assert_eq!(journal.owner_of(rotation(2)).await.unwrap(), None);
}

async fn an_append_that_was_made_before_is_a_conflict(journal: Subject) {
    let id = rotation(1);
    let first = entry("tts", id, 0, begun("tts", "prod", id));
    journal.append(&first, None).await.unwrap();
    assert!(is_conflict(&journal.append(&first, None).await));
    assert!(is_conflict(&journal.append(&entry("tts", id, 2, hindered()), None).await), "a gap");
    assert!(
        is_conflict(&journal.append(&entry("tts", rotation(2), 1, hindered()), None).await),
        "no beginning"
    );
    assert_eq!(journal.entries(id).await.unwrap(), [first]);
}

async fn a_rotation_begins_once_and_stays_with_its_credential(journal: Subject) {
    let id = rotation(1);
    assert!(is_corrupt(&journal.append(&entry("tts", id, 0, hindered()), None).await));
    journal.append(&entry("tts", id, 0, begun("tts", "prod", id)), None).await.unwrap();
    assert!(is_corrupt(&journal.append(&entry("tts", id, 1, begun("tts", "prod", id)), None).await));
    assert!(is_corrupt(&journal.append(&entry("asr", id, 1, hindered()), None).await));
    assert_eq!(journal.entries(id).await.unwrap().len(), 1);
}

async fn history_is_newest_first_and_bounded(journal: Subject) {
    for number in [2, 1, 3, 4] {
        let id = rotation(number);
        let credential = if number == 4 { "asr" } else { "tts" };
        journal.append(&entry(credential, id, 0, begun(credential, "prod", id)), None).await.unwrap();
    }
    let history = |limit| {
        let journal = Arc::clone(&journal);
        async move {
            let chapters = journal.history(&name("tts"), limit).await.unwrap();
            assert!(chapters.iter().all(|it| it.entries.len() == 1 && it.entries[0].rotation == it.rotation));
            chapters.into_iter().map(|chapter| chapter.rotation).collect::<Vec<_>>()
        }
    };
    assert_eq!(history(9).await, [rotation(3), rotation(2), rotation(1)]);
    assert_eq!(history(2).await, [rotation(3), rotation(2)]);
    assert_eq!(history(0).await, []);
    assert_eq!(journal.history(&name("nobody"), 9).await.unwrap(), []);
}

async fn rotations_are_paged_newest_first(journal: Subject) {
    for number in [2, 1, 3, 4] {
        let id = rotation(number);
        let credential = if number == 4 { "asr" } else { "tts" };
        journal.append(&entry(credential, id, 0, begun(credential, "prod", id)), None).await.unwrap();
    }
    let (tts, nobody) = (name("tts"), name("nobody"));
    for (of, before, limit, expected) in [
        (None, None, 9, vec![4, 3, 2, 1]),
        (None, None, 2, vec![4, 3]),
        (None, Some(3), 9, vec![2, 1]),
        (Some(&tts), None, 2, vec![3, 2]),
        (Some(&tts), Some(2), 9, vec![1]),
        (None, Some(1), 9, vec![]),
        (None, None, 0, vec![]),
        (Some(&nobody), None, 9, vec![]),
    ] {
        let found = journal.rotations(of, before.map(rotation), limit).await.unwrap();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|number| (rotation(number), name(if number == 4 { "asr" } else { "tts" })))
            .collect();
        assert_eq!(found, expected, "{of:?} {before:?} {limit}");
    }
}
