//! Notifications for given sequences of alerts, and properties for arbitrary ones.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::ids::CredentialName;
use crate::domain::notification::{Severity, Subject};

const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn alert(key: &str, severity: Severity) -> Alert {
    Alert {
        key: key.to_owned(),
        severity,
        reason: "foreign_value".to_owned(),
        subject: Subject::Credential { name: CredentialName::new("tts").unwrap(), workspace: None },
        summary: "words".to_owned(),
        next: None,
        anchor: String::new(),
        since: at(0),
        grace: SignedDuration::ZERO,
    }
}

fn firing(alerts: &[Alert]) -> AlertSet {
    AlertSet { alerts: alerts.to_vec(), unknown: BTreeSet::new() }
}

fn wanting(channels: &[(&str, Severity)]) -> Subscriptions {
    let subscription = |at_least| Subscription {
        at_least,
        on: BTreeSet::new(),
        workspaces: BTreeSet::new(),
        credentials: BTreeSet::new(),
    };
    channels.iter().map(|(name, least)| (ChannelName::new(*name).unwrap(), subscription(*least))).collect()
}

fn lines(change: &Change) -> Vec<String> {
    let one = |it: &Notification| format!("{} {} {}", it.channel, it.event.label(), it.alert.key);
    change.notifications.iter().map(one).collect()
}

/// Updates in a row: the firing alerts at each instant, and the expected notifications.
fn check(subscriptions: &Subscriptions, updates: &[(i64, &[Alert], &[&str])]) {
    let mut incidents = Incidents::default();
    for (seconds, alerts, expected) in updates {
        let change = incidents.update(&firing(alerts), subscriptions, PATIENCE, at(*seconds));
        assert_eq!(lines(&change), *expected, "at {seconds}");
    }
}

#[test]
fn a_trouble_is_told_when_it_has_lasted_and_is_over_when_that_has() {
    let a = &[alert("a", Severity::Page)][..];
    let chat = wanting(&[("chat", Severity::Ticket)]);
    check(
        &chat,
        &[
            (0, a, &[]),
            (29, a, &[]),
            (30, a, &["chat opened a"]),
            (40, a, &[]),
            (50, &[], &[]),
            (79, &[], &[]),
            (80, &[], &["chat resolved a"]),
            (200, &[], &[]),
        ],
    );
}

#[test]
fn what_flaps_is_told_once_or_not_at_all() {
    let a = &[alert("a", Severity::Page)][..];
    let chat = wanting(&[("chat", Severity::Ticket)]);
    check(&chat, &[(0, a, &[]), (20, &[], &[]), (25, a, &[]), (50, a, &[]), (54, &[], &[])]);
    let opened: &[&str] = &["chat opened a"];
    check(&chat, &[(0, a, &[]), (30, a, opened), (40, &[], &[]), (60, a, &[]), (70, &[], &[]), (99, a, &[])]);
}

#[test]
fn what_passes_by_itself_is_left_more_time() {
    let slow = Alert { grace: SignedDuration::from_mins(15), ..alert("a", Severity::Page) };
    let slow = &[slow][..];
    let chat = wanting(&[("chat", Severity::Ticket)]);
    check(&chat, &[(0, slow, &[]), (899, slow, &[]), (900, slow, &["chat opened a"])]);
}

#[test]
fn a_change_is_told_to_who_knew_and_opened_for_who_did_not() {
    let (ticket, page) = (alert("a", Severity::Ticket), alert("a", Severity::Page));
    let (ticket, page) = (&[ticket][..], &[page][..]);
    let both = wanting(&[("chat", Severity::Ticket), ("pager", Severity::Page)]);
    check(
        &both,
        &[
            (0, ticket, &[]),
            (30, ticket, &["chat opened a"]),
            (40, page, &["chat changed a", "pager opened a"]),
            (50, ticket, &["chat changed a", "pager changed a"]),
            (60, &[], &[]),
            (90, &[], &["chat resolved a", "pager resolved a"]),
        ],
    );
}

