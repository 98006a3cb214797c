//! For each call and each journal write of a rotation: die before it, die after it, lose its reply.

use rekeyd::adapters::memory::store::FirstVersion;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::engine::Command;
use rekeyd::rehearsal::workspace::key::LiveKey;

use super::fate::Doom;
use super::life::Spoil;
use super::play::{Harness, Played, Scenario, play};

/// Plays the scenario with each doom at each of its points.
fn matrix(scenario: &Scenario, check: impl Fn(&Played)) {
    let undisturbed = play(scenario);
    undisturbed.assert_sound(scenario);
    check(&undisturbed);
    assert!(undisturbed.points > 20, "{} points", undisturbed.points);
    for point in 0..undisturbed.points {
        for doom in [Doom::Dies, Doom::LosesReply] {
            let doomed = Scenario { doom: Some((point, doom)), ..scenario.clone() };
            let played = play(&doomed);
            played.assert_sound(&doomed);
            check(&played);
        }
    }
}

#[test]
fn an_adopted_key_is_rotated_whatever_dies() {
    matrix(&Scenario::plain(1), |played| assert!(played.done >= 1));
}

#[test]
fn a_first_key_is_made_whatever_dies() {
    for first_version in [FirstVersion::Pending, FirstVersion::Current] {
        let scenario = Scenario { first_key: true, first_version, ..Scenario::plain(2) };
        matrix(&scenario, |played| assert!(played.minted >= 1));
    }
}

#[test]
fn a_service_account_is_created_once_whatever_dies() {
    for seed in 20..26 {
        let world = Scenario { hours: 1, first_key: true, creates_account: true, ..Scenario::plain(seed) };
        let scenario = Scenario { lag_seconds_max: 60, ..world };
        let undisturbed = play(&scenario);
        undisturbed.assert_sound(&scenario);
        // The account is created at the first points, before the rotation begins.
        for point in 0..16 {
            for doom in [Doom::Dies, Doom::LosesReply] {
                let doomed = Scenario { doom: Some((point, doom)), ..scenario.clone() };
                let played = play(&doomed);
                played.assert_sound(&doomed);
                assert_eq!(played.accounts, ["account-0"], "{point} {doom:?} {seed}: {}", played.trace);
                assert!(played.minted >= 1, "{}", played.trace);
            }
        }
    }
}

#[test]
fn consumers_are_waited_for_whatever_dies() {
    matrix(&Scenario { acks: true, ..Scenario::plain(3) }, |played| assert!(played.done >= 1));
}

#[test]
fn a_wrong_key_is_discarded_whatever_dies() {
    let scenario = Scenario { spoil: Spoil::Permissions(1), ..Scenario::plain(4) };
    // A doomed world may lose the wrong key before anybody has looked at it.
    matrix(&scenario, |played| assert!(played.done >= 1));
    assert_eq!(play(&scenario).discarded, 1);
}

#[test]
fn a_rollback_ends_whatever_dies() {
    let scenario = Scenario {
        acks: true,
        wishes_every: 7,
        wishes: vec![Command::RollBack],
        neighbours: true,
        ..Scenario::plain(5)
    };
    matrix(&scenario, |_| {});
    let undisturbed = play(&scenario);
    assert!(undisturbed.rolled_back >= 1, "{undisturbed:?}");
}

#[test]
fn a_deadline_rolls_back_whatever_dies() {
    // Nobody acknowledges: the consumers of another credential are waited for.
    let scenario = Scenario { then: AfterDeadline::RollBack, ..Scenario::plain(6) };
    matrix(&scenario, |_| {});
}

/// The provider finds a key in public.
fn leak(harness: &Harness, which: impl Fn(&LiveKey) -> bool) {
    for sim in harness.provider.keys().iter().filter(|sim| which(sim)) {
        harness.witness.leaked(&sim.print);
        harness.expose(&sim.key.id);
    }
}

#[test]
fn a_leaked_key_is_replaced_at_once_whatever_dies() {
    // The key that is served by then: in a doomed world it may be the new one of a rotation.
    let served = |it: &Harness| leak(it, |sim| it.witness.serving(0).as_ref() == Some(&sim.print));
    let scenario = Scenario { script: vec![(2400, served)], ..Scenario::plain(7) };
    matrix(&scenario, |played| assert!(played.done >= 1));
    let undisturbed = play(&scenario);
    assert_eq!((undisturbed.done, undisturbed.parked), (2, 0), "{}", undisturbed.trace);
}

#[test]
fn an_old_key_that_leaks_in_its_overlap_goes_at_once_whatever_dies() {
    // Before the credential has been adopted, nobody knows whose key it is.
    let old = |it: &Harness| leak(it, |sim| sim.key.nonce().is_none() && it.witness.count("begun") > 0);
    let gone = |it: &Harness| it.expect("old_key_gone", 1);
    let scenario = Scenario { script: vec![(300, old)], ..Scenario::plain(8) };
    matrix(&scenario, |played| assert!(played.done >= 1));
    let undisturbed = Scenario { script: vec![(300, old), (330, gone)], ..scenario };
    play(&undisturbed).assert_sound(&undisturbed);
}
