//! Rotations that are held: by a freeze, a clock that the provider contradicts, a mint budget.

use rekeyd::engine::Command;

use super::life::Spoil;
use super::play::{Act, Harness, Scenario, play};

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