#[test]
fn other_words_for_the_same_are_no_news() {
    let first = &[alert("a", Severity::Page)][..];
    let later = Alert { summary: "failed 9 times".to_owned(), ..alert("a", Severity::Page) };
    let chat = wanting(&[("chat", Severity::Ticket)]);
    check(&chat, &[(0, first, &[]), (30, first, &["chat opened a"]), (40, &[later], &[])]);
}

#[test]
fn a_channel_that_comes_later_is_told_what_is_true_and_one_that_goes_nothing() {
    let a = firing(&[alert("a", Severity::Page)]);
    let (one, other) = (wanting(&[("chat", Severity::Info)]), wanting(&[("pager", Severity::Info)]));
    let mut incidents = Incidents::default();
    drop(incidents.update(&a, &one, SignedDuration::ZERO, at(0)));
    assert_eq!(lines(&incidents.update(&a, &other, SignedDuration::ZERO, at(1))), ["pager opened a"]);
    let end = incidents.update(&firing(&[]), &other, SignedDuration::ZERO, at(2));
    assert_eq!((lines(&end), end.resolved), (vec!["pager resolved a".to_owned()], vec!["a".to_owned()]));
}

#[test]
fn of_whom_nothing_is_known_nothing_is_resolved() {
    let a = alert("a", Severity::Page);
    let chat = wanting(&[("chat", Severity::Info)]);
    let mut incidents = Incidents::default();
    drop(incidents.update(&firing(std::slice::from_ref(&a)), &chat, SignedDuration::ZERO, at(0)));
    let blind = AlertSet { alerts: vec![], unknown: [a.subject].into() };
    assert!(incidents.update(&blind, &chat, SignedDuration::ZERO, at(100)).is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    AlertSet { seconds: i64, true_now: BTreeMap<u8, bool> },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let looks = (0..90i64, prop::collection::btree_map(0..3u8, any::<bool>(), 0..3));
    prop_oneof![
        9 => looks.prop_map(|(seconds, true_now)| Step::AlertSet { seconds, true_now }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Each channel receives opened, any number of changed, then resolved, for each alert; in the end no incident is
    /// open. A restart keeps the journalled state only.
    #[test]
    fn everything_opened_is_resolved_once_whatever_happens(steps in prop::collection::vec(step(), 0..40)) {
        let subscriptions = wanting(&[("chat", Severity::Ticket), ("pager", Severity::Page)]);
        let mut incidents = Incidents::default();
        let mut journal: BTreeMap<String, Incident> = BTreeMap::new();
        let mut open: BTreeSet<(ChannelName, String)> = BTreeSet::new();
        let mut ids = BTreeSet::new();
        let mut now = 0;
        let calm = (0..3).map(|_| Step::AlertSet { seconds: 31, true_now: BTreeMap::new() });
        for step in steps.into_iter().chain(calm) {
            let Step::AlertSet { seconds, true_now } = step else {
                incidents = Incidents::new(journal.values().cloned().collect());
                continue;
            };
            now += seconds + 1;
            let severity = |is_page: &bool| if *is_page { Severity::Page } else { Severity::Ticket };
            let alerts: Vec<Alert> =
                true_now.iter().map(|(key, page)| alert(&key.to_string(), severity(page))).collect();
            let change = incidents.update(&firing(&alerts), &subscriptions, PATIENCE, at(now));
            journal.extend(change.incidents.iter().map(|it| (it.alert.key.clone(), it.clone())));
            journal.retain(|key, _| !change.resolved.contains(key));
            for notification in change.notifications {
                let which = (notification.channel.clone(), notification.alert.key.clone());
                match notification.event {
                    NotificationEvent::Opened => prop_assert!(open.insert(which), "opened twice"),
                    NotificationEvent::Changed => prop_assert!(open.contains(&which), "changed and not open"),
                    NotificationEvent::Resolved => prop_assert!(open.remove(&which), "resolved and not open"),
                    NotificationEvent::Happened => prop_assert!(false, "nothing happens here"),
                }
                prop_assert!(ids.insert(notification.id), "two notifications have one id");
            }
        }
        prop_assert!(open.is_empty() && journal.is_empty(), "left open: {open:?}");
    }
}
