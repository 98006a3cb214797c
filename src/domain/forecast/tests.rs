//! Who waits for whom, by tables; that it comes true is held against the engine in `tests/it/forecast.rs`.

use super::*;
use crate::domain::ids::WorkspaceName;
use crate::domain::plan::{AfterDeadline, Destination, Terms};
use crate::domain::policy::{Credential, IfVanished, WorkspaceLimits};
use crate::domain::schedule::{Cadence, Freeze, Schedule};

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + hours(hour)
}

/// Every so many hours, after others, with an hour of overlap and two of quarantine.
fn credential(name: &str, every: i64, after: &[&str]) -> Credential {
    let zero = SignedDuration::ZERO;
    let destination = Destination {
        store: StoreName::new("aws").unwrap(),
        secret: "one".to_owned(),
        json_field: Some(name.to_owned()),
        create: true,
    };
    let terms = Terms { then: AfterDeadline::Hold, ..Terms::of_an_emergency() };
    Credential {
        name: CredentialName::new(name).unwrap(),
        workspace: WorkspaceName::new("prod").unwrap(),
        service_account: name.to_owned(),
        adopt: None,
        first: None,
        allow_unrestricted: false,
        key_lifetime: None,
        destinations: vec![destination],
        schedule: Schedule {
            cadence: Cadence::Every(hours(every)),
            jitter: zero,
            window: None,
            freezes: Vec::new(),
        },
        terms: Terms { at_least: hours(1), quarantine: hours(2), ..terms },
        after: after.iter().map(|name| CredentialName::new(*name).unwrap()).collect(),
        bake: hours(4),
        expire_old_key: None,
        if_vanished: IfVanished::Alert,
    }
}

fn played(limits: WorkspaceLimits, credentials: Vec<Credential>, until: i64) -> Forecast {
    bounded(Bounds::default(), limits, credentials, until)
}

fn bounded(bounds: Bounds, limits: WorkspaceLimits, credentials: Vec<Credential>, until: i64) -> Forecast {
    let policy = Policy {
        workspaces: [(WorkspaceName::new("prod").unwrap(), limits)].into(),
        credentials: credentials.into_iter().map(|it| (it.name.clone(), it)).collect(),
        ..Policy::default()
    };
    let starts = policy.credentials.keys().map(|name| (name.clone(), Start::assumed(name.clone(), at(0))));
    let quota = VersionQuota { per_day: 100, service: "AWS Secrets Manager" };
    let quotas = [(StoreName::new("aws").unwrap(), quota)].into();
    within(bounds, &policy, &quotas, starts.collect(), at(0), at(until))
}

/// Who begins in which hour.
fn begins(forecast: &Forecast) -> Vec<(String, i64)> {
    let hour = |at: Timestamp| at.as_second() / 3600;
    forecast.rotations.iter().map(|it| (it.credential.to_string(), hour(it.begins))).collect()
}

fn named(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(name, hour)| ((*name).to_owned(), *hour)).collect()
}

fn limits(places: usize, mints: u32) -> WorkspaceLimits {
    WorkspaceLimits { overlaps_at_once: places, mints_per_hour: mints, ..WorkspaceLimits::default() }
}

#[test]
fn a_wave_begins_when_those_before_it_are_done_and_have_been_for_a_while() {
    let fleet =
        || vec![credential("a", 100, &[]), credential("b", 100, &["a"]), credential("c", 100, &["a", "b"])];
    let foreseen = played(limits(usize::MAX, 100), fleet(), 299);
    // Each is over three hours after it began, and watched for four more.
    let expected = [("a", 100), ("b", 107), ("c", 114), ("a", 200), ("b", 207), ("c", 214)];
    assert_eq!(begins(&foreseen), named(&expected));
    assert!(foreseen.broken.is_empty(), "{:?}", foreseen.broken);
    let held = foreseen.rotations.iter().find(|it| it.credential.as_str() == "b").unwrap();
    assert!(held.held_by.as_ref().unwrap().contains("`a` is done and is watched until"), "{held:?}");
    // Three in a row take longer than their whole interval.
    let tight = fleet().into_iter().map(|it| Credential { bake: hours(60), ..it }).collect();
    let foreseen = played(limits(usize::MAX, 100), tight, 999);
    let broken: Vec<&str> = foreseen.broken.iter().map(|it| it.credential.as_str()).collect();
    assert_eq!(broken, ["c"], "{:?}", foreseen.broken);
    assert!(foreseen.broken[0].why.contains("longer than its whole interval"), "{:?}", foreseen.broken);
}

