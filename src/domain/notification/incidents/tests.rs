//! News in tables, and for whatever looks there may be.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::ids::CredentialName;
use crate::domain::notification::{Severity, Subject};

const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn trouble(key: &str, severity: Severity) -> Alert {
    Alert {
        key: key.to_owned(),
        severity,
        what: "foreign_value".to_owned(),
        subject: Subject::Credential { name: CredentialName::new("tts").unwrap(), workspace: None },
        summary: "words".to_owned(),
        next: None,
        anchor: String::new(),
        since: at(0),
        passes_within: SignedDuration::ZERO,
    }
}

fn look(troubles: &[Alert]) -> Look {
    Look { troubles: troubles.to_vec(), unjudged: BTreeSet::new() }
}

fn wanting(channels: &[(&str, Severity)]) -> Interests {
    let interest = |at_least| Interest {
        at_least,
        on: BTreeSet::new(),
        workspaces: BTreeSet::new(),
        credentials: BTreeSet::new(),
    };
    channels.iter().map(|(name, least)| (ChannelName::new(*name).unwrap(), interest(*least))).collect()
}

fn said(change: &Change) -> Vec<String> {
    let one = |it: &Notification| format!("{} {} {}", it.channel, it.news.label(), it.trouble.key);
    change.letters.iter().map(one).collect()
}

/// Looks in a row, each with what is true then, and what each makes people be told.
fn told(interests: &Interests, looks: &[(i64, &[Alert], &[&str])]) {
    let mut threads = Incidents::default();
    for (seconds, troubles, expected) in looks {
        let change = threads.news(&look(troubles), interests, PATIENCE, at(*seconds));
        assert_eq!(said(&change), *expected, "at {seconds}");
    }
}

#[test]
fn a_trouble_is_told_when_it_has_lasted_and_is_over_when_that_has() {
    let a = &[trouble("a", Severity::Page)][..];
    let chat = wanting(&[("chat", Severity::Ticket)]);
    told(
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
    let a = &[trouble("a", Severity::Page)][..];
    let chat = wanting(&[("chat", Severity::Ticket)]);
    told(&chat, &[(0, a, &[]), (20, &[], &[]), (25, a, &[]), (50, a, &[]), (54, &[], &[])]);
    let opened: &[&str] = &["chat opened a"];
    told(&chat, &[(0, a, &[]), (30, a, opened), (40, &[], &[]), (60, a, &[]), (70, &[], &[]), (99, a, &[])]);
}

#[test]
fn what_passes_by_itself_is_left_more_time() {
    let slow = Alert { passes_within: SignedDuration::from_mins(15), ..trouble("a", Severity::Page) };
    let slow = &[slow][..];
    let chat = wanting(&[("chat", Severity::Ticket)]);
    told(&chat, &[(0, slow, &[]), (899, slow, &[]), (900, slow, &["chat opened a"])]);
}

#[test]
fn a_change_is_told_to_who_knew_and_opened_for_who_did_not() {
    let (ticket, page) = (trouble("a", Severity::Ticket), trouble("a", Severity::Page));
    let (ticket, page) = (&[ticket][..], &[page][..]);
    let both = wanting(&[("chat", Severity::Ticket), ("pager", Severity::Page)]);
    told(
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
    let first = &[trouble("a", Severity::Page)][..];
    let later = Alert { summary: "failed 9 times".to_owned(), ..trouble("a", Severity::Page) };
    let chat = wanting(&[("chat", Severity::Ticket)]);
    told(&chat, &[(0, first, &[]), (30, first, &["chat opened a"]), (40, &[later], &[])]);
}

#[test]
fn a_channel_that_comes_later_is_told_what_is_true_and_one_that_goes_nothing() {
    let a = look(&[trouble("a", Severity::Page)]);
    let (one, other) = (wanting(&[("chat", Severity::Info)]), wanting(&[("pager", Severity::Info)]));
    let mut threads = Incidents::default();
    drop(threads.news(&a, &one, SignedDuration::ZERO, at(0)));
    assert_eq!(said(&threads.news(&a, &other, SignedDuration::ZERO, at(1))), ["pager opened a"]);
    let over = threads.news(&look(&[]), &other, SignedDuration::ZERO, at(2));
    assert_eq!((said(&over), over.over), (vec!["pager resolved a".to_owned()], vec!["a".to_owned()]));
}

#[test]
fn of_whom_nothing_is_known_nothing_is_resolved() {
    let a = trouble("a", Severity::Page);
    let chat = wanting(&[("chat", Severity::Info)]);
    let mut threads = Incidents::default();
    drop(threads.news(&look(std::slice::from_ref(&a)), &chat, SignedDuration::ZERO, at(0)));
    let blind = Look { troubles: vec![], unjudged: [a.subject].into() };
    assert!(threads.news(&blind, &chat, SignedDuration::ZERO, at(100)).is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Look { seconds: i64, true_now: BTreeMap<u8, bool> },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let looks = (0..90i64, prop::collection::btree_map(0..3u8, any::<bool>(), 0..3));
    prop_oneof![
        9 => looks.prop_map(|(seconds, true_now)| Step::Look { seconds, true_now }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// To each channel news of one trouble is opened, then any number of changes, then resolved, and so on; in the end
    /// nothing is left open. A restart knows what was journalled, and nothing else.
    #[test]
    fn everything_opened_is_resolved_once_whatever_happens(steps in prop::collection::vec(step(), 0..40)) {
        let interests = wanting(&[("chat", Severity::Ticket), ("pager", Severity::Page)]);
        let mut threads = Incidents::default();
        let mut journal: BTreeMap<String, Incident> = BTreeMap::new();
        let mut open: BTreeSet<(ChannelName, String)> = BTreeSet::new();
        let mut ids = BTreeSet::new();
        let mut now = 0;
        let calm = (0..3).map(|_| Step::Look { seconds: 31, true_now: BTreeMap::new() });
        for step in steps.into_iter().chain(calm) {
            let Step::Look { seconds, true_now } = step else {
                threads = Incidents::new(journal.values().cloned().collect());
                continue;
            };
            now += seconds + 1;
            let severity = |is_page: &bool| if *is_page { Severity::Page } else { Severity::Ticket };
            let troubles: Vec<Alert> =
                true_now.iter().map(|(key, page)| trouble(&key.to_string(), severity(page))).collect();
            let change = threads.news(&look(&troubles), &interests, PATIENCE, at(now));
            journal.extend(change.threads.iter().map(|it| (it.trouble.key.clone(), it.clone())));
            journal.retain(|key, _| !change.over.contains(key));
            for letter in change.letters {
                let which = (letter.channel.clone(), letter.trouble.key.clone());
                match letter.news {
                    News::Opened => prop_assert!(open.insert(which), "opened twice"),
                    News::Changed => prop_assert!(open.contains(&which), "changed and not open"),
                    News::Resolved => prop_assert!(open.remove(&which), "resolved and not open"),
                    News::Happened => prop_assert!(false, "nothing happens here"),
                }
                prop_assert!(ids.insert(letter.id), "two letters have one id");
            }
        }
        prop_assert!(open.is_empty() && journal.is_empty(), "left open: {open:?}");
    }
}
