//! The breaker by its table, and by its rule said in another way.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::domain::failure::Failure;
use crate::domain::phase::{Alarm, AlarmKind};

fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

/// Later than everything here.
const LATE: Timestamp = Timestamp::MAX;

fn breaker(failures: u32) -> Breaker {
    Breaker { failures, within: SignedDuration::from_hours(1) }
}

fn incident(minute: i64, rotation: u128, event: Event) -> FailureSignal {
    FailureSignal {
        at: at(minute),
        credential: CredentialName::new("tts").unwrap(),
        rotation: RotationId::from_uuid(uuid::Uuid::from_u128(rotation)),
        event,
    }
}

fn refused(kind: Kind) -> Event {
    Event::MintRefused { failure: Failure::rejected(kind, "create a key: no") }
}

fn hindered(effect: EffectName, kind: Kind) -> Event {
    Event::EffectFailed { effect, failure: Failure::rejected(kind, "it is still listed") }
}

fn alarmed() -> Event {
    Event::Alarmed { alarm: Alarm { kind: AlarmKind::ConsumerFailing, detail: "api fails".to_owned() } }
}

fn parked(reason: ParkReason) -> Event {
    Event::Parked { reason, detail: "it was enabled".to_owned() }
}

fn rolled_back(cause: RollbackCause) -> Event {
    Event::RollbackBegun { cause }
}

#[test]
fn each_event_counts_for_what_failed_by_it() {
    let doubted = Event::MintOutcomeUnknown { cause: "no answer".to_owned() };
    for (event, expected) in [
        (doubted, Some(HoldKind::Minting)),
        (refused(Kind::ServerError), Some(HoldKind::Minting)),
        (refused(Kind::Forbidden), Some(HoldKind::Minting)),
        (refused(Kind::Throttled), None),
        (refused(Kind::Unreachable), None),
        (refused(Kind::TimedOut), None),
        (Event::VerificationFailed { why: String::new() }, Some(HoldKind::Minting)),
        (Event::ValueLost, Some(HoldKind::Minting)),
        (alarmed(), Some(HoldKind::Revoking)),
        (rolled_back(RollbackCause::Operator), Some(HoldKind::Revoking)),
        (rolled_back(RollbackCause::Deadline), Some(HoldKind::Revoking)),
        (rolled_back(RollbackCause::Leak), None),
        (parked(ParkReason::OldKeyReenabled), Some(HoldKind::Revoking)),
        (parked(ParkReason::NewKeyUnusable), Some(HoldKind::Revoking)),
        (parked(ParkReason::ForeignValue), None),
        (hindered(EffectName::DeleteOld, Kind::Conflict), Some(HoldKind::Revoking)),
        (hindered(EffectName::DeleteOld, Kind::Throttled), None),
        (hindered(EffectName::Stage, Kind::Forbidden), None),
        (Event::OldKeyGone, None),
    ] {
        assert_eq!(concerns(&event), expected, "{event:?}");
        assert!(expected.is_none() || EVENTS.contains(&event.name()), "{} is not looked for", event.name());
    }
}

#[test]
fn a_rotation_counts_once_for_what_became_of_its_old_key() {
    let one = [incident(1, 1, alarmed()), incident(2, 1, rolled_back(RollbackCause::Operator))];
    assert_eq!(trips(breaker(2), HoldKind::Revoking, &one, at(0), LATE), None);
    let two = [one.to_vec(), vec![incident(3, 2, alarmed())]].concat();
    let why = trips(breaker(2), HoldKind::Revoking, &two, at(0), LATE).unwrap();
    assert_eq!(why, "2 failures within 1h, the last of `tts`: api fails");
    assert_eq!(trips(breaker(1), HoldKind::Minting, &two, at(0), LATE), None);
}

