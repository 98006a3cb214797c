//! Rotations that are held: by a freeze, a clock that the provider contradicts, a mint budget.

use jiff::SignedDuration;
use rekeyd::engine::Command;

use super::fate::Odds;
use super::life::Spoil;
use super::play::{Act, Harness, Scenario, play};
use super::society::WrongClock;

#[test]
fn in_a_freeze_nothing_starts_and_nothing_is_revoked() {
    // The first rotation begins at once, and the freeze comes in its overlap.
    let scenario = Scenario { hours: 4, freeze: Some((5, 180)), ..Scenario::plain(11) };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert_eq!(played.done, 1);
    // Nothing begins in a freeze at all.
    let scenario = Scenario { hours: 4, freeze: Some((-10, 250)), ..Scenario::plain(12) };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert_eq!((played.begun_before_the_end, played.done), (0, 1));
}

#[test]
fn a_clock_that_jumps_revokes_nothing_early() {
    for seed in 0..100 {
        let scenario =
            Scenario { hours: 10, clock_jumps: 7200, acks: seed % 2 == 0, ..Scenario::plain(seed) };
        let played = play(&scenario);
        played.assert_sound(&scenario);
        assert!(played.done >= 1);
    }
}

/// Seconds to two years, and for how many seconds at most.
const JUMPS: [(u64, u64); 6] =
    [(119, 600), (600, 10), (7200, 10), (40 * 86_400, 10), (40 * 86_400, 1800), (730 * 86_400, 60)];

#[test]
fn however_far_a_clock_jumps_and_comes_right_again_nothing_is_early_and_everything_ends() {
    let mut done = 0;
    for seed in 0..60 {
        let (clock_jumps, lasts) = JUMPS[usize::try_from(seed).unwrap() % JUMPS.len()];
        let scenario = Scenario {
            hours: 20,
            credentials: 2,
            clock_jumps,
            // The process lives all the time: no jump, however small, shortens anything.
            wrong_clock: WrongClock { lasts, tolerance: SignedDuration::ZERO },
            acks: seed % 3 == 0,
            inspects_every: if seed % 2 == 0 { 10 } else { 0 },
            odds: if seed % 4 == 0 {
                Odds { refused: 6, lost_before: 3, lost_after: 3, dies: 0 }
            } else {
                Odds::default()
            },
            ..Scenario::plain(seed)
        };
        let played = play(&scenario);
        played.assert_sound(&scenario);
        // A rotation every six hours is not kept from beginning, nor from its end.
        assert!(played.begun_before_the_end >= 3, "{scenario:#?}\n{}", played.trace);
        done += played.done;
    }
    assert!(done >= 60 * 5, "{done}");
}

#[test]
fn a_daemon_that_dies_while_its_clock_is_wrong_hurts_nobody_and_ends_everything() {
    for seed in 0..40 {
        let (clock_jumps, lasts) = JUMPS[usize::try_from(seed).unwrap() % JUMPS.len()];
        let odds = Odds { dies: 1, refused: 3, lost_before: 2, lost_after: 2 };
        let scenario = Scenario {
            hours: 20,
            clock_jumps,
            wrong_clock: WrongClock { lasts, ..WrongClock::default() },
            odds,
            ..Scenario::plain(seed ^ 0x77)
        };
        play(&scenario).assert_sound(&scenario);
    }
}

#[test]
fn a_daemon_that_is_started_again_in_an_overlap_believes_no_clock_that_the_provider_contradicts() {
    for seed in 0..300 {
        let scenario = Scenario {
            hours: 2,
            // Each call may be the last, and every minute there are some.
            odds: Odds { dies: 4, ..Odds::default() },
            inspects_every: 1,
            script: vec![(60, |it| it.clock.set_ahead(SignedDuration::from_hours(2)))],
            ..Scenario::plain(seed)
        };
        play(&scenario).assert_sound(&scenario);
    }
}

#[test]
fn a_provider_that_always_makes_wrong_keys_is_not_flooded() {
    let scenario = Scenario { hours: 24, spoil: Spoil::Permissions(u64::MAX), ..Scenario::plain(13) };
    let played = play(&scenario);
    assert!(played.violations.iter().all(|it| it.contains("I7")), "{:?}", played.violations);
    // An aborted rotation is followed by the next one after a back-off that doubles up to a day.
    assert!((3..=12).contains(&played.minted_before_the_end), "{}", played.minted_before_the_end);
}

#[test]
fn a_workspace_makes_no_more_keys_an_hour_than_its_budget() {
    let scenario = Scenario { hours: 1, credentials: 14, first_key: true, ..Scenario::plain(14) };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    // A quarter of the ten is kept for emergencies.
    assert_eq!((played.minted_before_the_end, played.minted >= 14), (8, true));
}

#[test]
fn what_is_kept_of_the_budget_is_for_emergencies_and_no_more_than_that() {
    fn all_are_emergencies(harness: &Harness) {
        for key in harness.provider.keys() {
            harness.witness.leaked(&key.print);
        }
        for place in harness.witness.places() {
            harness.ask(place.credential.clone(), Command::Emergency);
        }
    }
    let script: Vec<(u64, Act)> = vec![
        (1200, |it| it.expect("minted", 8)),
        (1205, all_are_emergencies),
        (1260, |it| it.expect("minted", 10)),
        (3400, |it| it.expect("minted", 10)),
    ];
    let scenario = Scenario { hours: 1, credentials: 14, script, ..Scenario::plain(15) };
    play(&scenario).assert_sound(&scenario);
}
