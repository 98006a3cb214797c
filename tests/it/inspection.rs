//! What listings show, as findings; and what a leak means for a rotation under way.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::emergency::response;
use rekeyd::domain::finding::{Finding, FindingKind};
use rekeyd::domain::ids::{CredentialName, KeyId, ServiceAccountId, StoreName};
use rekeyd::domain::inspection::{InspectionInput, inspect};
use rekeyd::domain::key::{Account, DisableReason, Inventory, Key, KeyAttributes, Permissions};
use rekeyd::domain::plan::Destination;
use rekeyd::domain::record::{Current, Record};
use rekeyd::domain::rotation::Rotation;
use rekeyd::domain::secret::Fingerprint;
use rekeyd::domain::sharing::SharingGroups;

use crate::state_table;

fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
}

fn id(text: &str) -> KeyId {
    KeyId::new(text).unwrap()
}

fn only(names: &[&str]) -> KeyAttributes {
    KeyAttributes::of(Permissions::Only(names.iter().map(|&name| name.to_owned()).collect()))
}

fn key(text: &str) -> Key {
    Key {
        id: id(text),
        account: ServiceAccountId::new("account").unwrap(),
        name: text.to_owned(),
        hint: String::new(),
        created_at: Some(at(0)),
        enabled: true,
        disable_reason: None,
        attributes: only(&["tts"]),
        expires_at: None,
        usage_hash: None,
        character_count: None,
    }
}

fn listing(keys: Vec<Key>) -> Inventory {
    let id = ServiceAccountId::new("account").unwrap();
    Inventory {
        accounts: vec![Account { id, name: "account".to_owned(), groups: None, keys }],
        clock_skew_seconds: None,
    }
}

/// Its key `old` is current since the beginning, with a baseline.
fn record() -> Record {
    let current = Current {
        key: id("old"),
        fingerprint: Some(Fingerprint::of(b"old")),
        since: at(0),
        expires_at: None,
        usage_hash: None,
        attributes: Some(only(&["tts"])),
    };
    Record { current: Some(current), ..Record::new(CredentialName::new("tts").unwrap()) }
}

fn look(record: &Record, rotation: Option<&Rotation>, keys: Vec<Key>, minutes: i64) -> Record {
    let inventory = listing(keys);
    let seen = InspectionInput {
        inventory: &inventory,
        at: at(minutes),
        settle: SignedDuration::from_mins(2),
        strangers: Some(&[]),
        places: None,
    };
    inspect(record, rotation, None, &seen)
}

fn kinds(record: &Record) -> Vec<FindingKind> {
    record.findings.iter().map(|it| it.kind).collect()
}

fn disabled(reason: Option<DisableReason>) -> Vec<Key> {
    vec![Key { enabled: false, disable_reason: reason, ..key("old") }]
}

#[test]
fn each_state_of_a_listed_key_is_one_finding() {
    use DisableReason as R;
    use FindingKind as F;
    let changed = Key { attributes: only(&["tts", "voices"]), ..key("old") };
    let exposed_and_enabled = Key { disable_reason: Some(R::ExposedPublicly), ..key("old") };
    for (what, keys, minutes, expected) in [
        ("as it should be", vec![key("old")], 9, vec![]),
        ("exposed", disabled(Some(R::ExposedPublicly)), 9, vec![F::ExposedPublicly]),
        ("exposed, and enabled again", vec![exposed_and_enabled], 9, vec![F::ExposedPublicly]),
        ("exposed when it is young", disabled(Some(R::ExposedPublicly)), 1, vec![F::ExposedPublicly]),
        ("disabled by its holder", disabled(Some(R::SelfDisabled)), 9, vec![F::SelfDisabled]),
        ("a trial", disabled(Some(R::TrialEnded)), 9, vec![F::TrialEnded]),
        ("a downgrade", disabled(Some(R::SubscriptionDowngrade)), 9, vec![F::SubscriptionDowngrade]),
        ("by a person", disabled(None), 9, vec![F::DisabledByHand]),
        ("for a new reason", disabled(Some(R::Other("moon".to_owned()))), 9, vec![F::DisabledByHand]),
        ("gone", vec![], 9, vec![F::KeyVanished]),
        ("a listing that lags", vec![], 1, vec![]),
        ("a listing that lags, disabled", disabled(None), 1, vec![]),
        ("changed", vec![changed], 9, vec![F::PermissionsChanged]),
    ] {
        assert_eq!(kinds(&look(&record(), None, keys, minutes)), expected, "{what}");
    }
}

