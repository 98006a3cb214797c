//! Rotations that are held: by a freeze, a clock that the provider contradicts, a mint budget.

use super::life::Spoil;
use super::play::{Scenario, play};

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
    assert_eq!((played.minted_before_the_end, played.minted >= 14), (10, true));
}
