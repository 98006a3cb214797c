//! Policies that change during a rotation, and operators who change keys in the dashboard.

use jiff::SignedDuration;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::domain::schedule::Cadence;
use rekeyd::rehearsal::workspace::key::LiveKey;

use super::meddlers::add_destination;
use super::play::{Harness, Scenario, play};
use super::society::consumer;

/// Waits for a consumer that there is not.
fn nobody_answers(harness: &Harness) {
    harness.revise(|credential| {
        credential.terms.gates = vec![Gate::Acks([consumer(99)].into())];
    });
}

#[test]
fn a_reload_during_a_visit_is_not_lost() {
    // The interval is made short while the visit that finds nothing to do for a year is under way.
    for second in 0..30 {
        let scenario = Scenario {
            hours: 30,
            script: vec![
                (0, |it| {
                    it.revise(|credential| {
                        credential.schedule.cadence = Cadence::Every(SignedDuration::from_hours(9000))
                    })
                }),
                (1200 + second, |it| {
                    it.revise(|credential| {
                        credential.schedule.cadence = Cadence::Every(SignedDuration::from_hours(6))
                    })
                }),
            ],
            quarantine: SignedDuration::from_mins(10),
            ..Scenario::plain(second)
        };
        let played = play(&scenario);
        played.assert_sound(&scenario);
        assert!(
            played.begun_before_the_end >= 4,
            "{second}: {}\n{}",
            played.begun_before_the_end,
            played.trace
        );
    }
}

#[test]
fn a_clock_that_jumps_does_not_bring_the_deadline_forward() {
    // The deadline lies two hours ahead; our clock is three ahead for a while, in the overlap.
    let scenario = Scenario {
        hours: 2,
        then: AfterDeadline::Revoke,
        script: vec![
            (0, |it| {
                nobody_answers(it);
                it.revise(|credential| credential.terms.at_most = SignedDuration::from_hours(20));
            }),
            (1800, |it| it.clock.set_ahead(SignedDuration::from_hours(21))),
            (3600, |it| it.clock.set_ahead(SignedDuration::ZERO)),
            (7000, |it| it.expect("old_key_disabled", 0)),
            (7100, |it| it.revise(|credential| credential.terms.gates.clear())),
        ],
        ..Scenario::plain(1)
    };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(!played.trace.contains("released") || played.done >= 1);
}

#[test]
fn a_clock_that_jumps_does_not_shorten_the_quarantine() {
    let scenario = Scenario {
        hours: 2,
        quarantine: SignedDuration::from_hours(3),
        script: vec![
            (2400, |it| {
                it.expect("old_key_disabled", 1);
                it.clock.set_ahead(SignedDuration::from_hours(40));
            }),
            (3600, |it| it.clock.set_ahead(SignedDuration::ZERO)),
            (7000, |it| it.expect("old_key_gone", 0)),
        ],
        ..Scenario::plain(1)
    };
    play(&scenario).assert_sound(&scenario);
}

#[test]
fn a_deadline_that_was_moved_while_the_old_key_could_not_be_disabled_counts() {
    // The provider is down when the deadline comes: there is time to think again.
    let scenario = Scenario {
        hours: 4,
        then: AfterDeadline::Revoke,
        script: vec![
            (0, nobody_answers),
            (2300, |it| it.fate.be_unkind(100)),
            (7200, |it| {
                it.revise(|credential| credential.terms.then = AfterDeadline::Hold);
                it.fate.be_kind();
            }),
            (14000, |it| it.expect("old_key_disabled", 0)),
            (14100, |it| it.revise(|credential| credential.terms.gates.clear())),
        ],
        ..Scenario::plain(1)
    };
    play(&scenario).assert_sound(&scenario);
}

#[test]
fn an_old_key_that_somebody_enabled_after_its_quarantine_is_not_deleted() {
    let enable = |it: &Harness| it.provider.keys().iter().for_each(|key| it.meddle(&key.key.id, Some(true)));
    let scenario = Scenario {
        hours: 4,
        freeze: Some((12, 180)),
        script: vec![
            (1400, |it| it.expect("old_key_disabled", 1)),
            (7200, |it| it.expect("quarantine_passed", 1)),
            (7300, enable),
            (14000, |it| {
                it.expect("parked", 1);
                it.expect("old_key_gone", 0);
                let gone = it.provider.keys().into_iter().find(|key| key.key.nonce().is_none()).unwrap();
                it.meddle(&gone.key.id, Some(false));
            }),
        ],
        ..Scenario::plain(1)
    };
    play(&scenario).assert_sound(&scenario);
}

#[test]
fn a_new_destination_whose_first_rotation_was_aborted_is_tried_again() {
    let scenario = Scenario {
        hours: 12,
        spoil: super::life::Spoil::Permissions(0),
        script: vec![
            (0, |it| {
                it.revise(|credential| {
                    credential.schedule.cadence = Cadence::Every(SignedDuration::from_hours(9000))
                })
            }),
            (3600, |it| {
                it.quirks.spoil_next(2);
                it.revise(add_destination);
            }),
        ],
        ..Scenario::plain(1)
    };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert_eq!((played.discarded, played.begun_before_the_end), (2, 4), "{}", played.trace);
}

#[test]
fn a_key_that_expired_unnoticed_is_replaced_without_anybodys_help() {
    // The daemon is told about a key that has an hour to live, and the policy has nothing due: then all stands still.
    let scenario = Scenario {
        hours: 60,
        key_lifetime: Some(SignedDuration::from_hours(24)),
        script: vec![
            (0, |it| {
                it.revise(|credential| {
                    credential.schedule.cadence = Cadence::Every(SignedDuration::from_hours(9000))
                })
            }),
            (7200, |it| it.fate.be_unkind(100)),
            (40 * 3600, |it| {
                let expired = |key: &LiveKey| key.key.expires_at.is_some_and(|at| at <= it.clock.truth());
                if !it.provider.keys().iter().all(expired) {
                    it.witness.blame("script", "a key is alive");
                }
                it.fate.be_kind();
            }),
        ],
        ..Scenario::plain(1)
    };
    let played = play(&scenario);
    assert!(played.violations.iter().all(|it| it.contains("I1")), "{:?}", played.violations.last());
    assert!(played.parked == 0 && played.done >= 2, "{}", played.trace);
}

#[test]
fn a_destination_that_was_put_back_to_the_old_key_keeps_it_alive() {
    // A deployment tool writes what it knows over the new key, in the overlap.
    fn put_back(harness: &Harness) {
        let old = harness.provider.keys().into_iter().find(|key| key.key.nonce().is_none()).unwrap();
        harness.store.write_as_somebody_else("tts-0", &old.value);
        harness.witness.look();
    }
    let scenario = Scenario {
        hours: 3,
        script: vec![
            (400, put_back),
            (7200, |it| {
                it.expect("old_key_disabled", 0);
                it.expect("alarmed", 1);
                it.expect("old_key_enabled", 1);
            }),
        ],
        ..Scenario::plain(1)
    };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.done >= 1, "an operator has it published again in the end");
}
