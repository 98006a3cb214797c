//! What every outbox promises, of the file and in memory alike.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::memory::outbox::MemoryOutbox;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::ids::ChannelName;
use rekeyd::domain::notification::incidents::{Change, Incident};
use rekeyd::domain::notification::{
    Alert, ChannelFailure, Notification, NotificationEvent, Severity, Subject,
};
use rekeyd::ports::outbox::{DeliveryOutcome, Outbox};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

fn alert(key: &str) -> Alert {
    Alert {
        key: key.to_owned(),
        severity: Severity::Page,
        reason: "damaged".to_owned(),
        subject: Subject::Rekeyd,
        summary: "it's \"broken\"".to_owned(),
        next: None,
        anchor: "damaged".to_owned(),
        since: at(0),
        grace: SignedDuration::ZERO,
    }
}

async fn keeps_what_it_says(outbox: &dyn Outbox) {
    let (chat, pager) = (channel("chat"), channel("pager"));
    let incident = Incident { alert: alert("a"), opened_at: at(1), channels: [chat.clone()].into() };
    let notification =
        |to: &ChannelName, key: &str| Notification::new(to, NotificationEvent::Opened, &alert(key), at(1));
    let change = Change {
        incidents: vec![incident.clone()],
        resolved: vec![],
        notifications: vec![notification(&chat, "a"), notification(&pager, "a"), notification(&chat, "b")],
        occurrences: BTreeMap::from([("ended/x".to_owned(), "r1".to_owned())]),
    };
    outbox.post(&change).await.unwrap();
    outbox.post(&change).await.unwrap();
    let recalled = outbox.recall().await.unwrap();
    assert_eq!((&recalled.incidents, &recalled.occurrences), (&vec![incident], &change.occurrences));
    let waiting = outbox.waiting(&chat, 1).await.unwrap();
    assert_eq!((waiting.count, waiting.notifications.len()), (2, 1), "the same notification twice is one");
    let first = &waiting.notifications[0];
    assert_eq!(Notification { number: 0, ..first.clone() }, notification(&chat, "a"), "the oldest first");

    let failing = ChannelFailure { channel: chat.clone(), since: at(2), why: "server error".to_owned() };
    let again = DeliveryOutcome {
        channel: chat.clone(),
        done: vec![],
        again: vec![(first.number, at(9))],
        failing: Some(failing.clone()),
    };
    outbox.settle(&again).await.unwrap();
    let waits = outbox.waiting(&chat, 9).await.unwrap().notifications;
    assert_eq!((waits[0].failures, waits[0].due, waits[1].failures), (1, at(9), 0));
    assert_eq!(outbox.recall().await.unwrap().failing, [failing]);
    let done = vec![waits[0].number, waits[1].number];
    outbox.settle(&DeliveryOutcome { done, again: vec![], failing: None, ..again }).await.unwrap();
    assert_eq!(outbox.waiting(&chat, 9).await.unwrap().count, 0);
    assert_eq!(outbox.recall().await.unwrap().failing, []);

    outbox.keep_only(&BTreeSet::from([chat])).await.unwrap();
    assert_eq!(outbox.waiting(&pager, 9).await.unwrap().count, 0);
    outbox.post(&Change { resolved: vec!["a".to_owned()], ..Change::default() }).await.unwrap();
    assert_eq!(outbox.recall().await.unwrap().incidents, []);
}

#[tokio::test]
async fn an_outbox_in_memory_keeps_what_it_says() {
    keeps_what_it_says(&MemoryOutbox::default()).await;
}

#[tokio::test]
async fn an_outbox_in_a_file_keeps_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(&folder.path().join("journal.db")).unwrap();
    keeps_what_it_says(&journal).await;
}
