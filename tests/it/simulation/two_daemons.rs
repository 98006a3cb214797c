//! Two daemons by mistake: the same policy, the same stores, and a journal each.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::domain::ids::KeyId;
use rekeyd::domain::key::Key;
use rekeyd::domain::obstacle::ObstacleKind;
use rekeyd::ports::journal::Records as _;

use super::dice::{Dice, is_single, seeds};
use super::fate::{Fate, Odds};
use super::play::{Harness, Scenario, play, seconds};
use super::witness::Witness;

/// The lives of the second daemon are counted from here on.
const LIVES_OF_THE_SECOND: u64 = 1 << 20;
const SEEDS: u64 = 100;

pub(super) fn is_of_the_second(life: u64) -> bool {
    life > LIVES_OF_THE_SECOND
}

/// Which daemon made which key.
#[derive(Default)]
pub(super) struct Makers(Mutex<(BTreeSet<KeyId>, BTreeSet<KeyId>)>);

impl Makers {
    pub(super) fn made(&self, life: u64, key: &Key) {
        if is_of_the_second(life) {
            self.0.lock().unwrap().0.insert(key.id.clone());
        }
    }

    pub(super) fn has_made(&self, life: u64, key: &KeyId) -> bool {
        self.0.lock().unwrap().0.contains(key) == is_of_the_second(life)
    }

    /// An operator gives a key of the second daemon to the one that stays.
    fn hand_over(&self, key: &KeyId) {
        self.0.lock().unwrap().1.insert(key.clone());
    }

    fn was_handed_over(&self, key: &KeyId) -> bool {
        self.0.lock().unwrap().1.contains(key)
    }
}

impl Witness {
    /// I4: no daemon revokes a key that the other one made, unless an operator gave it that key.
    pub(super) fn check_maker(&self, life: u64, key: &Key, how: &str) {
        let is_its_own = self.makers.has_made(life, &key.id) || self.makers.was_handed_over(&key.id);
        if key.nonce().is_some() && !is_its_own {
            self.blame("I4", &format!("{} of the other daemon is {how}", key.id));
        }
    }
}

impl Harness {
    fn second(&self) -> Self {
        let dice = Dice::new(self.scenario.seed ^ 0x2222);
        let fate = Fate::new(self.clock.clone(), dice, self.scenario.odds, None);
        Self {
            scenario: self.scenario.clone(),
            clock: self.clock.clone(),
            fate: Arc::new(fate.counting_from(LIVES_OF_THE_SECOND)),
            quirks: Arc::clone(&self.quirks),
            provider: Arc::clone(&self.provider),
            store: Arc::clone(&self.store),
            witness: Arc::clone(&self.witness),
            journal: MemoryJournal::new(),
            policy: Mutex::new(self.policy.lock().unwrap().clone()),
            handle: Arc::default(),
        }
    }

    /// A second daemon runs from now on, until the operator finds it after so many hours, stops it and has its journal
    /// thrown away.
    #[expect(clippy::disallowed_methods, reason = "the second daemon has its own life")]
    fn start_second(&self, hours: i64) {
        let second = self.second();
        let mut dice = Dice::new(self.scenario.seed ^ 0x5EC0);
        self.fate.note(format!("a second daemon starts at {}", self.clock.truth()));
        tokio::spawn(async move {
            let end = second.clock.truth() + SignedDuration::from_hours(hours);
            while second.clock.truth() < end {
                second.live(second.clock.wait(end)).await;
                second.clock.sleep(seconds(dice.below(600))).await;
            }
            second.fate.begin_life();
        });
    }

    /// What an operator does after the second daemon: deletes the keys that it left and nobody uses, and hands a key
    /// of its own that is served over to the daemon that stays.
    pub(super) async fn clear_up_after_the_second(&self) {
        let places = 0..self.witness.places().len();
        let in_use = |place| [self.witness.serving(place), self.witness.held(place)];
        let in_use: BTreeSet<_> = places.flat_map(in_use).flatten().collect();
        let makers = &self.witness.makers;
        let is_left = |key: &KeyId| makers.has_made(u64::MAX, key) && !makers.was_handed_over(key);
        for sim in self.provider.keys() {
            if is_left(&sim.key.id) && !in_use.contains(&sim.print) {
                self.meddle(&sim.key.id, None);
            }
        }
        let mut is_handed_over = false;
        for (name, known) in self.journal.load().await.unwrap() {
            let is_unclear = |kind| kind == ObstacleKind::AdoptionUnclear;
            if !known.unwrap().record.obstacle.is_some_and(|it| is_unclear(it.kind)) {
                continue;
            }
            let place = self.witness.places().iter().position(|place| place.credential == name).unwrap();
            let print = self.witness.serving(place);
            let key = self.provider.keys().into_iter().find(|sim| Some(&sim.print) == print.as_ref());
            if let (Some(key), Some(credential)) =
                (key, self.policy.lock().unwrap().credentials.get_mut(&name))
            {
                makers.hand_over(&key.key.id);
                is_handed_over |= credential.adopt.replace(key.key.id.clone()) != Some(key.key.id);
            }
        }
        if is_handed_over {
            self.reload().await;
        }
    }
}

fn world(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed ^ 0x2DAE_0001);
    let mut pick = |bound| dice.below(bound);
    let odds = match pick(3) {
        0 => Odds::default(),
        1 => Odds { dies: 1, ..Odds::default() },
        _ => Odds { dies: 1, refused: 4, lost_before: 3, lost_after: 3 },
    };
    let starts = [0, 1, 30, 400, 1000, 4000, 7 * 3600][usize::try_from(pick(7)).unwrap()];
    Scenario {
        hours: 20,
        credentials: 1 + usize::try_from(pick(3)).unwrap(),
        odds,
        first_key: pick(4) == 0,
        acks: pick(3) == 0,
        neighbours: pick(3) == 0,
        inspects_every: 1 + pick(5),
        store_lag_max: if pick(4) == 0 { 1000 } else { 0 },
        script: vec![(starts, |it| it.start_second(10))],
        ..Scenario::plain(seed)
    }
}

#[test]
fn two_daemons_with_a_journal_each_revoke_no_key_of_the_other() {
    let (mut done, mut contested) = (0, 0);
    for seed in seeds(0, SEEDS) {
        let scenario = world(seed);
        let played = play(&scenario);
        played.assert_sound(&scenario);
        done += played.done;
        contested += u64::from(played.parked > 0);
    }
    assert!(is_single() || done > SEEDS && contested > 10, "the worlds are too quiet: {done} {contested}");
}