#[test]
fn a_listed_expiry_is_taken_over_unless_the_listing_may_lag_or_a_rotation_is_in_progress() {
    let expiring = || vec![Key { expires_at: Some(at(600)), ..key("old") }];
    let expiry = |record: Record| record.current.unwrap().expires_at;
    let taken = look(&record(), None, expiring(), 9);
    assert_eq!(expiry(look(&taken, None, vec![key("old")], 12)), None, "it was removed again");
    assert_eq!(expiry(taken), Some(at(600)));
    assert_eq!(expiry(look(&record(), None, expiring(), 1)), None, "the key is young");
    for (name, rotation) in state_table::states() {
        let record = look(&record(), Some(&rotation), expiring(), 9);
        assert_eq!(expiry(record), None, "{name} may have set it");
    }
}

#[test]
fn a_finding_keeps_its_beginning_and_goes_with_its_cause_but_a_leak_stays() {
    let first = look(&record(), None, disabled(None), 5);
    let again = look(&first, None, disabled(None), 8);
    assert_eq!(again, first, "nothing has changed, so nothing is written");
    assert_eq!(again.findings[0].since, at(5));
    assert_eq!(kinds(&look(&again, None, vec![key("old")], 9)), []);
    let leaked = look(&record(), None, disabled(Some(DisableReason::SelfDisabled)), 5);
    let later = look(&leaked, None, vec![key("old")], 9);
    assert_eq!((kinds(&later), later.findings[0].since), (vec![FindingKind::SelfDisabled], at(5)));
}

#[test]
fn a_key_without_a_baseline_gets_what_it_is_listed_with() {
    let mut without = record();
    without.current.as_mut().unwrap().attributes = None;
    let seen = look(&without, None, vec![key("old")], 9);
    assert_eq!((kinds(&seen), seen.current.unwrap().attributes), (vec![], Some(only(&["tts"]))));
}

#[test]
fn changed_sharing_groups_are_a_finding_unless_they_are_not_listed() {
    let shared = |groups: &[(&str, &str)]| {
        Some(groups.iter().fold(SharingGroups::default(), |all, (id, role)| all.with(*id, *role)))
    };
    let account = Some(ServiceAccountId::new("account").unwrap());
    let look = |known: &Record, groups: Option<SharingGroups>, minutes| {
        let mut inventory = listing(vec![key("old")]);
        inventory.accounts[0].groups = groups;
        let settle = SignedDuration::from_mins(2);
        let seen = InspectionInput {
            inventory: &inventory,
            at: at(minutes),
            settle,
            strangers: Some(&[]),
            places: None,
        };
        inspect(known, None, None, &seen)
    };
    let fresh = Record { account, ..record() };
    assert_eq!(look(&fresh, None, 5), fresh, "a version that lists none records none");
    let base = look(&fresh, shared(&[("g1", "viewer")]), 5);
    assert_eq!((kinds(&base), &base.sharing_groups), (vec![], &shared(&[("g1", "viewer")])));
    assert_eq!(look(&base, None, 6), base, "a missing field is no change");
    for (groups, told) in [
        (shared(&[]), "removed `g1`"),
        (shared(&[("g1", "viewer"), ("g2", "admin")]), "added `g2` (admin)"),
        (shared(&[("g1", "editor")]), "`g1` is editor, was viewer"),
    ] {
        let changed = look(&base, groups, 7);
        assert_eq!(kinds(&changed), [FindingKind::SharingGroupsChanged]);
        assert!(changed.findings[0].detail.contains(told), "{}", changed.findings[0].detail);
        assert_eq!(changed.sharing_groups, base.sharing_groups, "only an operator accepts it");
        assert_eq!(look(&changed, None, 8), changed, "what is not listed any more stays as it was found");
        assert_eq!(look(&changed, shared(&[("g1", "viewer")]), 9), base);
    }
    let empty = look(&fresh, shared(&[]), 5);
    assert_eq!(kinds(&look(&empty, shared(&[("g1", "viewer")]), 6)), [FindingKind::SharingGroupsChanged]);
}

