//! Thousands of unkind worlds, each decided by its seed.

use rekeyd::adapters::memory::store::FirstVersion;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::engine::Wish;

use super::dice::Dice;
use super::fate::Odds;
use super::play::{Scenario, play};
use super::provider::Spoil;

const SEEDS: u64 = 2000;

#[test]
fn no_seed_breaks_an_invariant() {
    let first = std::env::var_os("REKEYD_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let seeds = first.map_or(0..SEEDS, |seed| seed..seed + 1);
    let (mut done, mut rolled_back, mut discarded, mut parked, mut lives) = (0, 0, 0, 0, 0);
    for seed in seeds {
        let scenario = scenario(seed);
        let played = play(&scenario);
        played.assert_sound(&scenario);
        done += played.done;
        rolled_back += played.rolled_back;
        discarded += played.discarded;
        parked += played.parked;
        lives += played.lives;
    }
    println!(
        "{done} done, {rolled_back} rolled back, {discarded} discarded, {parked} parked, in {lives} lives"
    );
    if first.is_none() {
        let seen = [done > SEEDS, rolled_back > 50, discarded > 50, parked > 20, lives > 4 * SEEDS];
        assert!(
            seen.iter().all(|seen| *seen),
            "the worlds are not unkind enough: {done} {rolled_back} {discarded} {parked} {lives}"
        );
    }
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
    Scenario {
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
        wishes: vec![Wish::Rotate, Wish::Abort, Wish::RollBack, Wish::Retry { overwrite: false }],
        neighbours: pick(2) == 0,
        tampering_after: if pick(8) == 0 { 600 } else { 0 },
        lag_seconds_max: pick(20),
        clock_jumps: if pick(5) == 0 { 7200 } else { 0 },
        freeze: (pick(6) == 0).then_some((300, 700)),
        reloads_every: if pick(4) == 0 { 90 } else { 0 },
        people_every: if pick(6) == 0 { 200 } else { 0 },
        key_lifetime: (pick(5) == 0).then_some(jiff::SignedDuration::from_hours(24)),
        ..Scenario::plain(seed)
    }
}
