//! Nothing is revoked while it is in use: worlds in which only evidence decides, not time.

use jiff::SignedDuration;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::engine::Command;

use super::dice::{Dice, seeds};
use super::evidence::Proof;
use super::fate::Odds;
use super::play::{Harness, Played, Scenario, play};

/// Of each test here.
const SEEDS: u64 = 50;

/// A world whose consumers keep a key for up to hours, with an overlap of a minute and the gate `idle`.
fn world(seed: u64, proof: Proof) -> Scenario {
    Scenario {
        hours: 30,
        proof: Some(proof),
        then: if proof.narrowed { AfterDeadline::RollBack } else { AfterDeadline::Hold },
        quarantine: SignedDuration::from_mins(10),
        ..Scenario::plain(seed)
    }
}

fn unkind(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed ^ 0x000E_71DE);
    let proof = Proof::by_chance(&mut dice);
    let odds = match dice.below(3) {
        0 => Odds::default(),
        1 => Odds { dies: 1, ..Odds::default() },
        _ => Odds { dies: 1, refused: 4, lost_before: 2, lost_after: 2 },
    };
    Scenario {
        odds,
        credentials: 1 + usize::try_from(dice.below(2)).unwrap(),
        acks: dice.chance(30),
        lag_seconds_max: dice.below(20),
        wishes_every: if dice.chance(30) { 60 } else { 0 },
        wishes: vec![
            Command::Rotate,
            Command::RollBack,
            Command::Reinstate,
            Command::Retry { overwrite: false },
        ],
        ..world(seed, proof)
    }
}

/// Plays worlds by chance.
fn worlds(half: u64) -> Vec<(Proof, Played)> {
    seeds(half, SEEDS)
        .map(|seed| {
            let scenario = unkind(seed);
            let played = play(&scenario);
            played.assert_sound(&scenario);
            (scenario.proof.unwrap(), played)
        })
        .collect()
}

fn assert_unkind_enough(played: &[(Proof, Played)]) {
    if played.len() > 1 {
        let count = |of: fn(&Played) -> u64| played.iter().map(|(_, played)| of(played)).sum::<u64>();
        let seen = [count(|it| it.done), count(|it| it.rolled_back), count(|it| it.expiries)];
        assert!(seen[0] > SEEDS / 2 && seen[1] > 5 && seen[2] > 20, "{seen:?}");
    }
}

#[test]
fn no_seed_of_the_first_half_revokes_what_is_in_use() {
    assert_unkind_enough(&worlds(0));
}

#[test]
fn no_seed_of_the_second_half_revokes_what_is_in_use() {
    assert_unkind_enough(&worlds(1));
}

#[test]
fn a_straggler_is_waited_for_and_then_released() {
    let scenario = world(1, Proof::plain());
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.done >= 2, "{}", played.trace);
}

#[test]
fn evidence_that_shows_nothing_is_never_idle() {
    let scenario = world(2, Proof { narrowed: true, ..Proof::plain() });
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert_eq!(played.done, 0, "{}", played.trace);
    assert!(played.rolled_back >= 1, "{}", played.trace);
}

#[test]
fn an_old_key_that_may_expire_never_does_while_it_is_needed() {
    // Stragglers keep the old key for longer than the expiry that the overlap began with.
    let proof = Proof { expires: true, cache_minutes: 900, ..Proof::plain() };
    let scenario = Scenario { hours: 60, ..world(3, proof) };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.expiries >= 3, "{}: {}", played.expiries, played.trace);
}

#[test]
fn an_old_key_that_was_rolled_back_to_does_not_expire_later() {
    let proof = Proof { expires: true, cache_minutes: 900, ..Proof::plain() };
    let scenario =
        Scenario { hours: 30, wishes_every: 90, wishes: vec![Command::RollBack], ..world(4, proof) };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.rolled_back >= 1 && played.expiries >= 1, "{}", played.trace);
}

#[test]
fn an_old_key_does_not_expire_while_the_new_one_is_published_again() {
    // Somebody overwrites a destination in the overlap, an operator has it published again, and the store is down.
    fn overwrite(harness: &Harness) {
        let old = harness.provider.keys().into_iter().find(|key| key.key.nonce().is_none()).unwrap();
        harness.store.write_as_somebody_else("tts-0", &old.value);
        harness.witness.look();
    }
    let proof = Proof { expires: true, cache_minutes: 900, ..Proof::plain() };
    let scenario = Scenario {
        hours: 14,
        wishes_every: 10,
        wishes: vec![Command::Retry { overwrite: true }],
        script: vec![
            (600, |it| it.revise(|credential| credential.terms.at_most = SignedDuration::from_mins(15))),
            (700, |it| {
                overwrite(it);
                it.fate.breaks("stage");
            }),
            (12 * 3600, |it| it.fate.be_kind()),
        ],
        ..world(5, proof)
    };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.expiries >= 5, "{}: {}", played.expiries, played.trace);
    assert!(played.trace.contains("journal tts-0 overwrite_requested"), "{}", played.trace);
}

#[test]
fn a_late_listing_does_not_pass_the_expiry_that_was_taken_back_for_the_keys_own() {
    // The old key is put back into service with its own expiry, and retried at once.
    let scenario = unkind(2615);
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.trace.contains("journal tts-1 retried"), "{}", played.trace);
}
