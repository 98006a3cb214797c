//! The decisions between rotations: why now, when next, and with which key to begin.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rekeyd::domain::adoption::{self, Marked};
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::ids::{CredentialName, KeyId, ServiceAccountId, StoreName, VersionId, WorkspaceName};
use rekeyd::domain::key::{Account, Inventory, Key, KeyAttributes, Permissions};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::{AfterDeadline, Destination, Reason, RevocationPolicy};
use rekeyd::domain::policy::{Credential, IfVanished, Mode};
use rekeyd::domain::record::{Current, Due, LastRotation, ObstacleKind, PublishedVersion, Record};
use rekeyd::domain::schedule::{Cadence, Schedule};

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
}

fn name() -> CredentialName {
    CredentialName::new("tts").unwrap()
}

fn destination(secret: &str) -> Destination {
    Destination {
        store: StoreName::new("local").unwrap(),
        secret: secret.to_owned(),
        json_field: None,
        create: false,
        create_field: false,
    }
}

/// Every ten hours, to one destination.
fn credential() -> Credential {
    Credential {
        name: name(),
        workspace: WorkspaceName::new("prod").unwrap(),
        service_account: "tts-account".to_owned(),
        create_account: None,
        adopt: None,
        first: None,
        allow_unrestricted: false,
        key_lifetime: None,
        after: BTreeSet::new(),
        bake: SignedDuration::ZERO,
        expire_old_key: None,
        if_vanished: IfVanished::Alert,
        mode: Mode::Rotate,
        destinations: vec![destination("tts")],
        schedule: Schedule {
            cadence: Cadence::Every(SignedDuration::from_hours(10)),
            jitter: SignedDuration::ZERO,
            window: None,
            freezes: Vec::new(),
        },
        terms: RevocationPolicy {
            at_least: SignedDuration::from_hours(1),
            at_most: SignedDuration::from_hours(2),
            then: AfterDeadline::Hold,
            gates: Vec::new(),
            confirm: ConfirmWhen::Never,
            acks_valid_for: None,
            canary: None,
            quarantine: SignedDuration::from_hours(1),
        },
    }
}

/// PublishedVersion at hour 0, due at hour 10.
fn record() -> Record {
    let current = Current {
        key: KeyId::new("key").unwrap(),
        fingerprint: None,
        since: at(0),
        expires_at: None,
        usage_hash: None,
        attributes: None,
    };
    let published =
        PublishedVersion { destination: destination("tts"), version: VersionId::new("v1").unwrap() };
    let fresh = Record { current: Some(current), published: vec![published], ..Record::new(name()) };
    fresh.plan_next(&credential()).unwrap()
}

fn expiring(hour: i64) -> Record {
    let mut record = record();
    record.current.as_mut().unwrap().expires_at = Some(at(hour));
    record
}

fn ended(outcome: PhaseName, aborts: u32) -> Record {
    let rotation = "0190b8a0-0000-7000-8000-000000000001".parse().unwrap();
    Record { last: Some(LastRotation { rotation, outcome, at: at(20), why: None }), aborts, ..record() }
}

#[test]
fn the_first_reason_that_applies_is_given() {
    let asked = |record: Record| record.ask();
    let unpublished = Record { published: Vec::new(), ..record() };
    let rotation = "0190b8a0-0000-7000-8000-000000000001".parse().unwrap();
    for (what, record, hour, reason) in [
        ("before it is due", record(), 9, None),
        ("when it is due", record(), 10, Some(Reason::Schedule)),
        ("long after it was due", record(), 1000, Some(Reason::Schedule)),
        ("when asked", asked(record()), 1, Some(Reason::Manual)),
        ("with no key", Record::new(name()), 1, Some(Reason::FirstKey)),
        ("with a key that was never published", unpublished.clone(), 1, Some(Reason::Adoption)),
        ("asked, and never published", asked(unpublished), 1, Some(Reason::Manual)),
        ("while one is under way", Record { open: Some(rotation), ..asked(record()) }, 99, None),
        // Twice the overlap and a day before it expires, but never more than a third of its life.
        ("long before it expires", expiring(90), 9, None),
        ("a third of a short life before the end", expiring(9), 6, Some(Reason::Expiry)),
        ("before that", expiring(9), 5, None),
        ("after an abort, at once", ended(PhaseName::Aborted, 1), 20, None),
        ("after an abort, an hour later", ended(PhaseName::Aborted, 1), 21, Some(Reason::Schedule)),
        ("after many aborts, an hour later", ended(PhaseName::Aborted, 9), 21, None),
        ("after many aborts, a day later", ended(PhaseName::Aborted, 9), 44, Some(Reason::Schedule)),
        ("asked, after many aborts", asked(ended(PhaseName::Aborted, 9)), 20, Some(Reason::Manual)),
        ("after a rollback, hours later", ended(PhaseName::RolledBack, 1), 40, None),
        ("after a rollback, a day later", ended(PhaseName::RolledBack, 1), 44, Some(Reason::Schedule)),
    ] {
        assert_eq!(record.why_now(&credential(), at(hour)), reason, "{what}");
    }
}