#[test]
fn strangers_are_told_unless_accepted_and_destinations_only_when_they_were_read() {
    let place = |text: &str| Destination {
        store: StoreName::new("local").unwrap(),
        secret: text.to_owned(),
        json_field: None,
        create: false,
        create_field: false,
    };
    let inventory = listing(vec![key("old"), key("a"), key("b")]);
    let strangers = [id("a"), id("b")];
    let places = [(place("one"), Some(Fingerprint::of(b"old"))), (place("two"), Some(Fingerprint::of(b"x")))];
    let seen = InspectionInput {
        inventory: &inventory,
        at: at(9),
        settle: SignedDuration::ZERO,
        strangers: Some(&strangers),
        places: Some(&places),
    };
    let accepting = Record { accepted: [id("a")].into(), ..record() };
    let told = inspect(&accepting, None, None, &seen);
    assert_eq!(kinds(&told), [FindingKind::DestinationChanged, FindingKind::ForeignKeys]);
    assert!(told.findings[0].detail.contains("local:two") && !told.findings[0].detail.contains("local:one"));
    assert!(told.findings[1].detail.contains("`b`") && !told.findings[1].detail.contains("`a`"));
    let unread = InspectionInput { strangers: None, places: None, ..seen };
    assert_eq!(inspect(&told, None, None, &unread), told, "what was not looked at stays as it was");
}

#[test]
fn what_a_leak_means_is_decided_for_every_phase() {
    let leak = |of: &str| {
        let kind = FindingKind::ReportedLeaked;
        Finding { kind, key: Some(id(of)), detail: "seen in public".to_owned(), since: at(1) }
    };
    let mut text = String::new();
    for (name, rotation) in state_table::states() {
        let told = |leaks: &[&str], emergency: bool| {
            let record = Record { findings: leaks.iter().map(|of| leak(of)).collect(), ..record() };
            let mut rotation = rotation.clone();
            rotation.plan.emergency = emergency;
            let event = response(&record, &rotation);
            if let Some(event) = &event {
                let next = rekeyd::domain::step::step(&rotation, event, at(9));
                assert!(next.is_ok(), "{name}: {} is illegal for {leaks:?}", event.name());
                let again = response(&record, &next.unwrap());
                assert_ne!(again.as_ref(), Some(event), "{name}: {} is repeated for ever", event.name());
            }
            event.map_or("-", |event| event.name())
        };
        assert_eq!(told(&[], false), "-", "{name}");
        let [old, new, both, answered] =
            [(&["old"][..], false), (&["new"], false), (&["old", "new"], false), (&["old"], true)]
                .map(|(leaks, emergency)| told(leaks, emergency));
        text += &format!("{name}: old {old}, new {new}, both {both}\n");
        assert_eq!(answered, "-", "{name}");
    }
    insta::assert_snapshot!("answers_to_leaks", text);
}

#[test]
fn the_old_key_that_a_rotation_has_disabled_is_no_finding() {
    for (name, rotation) in state_table::states() {
        let quiet =
            ["disabling", "quarantine", "revoking", "reinstating", "done"].iter().any(|it| name.contains(it))
                || name.starts_with("rolling_back, old key disabled");
        for (reason, kind) in [
            (None, FindingKind::DisabledByHand),
            (Some(DisableReason::SelfDisabled), FindingKind::SelfDisabled),
        ] {
            let found = kinds(&look(&record(), Some(&rotation), disabled(reason), 9));
            assert_eq!(found, if quiet { vec![] } else { vec![kind] }, "{name}");
        }
    }
}
