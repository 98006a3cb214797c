//! Pauses, a breaker, waves and rotation slots: nothing happens that is held, nothing begins out of turn, everything ends.

use jiff::SignedDuration;
use rekeyd::domain::hold::{HoldKind, Scope};
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::domain::policy::Breaker;
use rekeyd::engine::Command;

use super::credentials::workspace;
use super::dice::Dice;
use super::fate::Odds;
use super::life::Spoil;
use super::play::{Scenario, play};
use super::restraint::Restraint;

fn breaker(failures: u32) -> Option<Breaker> {
    Some(Breaker { failures, within: SignedDuration::from_hours(10) })
}

#[test]
fn what_is_paused_at_any_moment_does_not_happen_and_ends_after_it_is_resumed() {
    let mut done = 0;
    for seed in 0..20 {
        let scenario = Scenario {
            hours: 20,
            credentials: 3,
            odds: Odds { dies: seed % 2, refused: 4, lost_before: 2, lost_after: 2 },
            acks: seed % 3 == 0,
            then: if seed % 4 == 0 { AfterDeadline::RollBack } else { AfterDeadline::Hold },
            wishes_every: if seed % 5 == 0 { 60 } else { 0 },
            wishes: vec![Command::Rotate, Command::Abort, Command::RollBack],
            lag_seconds_max: 10,
            restraint: Restraint { pauses_every: 45, ..Restraint::default() },
            ..Scenario::plain(seed)
        };
        let played = play(&scenario);
        played.assert_sound(&scenario);
        done += played.done;
    }
    assert!(done > 40, "too little happens between the pauses: {done}");
}

#[test]
fn a_pause_is_answered_when_what_was_under_way_has_ended() {
    // The first rotation begins at once: somewhere in these seconds its key is made.
    for tenths in 0..60 {
        let restraint = Restraint { pauses_at: Some(tenths * 100), ..Restraint::default() };
        let scenario = Scenario { hours: 1, restraint, ..Scenario::plain(tenths) };
        let played = play(&scenario);
        played.assert_sound(&scenario);
    }
}

#[test]
fn after_so_many_bad_keys_no_more_are_made_until_somebody_says_so() {
    let scenario = |resumes_after, odds| Scenario {
        hours: 3,
        credentials: 8,
        odds,
        spoil: Spoil::Permissions(5),
        restraint: Restraint { breaker: breaker(3), resumes_after, ..Restraint::default() },
        ..Scenario::plain(31)
    };
    let tripped = scenario(0, Odds::default());
    let played = play(&tripped);
    played.assert_sound(&tripped);
    // One more may have been under way when the third turned out to be bad.
    assert!((3..=4).contains(&played.minted_before_the_end), "{}", played.minted_before_the_end);
    let held: Vec<_> = played.held_before_the_end.iter().map(|hold| (&hold.scope, hold.what)).collect();
    assert_eq!(held, [(&Scope::Workspace(workspace()), HoldKind::Minting)]);
    assert!(played.held_before_the_end[0].is_breakers());
    assert!(played.minted >= 13, "everything goes on in the end: {}", played.minted);
    // A restart, or many, changes nothing about it.
    let dying = scenario(0, Odds { dies: 3, ..Odds::default() });
    let played = play(&dying);
    played.assert_sound(&dying);
    assert!(played.lives > 1 && played.minted_before_the_end <= 5, "{}", played.minted_before_the_end);
    // What failed before it was lifted is not held against what comes after.
    let resumed = scenario(60, Odds::default());
    let played = play(&resumed);
    played.assert_sound(&resumed);
    assert!(played.held_before_the_end.is_empty(), "{:?}", played.held_before_the_end);
    assert!(played.minted_before_the_end >= 8, "{}", played.minted_before_the_end);
}

#[test]
fn after_so_many_rollbacks_nothing_more_is_revoked_until_somebody_says_so() {
    let scenario = Scenario {
        hours: 12,
        credentials: 3,
        wishes_every: 5,
        wishes: vec![Command::RollBack, Command::Rotate],
        restraint: Restraint { breaker: breaker(2), ..Restraint::default() },
        ..Scenario::plain(32)
    };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    let held: Vec<_> = played.held_before_the_end.iter().map(|hold| hold.what).collect();
    assert_eq!(held, [HoldKind::Revoking], "{}", played.trace);
}

