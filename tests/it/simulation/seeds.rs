//! Thousands of unkind worlds, each decided by its seed.

use rekeyd::adapters::memory::store::FirstVersion;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::engine::Command;

use super::dice::{Dice, is_single, seeds};
use super::fate::Odds;
use super::life::Spoil;
use super::play::{Scenario, play};

/// Of each test here: they run side by side.
const SEEDS: u64 = 500;

#[test]
fn no_seed_of_the_first_quarter_breaks_an_invariant() {
    worlds(0);
}

#[test]
fn no_seed_of_the_second_quarter_breaks_an_invariant() {
    worlds(1);
}

#[test]
fn no_seed_of_the_third_quarter_breaks_an_invariant() {
    worlds(2);
}

#[test]
fn no_seed_of_the_fourth_quarter_breaks_an_invariant() {
    worlds(3);
}

fn worlds(quarter: u64) {
    let (mut done, mut rolled_back, mut discarded, mut parked, mut lives) = (0, 0, 0, 0, 0);
    for seed in seeds(quarter, SEEDS) {
        let scenario = scenario(seed);
        let played = play(&scenario);
        played.assert_sound(&scenario);
        done += played.done;
        rolled_back += played.rolled_back;
        discarded += played.discarded;
        parked += played.parked;
        lives += played.lives;
    }
    let seen = [done > SEEDS, rolled_back > 20, discarded > 20, parked > 10, lives > 4 * SEEDS];
    assert!(
        is_single() || seen.iter().all(|seen| *seen),
        "the worlds are not unkind enough: {done} {rolled_back} {discarded} {parked} {lives}"
    );
}

fn scenario(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed ^ 0x0D1C_E000);
    let mut pick = |bound| dice.below(bound);
    let odds = match pick(4) {
        0 => Odds::default(),
        1 => Odds { dies: 1, ..Odds::default() },
        2 => Odds { refused: 8, lost_before: 4, lost_after: 4, dies: 0 },
        _ => Odds { dies: 1, refused: 5, lost_before: 3, lost_after: 3 },
    };
    let scenario = Scenario {
        seed,
        hours: 20,
        credentials: 1 + usize::try_from(pick(3)).unwrap(),
        odds,
        doom: None,
        spoil: if pick(5) == 0 { Spoil::Permissions(2) } else { Spoil::Nothing },
        first_key: pick(4) == 0,
        acks: pick(2) == 0,
        then: [AfterDeadline::Hold, AfterDeadline::RollBack][usize::try_from(pick(2)).unwrap()],
        first_version: if pick(2) == 0 { FirstVersion::Pending } else { FirstVersion::Current },
        wishes_every: if pick(3) == 0 { 20 } else { 0 },
        wishes: vec![Command::Rotate, Command::Abort, Command::RollBack, Command::Retry { overwrite: false }],
        neighbours: pick(2) == 0,
        tampering_after: if pick(8) == 0 { 600 } else { 0 },
        lag_seconds_max: pick(20),
        clock_jumps: if pick(5) == 0 { 7200 } else { 0 },
        freeze: (pick(6) == 0).then_some((300, 700)),
        reloads_every: if pick(4) == 0 { 90 } else { 0 },
        people_every: if pick(6) == 0 { 200 } else { 0 },
        key_lifetime: (pick(5) == 0).then_some(jiff::SignedDuration::from_hours(24)),
        flaps: pick(4) == 0,
        inspects_every: if pick(3) == 0 { 1 } else { 0 },
        ..Scenario::plain(seed)
    };
    // A store's promotion does not say of which key it is; and in an emergency one acceptance is enough.
    let tells_apart = scenario.credentials == 1 && scenario.people_every == 0;
    Scenario { flaps: scenario.flaps && tells_apart, ..scenario }
}