#[test]
fn a_listing_that_lags_is_no_failure_and_one_that_never_shows_it_is() {
    let conflicts = |count: u32| -> Vec<FailureSignal> {
        let conflict = || hindered(EffectName::DisableOld, Kind::Conflict);
        (0..count).map(|index| incident(i64::from(index), 1, conflict())).collect()
    };
    let trips = |count| trips(breaker(1), HoldKind::Revoking, &conflicts(count), at(-1), LATE).is_some();
    assert_eq!(
        (trips(FAILED_EFFECTS - 1), trips(FAILED_EFFECTS), trips(FAILED_EFFECTS * 4)),
        (false, true, true)
    );
}

#[test]
fn what_a_person_has_lifted_is_not_counted_again() {
    let minutes = [10, 20, 30];
    let failed: Vec<FailureSignal> =
        minutes.iter().map(|minute| incident(*minute, 1, Event::ValueLost)).collect();
    let after = |lifted: Option<i64>, now| counts_after(breaker(3), lifted.map(at), at(now));
    let trips = |after| trips(breaker(3), HoldKind::Minting, &failed, after, LATE).is_some();
    assert!(trips(after(None, 30)));
    assert!(!trips(after(None, 70)), "the first is an hour old");
    assert!(!trips(after(Some(10), 30)) && trips(after(Some(9), 30)));
}

#[test]
fn what_a_wrong_clock_wrote_into_the_future_neither_trips_it_for_ever_nor_keeps_it_from_tripping() {
    let days = |count: i64| count * 24 * 60;
    let failed: Vec<FailureSignal> = [10, days(40), days(40) + 1, days(730)]
        .into_iter()
        .map(|minute| incident(minute, 1, Event::ValueLost))
        .collect();
    let trips = |failures, lifted: Option<i64>, now| {
        let after = counts_after(breaker(failures), lifted.map(at), at(now));
        trips(breaker(failures), HoldKind::Minting, &failed, after, at(now)).is_some()
    };
    assert!(!trips(2, None, 20) && trips(1, None, 20));
    // Lifted in the future: what fails now counts all the same.
    assert!(trips(1, Some(days(40)), 20) && !trips(1, Some(15), 20));
    // When that time has come, they are of then.
    assert!(trips(2, None, days(40) + 2));
}

proptest! {
    /// The rule said in another way: some window of the length `within` that ends now holds so many failures.
    #[test]
    fn it_trips_exactly_when_the_rule_says(
        mut minutes in prop::collection::vec((0i64..200, 0u128..4, 0usize..5), 0..40),
        threshold in 1u32..8,
        lifted in prop::option::of(0i64..200),
        now in 0i64..200,
    ) {
        minutes.sort_unstable();
        minutes.retain(|(minute, ..)| *minute <= now);
        let event = |kind: usize| match kind {
            0 => Event::ValueLost,
            1 => refused(Kind::Invalid),
            2 => refused(Kind::Throttled),
            3 => alarmed(),
            _ => rolled_back(RollbackCause::Deadline),
        };
        let incidents: Vec<FailureSignal> =
            minutes.iter().map(|(minute, rotation, kind)| incident(*minute, *rotation, event(*kind))).collect();
        let recent = |minute: i64| minute > now - 60 && lifted.is_none_or(|lifted| lifted > now || minute > lifted);
        let minting = minutes.iter().filter(|(minute, _, kind)| recent(*minute) && *kind < 2).count();
        let revoking: BTreeSet<u128> = minutes
            .iter()
            .filter(|(minute, _, kind)| recent(*minute) && *kind > 2)
            .map(|(_, rotation, _)| *rotation)
            .collect();
        let after = counts_after(breaker(threshold), lifted.map(at), at(now));
        let trips = |what| trips(breaker(threshold), what, &incidents, after, LATE).is_some();
        prop_assert_eq!(trips(HoldKind::Minting), minting >= threshold as usize);
        prop_assert_eq!(trips(HoldKind::Revoking), revoking.len() >= threshold as usize);
    }
}
