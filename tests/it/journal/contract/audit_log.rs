//! The audit log: every write appends its records, in one chain.

use std::sync::Arc;

use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::ack::{Ack, Health};
use rekeyd::domain::audit::check::Checker;
use rekeyd::domain::audit::{Act, Actor, ChainedAct, Head, canonical, changes};
use rekeyd::domain::hold::{BREAKER, Hold, HoldKind, Scope};
use rekeyd::ports::journal::Entry;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Subject, every_adapter};
use crate::journal::samples::{
    ack, at, begun, entry, every_event, hindered, name, record, rotation, workspace,
};

every_adapter!(
    every_event_has_exactly_its_record,
    what_is_not_written_is_not_recorded,
    what_changes_nothing_is_not_recorded,
    acts_are_recorded_with_the_record_that_they_change,
    the_chain_is_whole_however_many_write_at_once,
);

async fn records(journal: &Subject) -> Vec<ChainedAct> {
    let records = journal.audit(0, 10_000).await.unwrap();
    let mut checker = Checker::new(None);
    for record in &records {
        checker.check(record).unwrap();
    }
    assert_eq!(journal.audit_head().await.unwrap(), checker.end().unwrap());
    records
}

async fn told(journal: &Subject) -> Vec<String> {
    let records = records(journal).await;
    records.iter().map(|record| format!("{} {}", record.act.actor, record.act.what)).collect()
}

async fn every_event_has_exactly_its_record(journal: Subject) {
    assert_eq!(journal.audit_head().await.unwrap(), Head::genesis());
    let entries: Vec<Entry> = (0..)
        .zip(every_event("tts", rotation(1)))
        .map(|(sequence, event)| entry("tts", rotation(1), sequence, event))
        .collect();
    for entry in &entries {
        journal.append(entry, None).await.unwrap();
    }
    let acts: Vec<Act> = records(&journal).await.into_iter().map(|record| record.act).collect();
    assert_eq!(acts, entries.iter().map(Entry::act).collect::<Vec<_>>());
    assert_eq!(journal.audit(3, 2).await.unwrap()[1].sequence, 5, "in pages");
    let told: Vec<String> = acts
        .iter()
        .map(|act| {
            let mut details = act.details.clone();
            assert_eq!(details.remove("entry_sha256").unwrap().as_str().unwrap().len(), 64);
            assert_eq!((&act.credential, &act.rotation), (&Some(name("tts")), &Some(rotation(1))));
            format!("{} {}", act.what, canonical(&Value::Object(details)))
        })
        .collect();
    insta::assert_snapshot!("every_event_in_the_audit_log", told.join("\n"));
}

async fn what_is_not_written_is_not_recorded(journal: Subject) {
    let first = entry("tts", rotation(1), 0, begun("tts", "prod", rotation(1)));
    journal.append(&first, Some(&record("tts", 1, Some(rotation(1))))).await.unwrap();
    let act = Act::new(at(1), Actor::Policy, changes::FOUND, Value::Null);
    assert!(journal.append(&first, None).await.is_err(), "the same again");
    let second = entry("tts", rotation(1), 1, hindered());
    assert!(journal.append(&second, Some(&record("tts", 1, None))).await.is_err(), "with a record of before");
    assert!(journal.save(&record("tts", 1, None), &[act]).await.is_err());
    assert_eq!(told(&journal).await, ["operator uid 0 (root) begun"]);
}

async fn what_changes_nothing_is_not_recorded(journal: Subject) {
    let prod = Scope::Workspace(workspace("prod"));
    let hold = |by: &str| Hold {
        scope: prod.clone(),
        what: HoldKind::Minting,
        by: by.to_owned(),
        why: "seen odd things".to_owned(),
        since: at(1),
    };
    for by in [BREAKER, BREAKER, "uid 7", BREAKER, "uid 8"] {
        journal.hold(&hold(by)).await.unwrap();
    }
    let eve = Actor::Operator("uid 9".to_owned());
    for _ in 0..2 {
        journal.lift(&prod, HoldKind::Minting, &eve, at(2)).await.unwrap();
    }
    journal.lift(&prod, HoldKind::Revoking, &eve, at(2)).await.unwrap();
    let failing = Ack { health: Health::Failing, ..ack("api", "new", 30) };
    for said in
        [ack("api", "old", 10), ack("api", "old", 20), ack("api", "new", 30), failing, ack("api", "old", 5)]
    {
        journal.acknowledge(&name("tts"), &said).await.unwrap();
    }
    let acknowledged = "consumer api acknowledged";
    assert_eq!(
        told(&journal).await,
        [
            "breaker held",
            "operator uid 7 held",
            "operator uid 9 lifted",
            acknowledged,
            acknowledged,
            acknowledged
        ]
    );
    let held = records(&journal).await.remove(1).act;
    assert_eq!(held.workspace, Some(workspace("prod")));
    let details = json!({ "scope": "workspace prod", "what": "minting", "why": "seen odd things" });
    assert_eq!(Value::Object(held.details), details);
}

async fn acts_are_recorded_with_the_record_that_they_change(journal: Subject) {
    let act = |what: &str| Act::new(at(1), Actor::Operator("uid 7".to_owned()), what, json!({ "key": "k" }));
    journal.save(&record("tts", 1, None), &[]).await.unwrap();
    journal.save(&record("tts", 2, None), &[act(changes::ACCEPTED), act(changes::FOUND)]).await.unwrap();
    journal.record(&act(changes::STARTED)).await.unwrap();
    let told = told(&journal).await;
    assert_eq!(told, ["operator uid 7 accepted", "operator uid 7 found", "operator uid 7 started"]);
}

async fn the_chain_is_whole_however_many_write_at_once(journal: Subject) {
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move {
            let credential = format!("c{number:02}");
            let id = rotation(number);
            journal.append(&entry(&credential, id, 0, begun(&credential, "prod", id)), None).await.unwrap();
            for sequence in 1..10 {
                journal.append(&entry(&credential, id, sequence, hindered()), None).await.unwrap();
                journal.acknowledge(&name(&credential), &ack("api", "new", 1)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(records(&journal).await.len(), 20 * 11);
}