#[test]
fn those_that_are_due_together_have_their_places_one_after_the_other() {
    let fleet =
        |count: usize| ["a", "b", "c", "d"].iter().take(count).map(|it| credential(it, 12, &[])).collect();
    let foreseen = played(limits(1, 100), fleet(3), 20);
    assert_eq!(begins(&foreseen), named(&[("a", 12), ("b", 15), ("c", 18)]));
    assert!(foreseen.rotations[1].held_by.as_ref().unwrap().contains("has 1 rotations under way"));
    assert_eq!(begins(&played(limits(2, 100), fleet(3), 20)), named(&[("a", 12), ("b", 12), ("c", 15)]));
    assert!(
        played(limits(1, 100), fleet(4), 999).broken.is_empty(),
        "four times three hours is what there is"
    );
    let five = fleet(4).into_iter().chain([credential("e", 12, &[])]).collect();
    let foreseen: Forecast = played(limits(1, 100), five, 999);
    assert!(!foreseen.broken.is_empty(), "five times three hours do not fit into twelve");
    assert!(foreseen.broken.iter().all(|it| it.why.contains("raise `overlaps_at_once`")));
}

#[test]
fn the_budget_of_mints_spreads_what_begins_together() {
    let fleet = ["a", "b", "c"].iter().map(|it| credential(it, 12, &[])).collect();
    let foreseen = played(limits(usize::MAX, 2), fleet, 20);
    let disabled: Vec<i64> = foreseen.rotations.iter().map(|it| it.disables.as_second()).collect();
    assert_eq!(disabled, [13 * 3600, 13 * 3600, 14 * 3600 + 1]);
    assert!(foreseen.rotations[2].held_by.as_ref().unwrap().contains("`mints_per_hour`"));
}

#[test]
fn a_key_that_expires_waits_for_nobody() {
    let key_lifetime = Some(hours(130));
    let fleet = vec![credential("a", 300, &[]), Credential { key_lifetime, ..credential("b", 100, &["a"]) }];
    let foreseen = played(limits(1, 100), fleet, 600);
    let reasons: Vec<&str> = foreseen
        .rotations
        .iter()
        .filter(|it| it.credential.as_str() == "b")
        .map(|it| it.reason.label())
        .collect();
    assert!(reasons.contains(&"expiry"), "{:?}", foreseen.rotations);
    assert!(foreseen.broken.iter().all(|it| !it.why.contains("expires")), "{:?}", foreseen.broken);
}

#[test]
fn what_a_rotation_under_way_holds_up_goes_on_when_it_is_over() {
    let policy = Policy {
        workspaces: [(WorkspaceName::new("prod").unwrap(), limits(1, 100))].into(),
        credentials: [credential("a", 100, &[]), credential("b", 1, &[])]
            .map(|it| (it.name.clone(), it))
            .into(),
        ..Policy::default()
    };
    let names: Vec<CredentialName> = policy.credentials.keys().cloned().collect();
    let mut starts: BTreeMap<_, _> =
        names.iter().map(|name| (name.clone(), Start::assumed(name.clone(), at(0)))).collect();
    starts.get_mut(&names[0]).unwrap().under_way = Some(UnderWay { since: at(0), ends: at(5) });
    let foreseen = forecast(&policy, &BTreeMap::new(), starts, at(0), at(5));
    assert_eq!(begins(&foreseen).first(), named(&[("b", 5)]).first());
}

#[test]
fn what_is_too_much_is_counted_and_what_is_far_too_much_is_said_to_be_left_out() {
    let fleet = || vec![credential("a", 10, &[]), credential("b", 10, &[])];
    let free = || limits(usize::MAX, 100);
    let all = played(free(), fleet(), 105);
    assert_eq!((all.rotations.len(), all.more, all.whole_until), (20, 0, None));
    let told = bounded(Bounds { told: 5, ..Bounds::default() }, free(), fleet(), 105);
    assert_eq!((told.rotations.len(), told.more, told.whole_until), (5, 15, None));
    assert_eq!(told.rotations, all.rotations[..5], "the first are told");
    let of_one = bounded(Bounds { of_one: 3, ..Bounds::default() }, free(), fleet(), 105);
    assert_eq!((of_one.rotations.len(), of_one.whole_until), (6, Some(at(40))));
    let of_all = bounded(Bounds { of_all: 7, ..Bounds::default() }, free(), fleet(), 105);
    assert_eq!((of_all.rotations.len(), of_all.whole_until), (7, Some(at(40))));
    assert!(of_all.broken.is_empty(), "nobody is late for not having been played: {:?}", of_all.broken);
}

#[test]
fn a_rotation_that_its_calendar_holds_up_for_a_whole_interval_is_late_and_a_freeze_may_last_a_month() {
    let day = credential("a", 24, &[]);
    let frozen = |days: i64| Credential {
        schedule: Schedule {
            freezes: vec![Freeze { from: at(20), until: at(24 * days), name: "long".to_owned() }],
            ..day.schedule.clone()
        },
        ..day.clone()
    };
    for (credential, begins, expected) in [
        (day.clone(), 47, false),
        (day.clone(), 48, true),
        (frozen(10), 10 * 24, false),
        (frozen(10), 11 * 24, true),
        (frozen(32), 32 * 24, false),
        (frozen(33), 33 * 24, true),
    ] {
        assert_eq!(late::is_late(&credential, at(24), at(begins)), expected, "{begins}");
    }
    let foreseen = played(limits(usize::MAX, 100), vec![frozen(3000)], 100);
    assert!(foreseen.broken[0].why.contains("shorten `freeze`"), "{:?}", foreseen.broken);
}
