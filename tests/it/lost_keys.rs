//! Keys that a rotation created and lost: a few cost nothing but time, and only many in a day need an operator.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::event::Event;
use rekeyd::domain::ids::KeyId;
use rekeyd::domain::phase::{Phase, PhaseName};
use rekeyd::domain::rotation::{LOST_PER_DAY_MAX, LOST_PER_HOUR_MAX, LostKeys, Rotation};
use rekeyd::domain::step::step;

use crate::state_table::states;

fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

fn due() -> Rotation {
    states().into_iter().find(|(_, it)| it.phase.name() == PhaseName::Due).unwrap().1
}

/// One more creation whose answer is lost, with the keys that are found of it.
fn attempted(rotation: &Rotation, found: &[&str], minute: i64) -> Rotation {
    let (_, minting) = states().into_iter().find(|(_, it)| it.phase.name() == PhaseName::Minting).unwrap();
    let Phase::Minting { request, before, .. } = minting.phase else { panic!() };
    let deleted = found.iter().map(|id| KeyId::new(*id).unwrap()).collect();
    let events = [
        Event::MintIntended { request, before },
        Event::MintOutcomeUnknown { cause: "killed".to_owned() },
        Event::LostKeySettled { deleted },
    ];
    events.iter().fold(rotation.clone(), |rotation, event| step(&rotation, event, at(minute)).unwrap())
}

#[test]
fn only_keys_that_were_really_lost_count_and_a_few_of_them_wait_for_the_hour_to_be_over() {
    let mut rotation = due();
    for minute in 0..20 {
        rotation = attempted(&rotation, &[], minute);
    }
    assert_eq!(rotation.lost_keys(at(20)), LostKeys::Few, "no key came of any of them");
    let few = i64::try_from(LOST_PER_HOUR_MAX).unwrap();
    for minute in 20..20 + few {
        assert_eq!(rotation.lost_keys(at(minute)), LostKeys::Few);
        rotation = attempted(&rotation, &["lost"], minute);
    }
    let waits = LostKeys::NotBefore { until: at(80), lost: LOST_PER_HOUR_MAX };
    assert_eq!(rotation.lost_keys(at(30)), waits);
    assert_eq!(rotation.lost_keys(at(80)), LostKeys::Few);
    rotation.plan.emergency = true;
    let waits = LostKeys::NotBefore { until: at(20 + few), lost: LOST_PER_HOUR_MAX };
    assert_eq!(rotation.lost_keys(at(19 + few)), waits, "an emergency waits for a minute");
    assert_eq!(rotation.lost_keys(at(20 + few)), LostKeys::Few);
}

#[test]
fn too_many_within_a_day_need_an_operator_whose_retry_begins_anew() {
    let mut rotation = due();
    let lost = i64::try_from(LOST_PER_DAY_MAX).unwrap();
    for key in 0..lost {
        rotation = attempted(&rotation, &["lost"], key * 61);
    }
    assert_eq!(rotation.lost_keys(at(lost * 61)), LostKeys::TooMany(LOST_PER_DAY_MAX));
    assert_ne!(
        rotation.lost_keys(at(24 * 60 + 1)),
        LostKeys::TooMany(LOST_PER_DAY_MAX),
        "the first is older"
    );
    let parked = Event::Parked {
        reason: rekeyd::domain::rotation::ParkReason::MintsExhausted,
        detail: "too many".to_owned(),
    };
    let retried = Event::Retried { overwrite: false, restore: Vec::new() };
    let again = [parked, retried].iter().fold(rotation, |it, event| step(&it, event, at(800)).unwrap());
    assert_eq!(again.lost_keys(at(800)), LostKeys::Few);
}