#[test]
fn a_destination_of_the_policy_that_was_never_published_to_is_a_reason() {
    let mut more = credential();
    more.destinations.push(destination("second"));
    assert_eq!(record().why_now(&more, at(1)), Some(Reason::NewDestination));
    // That it may be created now does not make it another place.
    let mut may_create = credential();
    may_create.destinations[0].create = true;
    assert_eq!(record().why_now(&may_create, at(1)), None);
}

#[test]
fn a_due_instant_stays_as_long_as_its_schedule_does() {
    let planned = record();
    let due = |record: &Record| record.due.as_ref().map(|due: &Due| due.at);
    assert_eq!(due(&planned), Some(at(10)));
    assert_eq!(planned.plan_next(&credential()), None, "nothing to change");
    let mut sooner = credential();
    sooner.schedule.cadence = Cadence::Every(SignedDuration::from_hours(5));
    let replanned = planned.plan_next(&sooner).unwrap();
    assert_eq!(due(&replanned), Some(at(5)));
    assert_eq!(Record::new(name()).plan_next(&credential()), None, "without a key there is nothing to plan");
}

#[test]
fn what_a_wrong_clock_wrote_into_a_record_counts_from_now_and_nothing_else_changes() {
    let (now, tolerance) = (at(3), SignedDuration::from_mins(2));
    let since = |at: Timestamp| {
        let mut record = record();
        record.current.as_mut().unwrap().since = at;
        record
    };
    for right in [record(), since(now), since(now + tolerance), ended(PhaseName::RolledBack, 1)] {
        assert_eq!(right.corrected(now, tolerance), None);
    }
    let of_a_key = |record: &Record| record.current.as_ref().unwrap().since;
    for ahead in [SignedDuration::from_mins(3), SignedDuration::from_hours(24 * 730)] {
        let corrected = since(now + ahead).corrected(now, tolerance).unwrap();
        assert_eq!(of_a_key(&corrected), now);
        let planned = corrected.plan_next(&credential()).unwrap();
        assert_eq!(planned.due.as_ref().unwrap().at, at(13), "a whole interval from now");
        assert_eq!(planned.corrected(now, tolerance), None);

        let adopted = Record { adopted_at: Some(now + ahead), published: Vec::new(), ..record() };
        let corrected = adopted.corrected(now, tolerance).unwrap();
        assert_eq!((corrected.adopted_at, of_a_key(&corrected)), (Some(now), at(0)));
        let planned = corrected.plan_next(&credential()).unwrap();
        assert_eq!(planned.why_now(&credential(), now), Some(Reason::Adoption));
    }
}

proptest! {
    /// Otherwise the engine would sleep through a reason, or turn without rest.
    #[test]
    fn no_reason_appears_before_the_next_look_and_no_look_is_in_vain(
        now in 0i64..60, expires in proptest::option::of(1i64..100), aborts in 0u32..4, asked: bool, published: bool,
    ) {
        let mut record = Record { aborts, ..ended(PhaseName::Aborted, aborts) };
        record.current.as_mut().unwrap().expires_at = expires.map(at);
        record.asked = asked;
        if !published {
            record.published.clear();
        }
        let credential = credential();
        prop_assume!(record.why_now(&credential, at(now)).is_none());
        let next = record.next_look(&credential, at(now)).unwrap();
        prop_assert!(next > at(now), "{next} is not after {}", at(now));
        let second = SignedDuration::from_secs(1);
        prop_assert_eq!(record.why_now(&credential, next - second), None);
        prop_assert!(record.why_now(&credential, next + second).is_some());
    }
}

fn key(id: &str, enabled: bool) -> Key {
    Key {
        id: KeyId::new(id).unwrap(),
        account: ServiceAccountId::new("user-1").unwrap(),
        name: id.to_owned(),
        hint: String::new(),
        created_at: Some(at(-5)),
        enabled,
        disable_reason: None,
        attributes: KeyAttributes::of(Permissions::All),
        expires_at: None,
        usage_hash: None,
        character_count: None,
    }
}

fn account(keys: &[(&str, bool)]) -> Account {
    let keys = keys.iter().map(|&(id, enabled)| key(id, enabled)).collect();
    Account {
        id: ServiceAccountId::new("user-1").unwrap(),
        name: "tts-account".to_owned(),
        groups: None,
        keys,
    }
}

