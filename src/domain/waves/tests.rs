//! Waves by their table, and that nobody waits for ever.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::domain::ids::{KeyId, RotationId, WorkspaceName};
use crate::domain::plan::{AfterDeadline, RevocationPolicy};
use crate::domain::policy::{IfVanished, Mode};
use crate::domain::record::{Current, LastRotation};
use crate::domain::schedule::{Cadence, Schedule};

const EVERY: i64 = 100;

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
}

fn name(index: usize) -> CredentialName {
    CredentialName::new(format!("c{index}")).unwrap()
}

fn credential(index: usize, after: &BTreeSet<usize>, bake: i64) -> Credential {
    let zero = SignedDuration::ZERO;
    let cadence = Cadence::Every(SignedDuration::from_hours(EVERY));
    Credential {
        name: name(index),
        workspace: WorkspaceName::new("prod").unwrap(),
        service_account: "account".to_owned(),
        create_account: None,
        adopt: None,
        first: None,
        allow_unrestricted: false,
        key_lifetime: None,
        destinations: Vec::new(),
        schedule: Schedule { cadence, jitter: zero, window: None, freezes: Vec::new() },
        terms: RevocationPolicy { then: AfterDeadline::Hold, ..RevocationPolicy::of_an_emergency() },
        after: after.iter().map(|index| name(*index)).collect(),
        bake: SignedDuration::from_hours(bake),
        expire_old_key: None,
        if_vanished: IfVanished::Alert,
        mode: Mode::Rotate,
    }
}

/// One whose key is of one hour, and whose last rotation ended as that in another.
fn record(index: usize, since: i64, ended: Option<(PhaseName, i64)>) -> Record {
    let current = Current {
        key: KeyId::new("key").unwrap(),
        fingerprint: None,
        since: at(since),
        expires_at: None,
        usage_hash: None,
        attributes: None,
    };
    let last =
        ended.map(|(outcome, hour)| LastRotation { rotation: rotation(), outcome, at: at(hour), why: None });
    Record { current: Some(current), last, ..Record::new(name(index)) }
}

fn rotation() -> RotationId {
    RotationId::from_uuid(uuid::Uuid::from_u128(7))
}

#[test]
fn a_predecessor_lets_go_when_it_is_newer_done_and_baked() {
    let own = record(1, 10, None);
    let credential = credential(1, &[0].into(), 5);
    let told = |before: Option<&Record>, now| {
        waits(&own, &credential, |_| before, at(now)).map(|waiting| (waiting.to_string(), waiting.until()))
    };
    let done = Some((PhaseName::Done, 20));
    let under_way = Record { open: Some(rotation()), ..record(0, 12, done) };
    let keyless = Record { current: None, ..record(0, 12, done) };
    for (before, expected) in [
        (None, "`c0` comes first and has not been rotated yet"),
        (Some(&record(0, 9, done)), "`c0` comes first and has not been rotated yet"),
        (Some(&record(0, 10, done)), "`c0` comes first and has not been rotated yet"),
        (Some(&record(0, 12, None)), "`c0` comes first and has not been rotated yet"),
        (Some(&keyless), "`c0` comes first and has not been rotated yet"),
        (Some(&under_way), "`c0` comes first and is being rotated"),
        (
            Some(&record(0, 12, Some((PhaseName::RolledBack, 20)))),
            "`c0` comes first and its last rotation ended as `rolled_back`",
        ),
        (
            Some(&record(0, 12, Some((PhaseName::Aborted, 20)))),
            "`c0` comes first and its last rotation ended as `aborted`",
        ),
    ] {
        assert_eq!(told(before, 1000), Some((expected.to_owned(), None)));
    }
    let ready = record(0, 12, done);
    let baking = "`c0` is done and is watched until 1970-01-02T01:00:00Z".to_owned();
    assert_eq!(told(Some(&ready), 24), Some((baking, Some(at(25)))));
    assert_eq!(told(Some(&ready), 25), None);
}

#[test]
fn of_several_the_one_that_is_furthest_behind_is_named() {
    let own = record(3, 10, None);
    let credential = credential(3, &[0, 1].into(), 5);
    let records = BTreeMap::from([
        (name(0), record(0, 12, Some((PhaseName::Done, 20)))),
        (name(1), record(1, 12, Some((PhaseName::Done, 30)))),
    ]);
    let waiting = waits(&own, &credential, |name| records.get(name), at(24)).unwrap();
    assert_eq!((waiting.on.clone(), waiting.until()), (name(1), Some(at(35))));
    assert_eq!(waits(&own, &credential, |name| records.get(name), at(35)), None);
}

proptest! {
    /// Whatever comes after what, and whoever was rotated out of turn: as long as nobody waits for himself, everybody
    /// is rotated again and again, and never before those that come first. (All predecessors together leave a gap: the
    /// policy's check warns where they may not.)
    #[test]
    fn nobody_waits_for_ever(
        edges in prop::collection::vec((0usize..7, 0usize..7), 0..20),
        bake in 0i64..9,
        takes in 1i64..7,
        born in prop::collection::vec(0i64..EVERY, 7),
        wishes in prop::collection::vec((0i64..1000, 0usize..7), 0..10),
    ) {
        let mut after: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (one, other) in edges.into_iter().filter(|(one, other)| one != other) {
            after.entry(one.max(other)).or_default().insert(one.min(other));
        }
        let none = BTreeSet::new();
        let credentials: Vec<Credential> =
            (0..7).map(|index| credential(index, after.get(&index).unwrap_or(&none), bake)).collect();
        let mut records: BTreeMap<CredentialName, Record> = born
            .iter()
            .enumerate()
            .map(|(index, hour)| (name(index), record(index, *hour, None)))
            .collect();
        let (mut ends, mut rotated) = (BTreeMap::new(), BTreeMap::new());
        for hour in EVERY..EVERY * 40 {
            for credential in &credentials {
                let own = records[&credential.name].clone();
                if ends.get(&credential.name).is_some_and(|end| *end <= hour) {
                    ends.remove(&credential.name);
                    let last = LastRotation { rotation: rotation(), outcome: PhaseName::Done, at: at(hour), why: None };
                    let since = at(hour - takes);
                    let current = own.current.clone().map(|current| Current { since, ..current });
                    let ended = Record { open: None, last: Some(last), current, ..own.clone() };
                    records.insert(credential.name.clone(), ended);
                    continue;
                }
                let since = own.current.as_ref().unwrap().since;
                let wanted = wishes.iter().any(|(when, who)| *when == hour && name(*who) == credential.name);
                let due = credential.schedule.next_due(&credential.name, since) <= at(hour);
                let waiting = waits(&own, credential, |name| records.get(name), at(hour));
                if own.open.is_none() && (wanted || due && waiting.is_none()) {
                    if !wanted {
                        for before in &credential.after {
                            let before = &records[before];
                            prop_assert!(before.current.as_ref().unwrap().since > since && before.open.is_none());
                        }
                    }
                    ends.insert(credential.name.clone(), hour + takes);
                    let begun = Record { open: Some(rotation()), ..own.clone() };
                    records.insert(credential.name.clone(), begun);
                    *rotated.entry(credential.name.clone()).or_insert(0) += 1;
                }
            }
        }
        for credential in &credentials {
            let times = rotated.get(&credential.name).copied().unwrap_or(0);
            prop_assert!(times >= 8, "{} was rotated {times} times: {:?}", credential.name, records);
        }
    }
}
