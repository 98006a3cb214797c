//! The port's contract, clause by clause, for every adapter.

use std::sync::Arc;

use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::audit::Actor;
use rekeyd::domain::event::Event;
use rekeyd::domain::hold::{BREAKER, Hold, HoldKind, Scope};
use rekeyd::domain::phase::PhaseName;
use rekeyd::ports::journal::{Error, Journal, Records};
use tokio::task::JoinSet;

use super::samples::{
    ack, at, begun, entry, every_event, hindered, mint_intended, name, record, rotation, workspace,
};

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

pub(super) use every_adapter;

every_adapter!(
    every_event_is_read_back_as_it_was_appended,
    an_append_that_was_made_before_is_a_conflict,
    an_append_and_its_record_are_written_together_or_not_at_all,
    a_record_is_replaced_only_by_its_next_revision,
    what_is_loaded_is_the_record_and_the_open_rotation_folded,
    an_illegal_history_stops_its_own_credential_only,
    a_rotation_begins_once_and_stays_with_its_credential,
    an_open_rotation_is_one_of_the_credentials_own,
    history_is_newest_first_and_bounded,
    rotations_are_paged_newest_first,
    mints_are_found_by_workspace_and_time,
    events_are_found_by_workspace_name_and_time,
    a_hold_stays_until_it_is_lifted_and_a_persons_goes_before_a_breakers,
    the_newest_acknowledgement_of_each_consumer_is_kept,
    of_many_appends_at_one_place_exactly_one_is_made,
    many_credentials_are_written_at_the_same_time,
);

pub(super) type Subject = Arc<dyn Journal>;

fn is_conflict<T: std::fmt::Debug>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Conflict(_)))
}

fn is_corrupt<T: std::fmt::Debug>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Corrupt { .. }))
}

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

async fn a_record_is_replaced_only_by_its_next_revision(journal: Subject) {
    for (revision, taken) in [(2, false), (0, false), (1, true), (1, false), (3, false), (2, true), (3, true)]
    {
        let outcome = journal.save(&record("tts", revision, None), &[]).await;
        assert_eq!(outcome.is_ok(), taken, "{revision}: {outcome:?}");
        assert_eq!(is_conflict(&outcome), !taken, "{revision}: {outcome:?}");
    }
    let known = journal.load_one(&name("tts")).await.unwrap().unwrap();
    assert_eq!(known.record.revision, 3);
    assert_eq!(journal.revision(&name("tts")).await.unwrap(), Some(3));
    assert_eq!(journal.revision(&name("asr")).await.unwrap(), None);
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

async fn a_rotation_begins_once_and_stays_with_its_credential(journal: Subject) {
    let id = rotation(1);
    assert!(is_corrupt(&journal.append(&entry("tts", id, 0, hindered()), None).await));
    journal.append(&entry("tts", id, 0, begun("tts", "prod", id)), None).await.unwrap();
    assert!(is_corrupt(&journal.append(&entry("tts", id, 1, begun("tts", "prod", id)), None).await));
    assert!(is_corrupt(&journal.append(&entry("asr", id, 1, hindered()), None).await));
    assert_eq!(journal.entries(id).await.unwrap().len(), 1);
}

async fn an_open_rotation_is_one_of_the_credentials_own(journal: Subject) {
    let id = rotation(1);
    assert!(is_corrupt(&journal.save(&record("tts", 1, Some(id)), &[]).await));
    journal.append(&entry("asr", id, 0, begun("asr", "prod", id)), None).await.unwrap();
    assert!(is_corrupt(&journal.save(&record("tts", 1, Some(id)), &[]).await));
    assert_eq!(journal.load_one(&name("tts")).await.unwrap(), None);
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

async fn a_hold_stays_until_it_is_lifted_and_a_persons_goes_before_a_breakers(journal: Subject) {
    let prod = Scope::Workspace(workspace("prod"));
    let hold = |scope: &Scope, what, by: &str, seconds| Hold {
        scope: scope.clone(),
        what,
        by: by.to_owned(),
        why: "an \"audit\"".to_owned(),
        since: at(seconds),
    };
    assert_eq!(
        (journal.holds().await.unwrap(), journal.lifted(&prod, HoldKind::Minting).await.unwrap()),
        (vec![], None)
    );
    journal.hold(&hold(&prod, HoldKind::Minting, BREAKER, 1)).await.unwrap();
    journal.hold(&hold(&prod, HoldKind::Minting, "uid 7", 2)).await.unwrap();
    for (by, seconds) in [(BREAKER, 3), ("uid 8", 4)] {
        journal.hold(&hold(&prod, HoldKind::Minting, by, seconds)).await.unwrap();
    }
    journal.hold(&hold(&Scope::Fleet, HoldKind::Everything, "uid 7", 5)).await.unwrap();
    journal.hold(&hold(&Scope::Credential(name("tts")), HoldKind::Revoking, "uid 7", 6)).await.unwrap();
    let mut holds = journal.holds().await.unwrap();
    holds.sort_by_key(|hold| hold.since);
    let expected = [
        hold(&prod, HoldKind::Minting, "uid 7", 2),
        hold(&Scope::Fleet, HoldKind::Everything, "uid 7", 5),
        hold(&Scope::Credential(name("tts")), HoldKind::Revoking, "uid 7", 6),
    ];
    assert_eq!(holds, expected);
    journal.lift(&prod, HoldKind::Revoking, &Actor::Operator("uid 7".to_owned()), at(8)).await.unwrap();
    assert_eq!(journal.holds().await.unwrap().len(), 3);
    for seconds in [9, 10] {
        journal
            .lift(&prod, HoldKind::Minting, &Actor::Operator("uid 7".to_owned()), at(seconds))
            .await
            .unwrap();
    }
    assert_eq!(journal.holds().await.unwrap().len(), 2);
    assert_eq!(journal.lifted(&prod, HoldKind::Minting).await.unwrap(), Some(at(10)));
    assert_eq!(journal.lifted(&Scope::Fleet, HoldKind::Minting).await.unwrap(), None);
}

async fn the_newest_acknowledgement_of_each_consumer_is_kept(journal: Subject) {
    let tts = name("tts");
    for ack in [ack("api", "old", 10), ack("batch", "new", 20), ack("api", "new", 30), ack("api", "older", 5)]
    {
        journal.acknowledge(&tts, &ack).await.unwrap();
    }
    journal.acknowledge(&name("asr"), &ack("api", "other", 99)).await.unwrap();
    assert_eq!(journal.acks(&tts).await.unwrap(), [ack("api", "new", 30), ack("batch", "new", 20)]);
    assert_eq!(journal.acks(&name("nobody")).await.unwrap(), []);
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
