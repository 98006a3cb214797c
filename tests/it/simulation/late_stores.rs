//! Stores that answer late, as AWS may: what is read as current was current up to two seconds ago.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use rekeyd::adapters::memory::store::FirstVersion;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::ids::VersionId;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::engine::Command;
use rekeyd::ports::journal::RotationLog as _;

use super::credentials::consumer;
use super::dice::{Dice, is_single, seeds};
use super::fate::{Doom, Odds};
use super::play::{Harness, Played, Scenario, play};

/// Of each test here.
const SEEDS: u64 = 60;
const LAG_MAX: u64 = 2000;
/// One that is promoted, one made over an old answer, and what a lost reply may cost.
const VERSIONS_MAX: usize = 4;
/// Far beyond what any rotation takes: mints, stagings and copies of the old value.
const TOKENS: [u32; 3] = [12, 60, 1060];

impl Harness {
    /// The most versions that one new key took in one destination.
    pub(super) async fn versions_max(&self) -> usize {
        let mut most = 0;
        let credentials = self.policy.lock().unwrap().credentials.clone();
        for (name, credential) in credentials {
            let staged: Vec<BTreeSet<VersionId>> = credential
                .destinations
                .iter()
                .map(|destination| self.store.staged(&destination.secret).into_iter().collect())
                .collect();
            for history in self.journal.history(&name, 10_000).await.unwrap() {
                let [mints, stagings, copies] = TOKENS;
                for mint in 0..mints {
                    let tokens = (0..stagings).chain(1000..copies);
                    let tokens: BTreeSet<VersionId> =
                        tokens.map(|restaged| history.rotation.version(mint, restaged)).collect();
                    let counts = staged.iter().map(|staged| staged.intersection(&tokens).count());
                    most = most.max(counts.max().unwrap_or(0));
                }
            }
        }
        most
    }
}

fn world(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed ^ 0x1A7E_0001);
    let mut pick = |bound| dice.below(bound);
    let odds = match pick(4) {
        0 => Odds::default(),
        1 => Odds { dies: 1, ..Odds::default() },
        2 => Odds { lost_after: 6, ..Odds::default() },
        _ => Odds { dies: 1, refused: 4, lost_before: 3, lost_after: 3 },
    };
    Scenario {
        hours: 20,
        credentials: 1 + usize::try_from(pick(4)).unwrap(),
        odds,
        first_key: pick(4) == 0,
        acks: pick(2) == 0,
        first_version: if pick(2) == 0 { FirstVersion::Pending } else { FirstVersion::Current },
        wishes_every: if pick(3) == 0 { 60 } else { 0 },
        wishes: vec![Command::Rotate, Command::RollBack],
        lag_seconds_max: pick(10),
        store_lag_max: LAG_MAX,
        inspects_every: pick(2),
        ..Scenario::plain(seed)
    }
}

fn check(scenario: &Scenario, played: &Played) {
    played.assert_sound(scenario);
    assert_eq!(played.foreign_values, 0, "nobody else writes there: {scenario:#?}\n{}", played.trace);
    let most = played.versions_max;
    assert!(most <= VERSIONS_MAX, "{most} versions of one key: {scenario:#?}\n{}", played.trace);
}

fn worlds(half: u64) {
    let (mut done, mut rolled_back) = (0, 0);
    for seed in seeds(half, SEEDS) {
        let scenario = world(seed);
        let played = play(&scenario);
        check(&scenario, &played);
        done += played.done;
        rolled_back += played.rolled_back;
    }
    assert!(is_single() || done > SEEDS && rolled_back > 3, "the worlds are too quiet: {done} {rolled_back}");
}

#[test]
fn no_late_answer_of_a_store_is_taken_for_somebody_elses_value() {
    worlds(0);
}

#[test]
fn no_further_late_answer_of_a_store_is_taken_for_somebody_elses_value() {
    worlds(1);
}

#[test]
fn a_key_is_published_by_a_store_that_answers_late_whatever_reply_is_lost() {
    for first_version in [FirstVersion::Pending, FirstVersion::Current] {
        let scenario =
            Scenario { store_lag_max: LAG_MAX, credentials: 2, first_version, ..Scenario::plain(9) };
        let undisturbed = play(&scenario);
        check(&scenario, &undisturbed);
        for point in 0..undisturbed.points {
            let doomed = Scenario { doom: Some((point, Doom::LosesReply)), ..scenario.clone() };
            let played = play(&doomed);
            check(&doomed, &played);
            assert!(played.done >= 1, "{}", played.trace);
        }
    }
}

#[test]
fn fields_of_one_secret_that_are_due_together_take_turns() {
    // With answers that are never old, every version that is written is promoted.
    let scenario = Scenario { credentials: 6, ..Scenario::plain(10) };
    let played = play(&scenario);
    check(&scenario, &played);
    assert_eq!((played.versions_max, played.restaged), (1, 0), "{}", played.trace);
    assert!(played.done >= 6, "{}", played.trace);
}

#[test]
fn an_operator_leads_every_destination_out_of_a_foreign_value() {
    // Somebody overwrites a secret before, in and after each phase; `retry --overwrite` is all that the operator has.
    for seed in 0..40 {
        let scenario = Scenario {
            hours: 12,
            store_lag_max: LAG_MAX,
            tampering_after: 240,
            neighbours: seed % 2 == 0,
            wishes_every: 30,
            wishes: vec![Command::Rotate, Command::RollBack, Command::Retry { overwrite: true }],
            quarantine: SignedDuration::from_mins(10),
            ..Scenario::plain(seed)
        };
        play(&scenario).assert_sound(&scenario);
    }
}

#[test]
fn a_new_key_that_came_back_at_the_end_of_a_rollback_is_overwritten_by_an_operator() {
    // The deadline rolls back; while consumers return, somebody puts the new key back.
    fn put_back(harness: &Harness) {
        harness.expect("restored", 2);
        let keys = harness.provider.keys();
        let new = keys.iter().find(|sim| sim.key.nonce().is_some()).unwrap();
        harness.store.write_as_somebody_else("tts-0", &new.value);
        harness.witness.look();
    }
    let scenario = Scenario {
        hours: 2,
        then: AfterDeadline::RollBack,
        store_lag_max: LAG_MAX,
        script: vec![
            (0, |it| {
                it.revise(|credential| {
                    credential.terms.gates = vec![Gate::Acks([consumer(99)].into())];
                });
            }),
            (2700, put_back),
            (7000, |it| it.expect("new_key_gone", 0)),
        ],
        ..Scenario::plain(11)
    };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.foreign_values >= 1 && played.rolled_back >= 1, "{}", played.trace);
}