#[test]
fn a_credential_begins_with_the_named_key_the_only_enabled_one_or_a_first_one() {
    let only = |id: &str| BTreeSet::from([KeyId::new(id).unwrap()]);
    let marked = Marked { leftovers: only("lost"), foreign: only("another"), served: only("served") };
    let first = Some(KeyAttributes::of(Permissions::All));
    let adopt = |id: &str| Some(KeyId::new(id).unwrap());
    type Keys = &'static [(&'static str, bool)];
    type Chosen = Result<Option<&'static str>, ObstacleKind>;
    let cases: [(Keys, Option<KeyId>, bool, Chosen); 19] = [
        (&[("a", true)], None, false, Ok(Some("a"))),
        (&[("a", true)], None, true, Ok(Some("a"))),
        (&[("a", true), ("b", false)], None, false, Ok(Some("a"))),
        (&[("a", true), ("b", true)], None, false, Err(ObstacleKind::AdoptionUnclear)),
        (&[("a", true), ("b", true)], adopt("b"), false, Ok(Some("b"))),
        (&[("a", true), ("b", false)], adopt("b"), false, Err(ObstacleKind::AdoptionUnclear)),
        (&[("a", true)], adopt("c"), true, Err(ObstacleKind::AdoptionUnclear)),
        (&[("a", false)], None, true, Err(ObstacleKind::AdoptionUnclear)),
        (&[], None, true, Ok(None)),
        (&[], None, false, Err(ObstacleKind::NoPermissions)),
        // What a rotation of ours made and lost is not for adoption.
        (&[("lost", true)], None, true, Ok(None)),
        (&[("a", true), ("lost", true)], None, false, Ok(Some("a"))),
        // What a rotation of another journal made is another rekeyd's, unless an operator says that its journal was lost.
        (&[("another", true)], None, true, Err(ObstacleKind::AdoptionUnclear)),
        (&[("another", true)], adopt("another"), true, Err(ObstacleKind::AdoptionUnclear)),
        (&[("a", true), ("another", true)], None, false, Err(ObstacleKind::AdoptionUnclear)),
        (&[("a", true), ("another", true)], adopt("a"), false, Ok(Some("a"))),
        (&[("a", true), ("another", false)], None, false, Ok(Some("a"))),
        (&[("served", true)], None, false, Err(ObstacleKind::AdoptionUnclear)),
        (&[("served", true)], adopt("served"), false, Ok(Some("served"))),
    ];
    for (keys, adopt, with_first, expected) in cases {
        let credential =
            Credential { adopt: adopt.clone(), first: first.clone().filter(|_| with_first), ..credential() };
        let chosen = adoption::choose_key(&credential, &account(keys), &marked, false, at(0));
        let chosen = chosen
            .map(|current| current.map(|current| current.key.to_string()))
            .map_err(|obstacle| obstacle.kind);
        let expected = expected.map(|key| key.map(str::to_owned));
        assert_eq!(chosen, expected, "{keys:?}, adopt {adopt:?}, first {with_first}");
    }
}

#[test]
fn an_unclear_adoption_names_the_keys_that_there_are() {
    let account = account(&[("a", true), ("b", true), ("c", false)]);
    let obstacle =
        adoption::choose_key(&credential(), &account, &Marked::default(), false, at(0)).unwrap_err();
    for id in ["`a` (enabled", "`b` (enabled", "`c` (disabled", "`adopt`"] {
        assert!(obstacle.detail.contains(id), "{}", obstacle.detail);
    }
}

#[test]
fn an_account_without_a_key_says_what_to_write_and_where() {
    let obstacle =
        adoption::choose_key(&credential(), &account(&[]), &Marked::default(), false, at(0)).unwrap_err();
    let wanted = format!("`[credentials.{}]`", credential().name);
    for part in [wanted.as_str(), "`permissions = [\"text_to_speech\"]`"] {
        assert!(obstacle.detail.contains(part), "{}", obstacle.detail);
    }
}

#[test]
fn a_service_account_is_found_by_its_id_or_its_exact_name() {
    let named = |id: &str, name: &str| Account {
        id: ServiceAccountId::new(id).unwrap(),
        name: name.to_owned(),
        groups: None,
        keys: Vec::new(),
    };
    let accounts = vec![named("user-1", "tts-account"), named("user-2", "twin"), named("user-3", "twin")];
    let inventory = Inventory { accounts, clock_skew_seconds: None };
    let find = |wanted: &str| {
        let credential = Credential { service_account: wanted.to_owned(), ..credential() };
        adoption::find_account(&credential, &inventory, at(0)).map(|account| account.id.to_string())
    };
    assert_eq!(find("tts-account").unwrap(), "user-1");
    assert_eq!(find("user-3").unwrap(), "user-3");
    let twins = find("twin").unwrap_err();
    assert!(twins.detail.contains("`user-2`") && twins.detail.contains("`user-3`"), "{}", twins.detail);
    assert!(find("TTS-account").unwrap_err().detail.contains("`tts-account`"));
}