#[test]
fn no_more_rotations_are_under_way_than_may_be_and_each_gets_its_turn() {
    for (seed, places) in [(41, 1), (42, 2), (43, 3)] {
        let scenario = Scenario {
            hours: 20,
            credentials: 6,
            odds: Odds { dies: 1, ..Odds::default() },
            restraint: Restraint { overlaps_at_once: places, ..Restraint::default() },
            ..Scenario::plain(seed)
        };
        let played = play(&scenario);
        played.assert_sound(&scenario);
        assert!(played.done >= 12, "{places}: {}", played.done);
    }
}

#[test]
fn first_rotations_run_a_few_at_a_time_and_each_is_over_before_the_next() {
    for (seed, places) in [(44, 1), (45, 2)] {
        let scenario = Scenario {
            hours: 20,
            credentials: 5,
            odds: Odds { dies: 1, ..Odds::default() },
            restraint: Restraint { first_rotations_at_once: places, ..Restraint::default() },
            ..Scenario::plain(seed)
        };
        let played = play(&scenario);
        played.assert_sound(&scenario);
        assert!(played.done >= 5, "{places}: {}", played.done);
    }
}

#[test]
fn each_wave_waits_until_the_one_before_is_done_and_has_been_for_a_while() {
    for (seed, after) in [(51, 1), (52, 2), (53, 3)] {
        let bake = SignedDuration::from_mins(20);
        let scenario = Scenario {
            hours: 40,
            credentials: 4,
            odds: Odds { dies: 1, refused: 2, ..Odds::default() },
            restraint: Restraint { after, bake, ..Restraint::default() },
            ..Scenario::plain(seed)
        };
        let played = play(&scenario);
        played.assert_sound(&scenario);
        assert!(played.begun_before_the_end >= 16, "{after}: {}", played.begun_before_the_end);
    }
}

#[test]
fn all_of_it_together_breaks_no_invariant() {
    let (mut done, mut tripped) = (0, 0);
    for seed in 0..80 {
        let mut dice = Dice::new(seed ^ 0x4E57);
        let mut pick = |bound: u64| dice.below(bound);
        let waves = pick(2) == 0;
        let scenario = Scenario {
            hours: 24,
            credentials: 2 + usize::try_from(pick(4)).unwrap(),
            odds: Odds { dies: pick(2), refused: pick(6), lost_before: pick(3), lost_after: pick(3) },
            spoil: if pick(3) == 0 { Spoil::Permissions(2) } else { Spoil::Nothing },
            first_key: pick(5) == 0,
            acks: pick(2) == 0,
            wishes_every: if pick(3) == 0 { 40 } else { 0 },
            wishes: vec![Command::Rotate, Command::Abort, Command::RollBack, Command::Reinstate],
            lag_seconds_max: pick(20),
            reloads_every: if !waves && pick(3) == 0 { 90 } else { 0 },
            restraint: Restraint {
                pauses_every: if pick(2) == 0 { 60 } else { 0 },
                pauses_at: None,
                resumes_after: pick(2) * 120,
                breaker: breaker(1 + u32::try_from(pick(4)).unwrap()),
                overlaps_at_once: 1 + usize::try_from(pick(3)).unwrap(),
                first_rotations_at_once: 1 + usize::try_from(pick(3)).unwrap(),
                after: if waves { 1 + usize::try_from(pick(2)).unwrap() } else { 0 },
                bake: SignedDuration::from_mins(i64::try_from(pick(30)).unwrap()),
            },
            ..Scenario::plain(seed)
        };
        let played = play(&scenario);
        played.assert_sound(&scenario);
        done += played.done;
        tripped += u64::from(played.held_before_the_end.iter().any(|hold| hold.is_breakers()));
    }
    assert!(done > 80 && tripped > 8, "the worlds are too quiet: {done} {tripped}");
}
