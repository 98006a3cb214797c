//! The other actors of a scenario: consumers that cache, an operator, other writers of a shared secret, and a clock that jumps.

use std::sync::Arc;

use jiff::SignedDuration;
use rekeyd::domain::ack::{Ack, Health};
use rekeyd::domain::ids::CredentialName;
use rekeyd::ports::clock::Clock as _;
use rekeyd::rehearsal::clock::VirtualClock;

use super::credentials::consumer;
use super::dice::Dice;
use super::evidence::Proof;
use super::play::{CACHE, Harness, Scenario, seconds};
use super::witness::Place;

/// How long our clock is wrong when it has jumped, and what that may change.
#[derive(Debug, Clone)]
pub(super) struct WrongClock {
    /// At most so many seconds.
    pub(super) lasts: u64,
    /// By how much what was promised may be shortened: a process that has not seen it begin trusts clocks that differ by less
    /// than the policy's limit.
    pub(super) tolerance: SignedDuration,
}

impl Default for WrongClock {
    fn default() -> Self {
        Self { lasts: 1800, tolerance: SignedDuration::from_mins(4) }
    }
}

fn lateness(proof: Proof, dice: &mut Dice) -> SignedDuration {
    let seconds = proof.delay_minutes * 60;
    let late = seconds - seconds / 10 + dice.below(seconds / 5 + 1);
    SignedDuration::from_secs(i64::try_from(late).unwrap())
}

impl Harness {
    #[expect(clippy::disallowed_methods, reason = "consumers stand outside the engine")]
    pub(super) fn start_consumers(&self) -> Vec<tokio::task::JoinHandle<()>> {
        let mut tasks = Vec::new();
        for index in 0..self.witness.places().len() {
            let (witness, clock, handle) =
                (Arc::clone(&self.witness), self.clock.clone(), Arc::clone(&self.handle));
            let Scenario { acks, proof, seed, .. } = self.scenario.clone();
            let mut dice = Dice::new(seed ^ (index as u64) << 8);
            let provider = Arc::clone(&self.provider);
            tasks.push(tokio::spawn(async move {
                loop {
                    let pause = proof.map_or(CACHE, |_| Proof::PAUSE).as_secs().unsigned_abs();
                    clock.sleep(seconds(1 + dice.below(pause))).await;
                    let read = match proof {
                        None => witness.consume(index),
                        Some(proof) => {
                            if let Some(key) = witness.use_held(index) {
                                if proof.counters {
                                    provider.change(|model, _| model.spend(key.as_str(), 1)).unwrap();
                                }
                                provider.record_use(&key, lateness(proof, &mut dice));
                            }
                            let minutes = proof.cache_minutes * 60;
                            let fresh = witness.held(index).is_some() && dice.below(minutes.max(1)) >= pause;
                            if fresh { witness.held(index) } else { witness.consume(index) }
                        }
                    };
                    let Some(fingerprint) = read else { continue };
                    let fingerprint = match proof {
                        Some(proof) if proof.liars => witness.serving(index).unwrap_or(fingerprint),
                        Some(_) | None => fingerprint,
                    };
                    let credential = witness.places()[index].credential.clone();
                    let handle = handle.lock().unwrap().clone();
                    if let (true, Some(handle)) = (acks, handle) {
                        let now = clock.now();
                        let consumer = consumer(index);
                        let ack = Ack { consumer, fingerprint, health: Health::Using, since: now, at: now };
                        drop(handle.acknowledge(credential, ack).await);
                    }
                }
            }));
        }
        tasks
    }

    #[expect(clippy::disallowed_methods, reason = "operators stand outside the engine")]
    pub(super) fn start_operator(&self) -> tokio::task::JoinHandle<()> {
        let Scenario { wishes_every, wishes, seed, .. } = self.scenario.clone();
        let names: Vec<CredentialName> = self.policy.lock().unwrap().credentials.keys().cloned().collect();
        let (clock, handle, fate) = (self.clock.clone(), Arc::clone(&self.handle), Arc::clone(&self.fate));
        tokio::spawn(async move {
            let mut dice = Dice::new(seed ^ 0x0F0F);
            if wishes_every == 0 {
                return;
            }
            loop {
                clock.sleep(seconds(1 + dice.below(wishes_every * 120))).await;
                let wish = wishes[usize::try_from(dice.below(wishes.len() as u64)).unwrap()].clone();
                let name = names[usize::try_from(dice.below(names.len() as u64)).unwrap()].clone();
                let handle = handle.lock().unwrap().clone();
                if let Some(handle) = handle {
                    let order = handle.request(name.clone(), wish.clone(), "the operator".to_owned());
                    let answer = within(&clock, SignedDuration::from_hours(1), order).await;
                    fate.note(format!("the operator wishes {wish:?} of {name}: {answer:?}"));
                }
            }
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the clock stands outside the engine")]
    pub(super) fn start_clockmaker(&self) -> tokio::task::JoinHandle<()> {
        let (clock, fate) = (self.clock.clone(), Arc::clone(&self.fate));
        let (jumps, seed) = (self.scenario.clock_jumps, self.scenario.seed);
        let wrong_for = self.scenario.wrong_clock.lasts;
        tokio::spawn(async move {
            let mut dice = Dice::new(seed ^ 0xC10C);
            if jumps == 0 {
                return;
            }
            loop {
                clock.sleep(seconds(dice.below(7200))).await;
                let ahead = i64::try_from(dice.below(2 * jumps)).unwrap() - i64::try_from(jumps).unwrap();
                fate.note(format!("our clock is {ahead} s ahead"));
                clock.set_ahead(SignedDuration::from_secs(ahead));
                clock.sleep(seconds(dice.below(wrong_for))).await;
                fate.note("our clock is right again".to_owned());
                clock.set_ahead(SignedDuration::ZERO);
            }
        })
    }

    #[expect(clippy::disallowed_methods, reason = "neighbours stand outside the engine")]
    pub(super) fn start_neighbour(&self) -> tokio::task::JoinHandle<()> {
        let (clock, store, witness, fate) =
            (self.clock.clone(), Arc::clone(&self.store), Arc::clone(&self.witness), Arc::clone(&self.fate));
        let Scenario { neighbours, tampering_after, seed, .. } = self.scenario.clone();
        tokio::spawn(async move {
            let mut dice = Dice::new(seed ^ 0xFACE);
            if tampering_after > 0 {
                clock.sleep(seconds(dice.below(tampering_after * 60))).await;
                fate.note("somebody overwrites tts-0".to_owned());
                store.write_as_somebody_else("tts-0", "a-value-of-somebody-else");
                let of = |place: &Place| place.destination.secret == "tts-0";
                witness.tampered(witness.places().iter().position(of).unwrap());
            }
            let mut counter = 0;
            if !neighbours {
                return;
            }
            loop {
                clock.sleep(seconds(1 + dice.below(900))).await;
                let Some(text) = store.text("shared") else { continue };
                let mut fields: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(&text).unwrap();
                counter += 1;
                fields.insert("neighbour".to_owned(), counter.into());
                store.write_as_somebody_else("shared", &serde_json::to_string(&fields).unwrap());
                fate.note("somebody changes another field of shared".to_owned());
                witness.look();
            }
        })
    }
}

/// What comes of `future` if that does not take too long.
pub(super) async fn within<T>(
    clock: &VirtualClock,
    longest: SignedDuration,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        result = future => Some(result),
        () = clock.sleep(longest) => None,
    }
}
