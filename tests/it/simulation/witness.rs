//! Checks I1 to I6 at every virtual instant, after anything has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::memory::store::MemoryStore;
use rekeyd::domain::event::Event;
use rekeyd::domain::hold::{Hold, HoldKind, Holds};
use rekeyd::domain::ids::{CredentialName, KeyId};
use rekeyd::domain::key::{Key, KeyAttributes};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::{Destination, Plan, Reason};
use rekeyd::domain::record::Record;
use rekeyd::domain::rotation::ParkReason;
use rekeyd::domain::schedule::Freeze;
use rekeyd::domain::secret::Fingerprint;
use rekeyd::ports::journal::Entry;
use rekeyd::rehearsal::clock::VirtualClock;
use rekeyd::rehearsal::workspace::Workspace;
use rekeyd::rehearsal::workspace::key::LiveKey;

use super::restraint::Restraint;
use super::two_daemons::{Makers, is_of_the_second};

/// One place where consumers read one credential.
pub(super) struct Place {
    pub(super) credential: CredentialName,
    pub(super) destination: Destination,
    pub(super) store: Arc<MemoryStore>,
    pub(super) attributes: KeyAttributes,
    pub(super) at_least: SignedDuration,
}

pub(super) struct Witness {
    clock: VirtualClock,
    pub(super) provider: Arc<Workspace>,
    places: Vec<Place>,
    /// Clocks that differ by less than the policy's limit are trusted.
    clock_tolerance: SignedDuration,
    /// In which nothing may be revoked.
    freeze: Option<Freeze>,
    restraint: Restraint,
    pub(super) makers: Makers,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    violations: Vec<String>,
    /// For each place, what it served from when on.
    served: BTreeMap<usize, Vec<(Timestamp, Fingerprint)>>,
    /// The text behind what each place serves, with its fingerprint.
    texts: BTreeMap<usize, (String, Option<Fingerprint>)>,
    /// What the consumer of each place holds in its cache.
    held: BTreeMap<usize, Fingerprint>,
    /// Places where somebody else put something: what they serve is not our doing.
    tampered: BTreeSet<usize>,
    /// Places that have served a key of ours on purpose: a store may serve the first version of a secret that was
    /// empty before anybody has promoted it.
    in_service: BTreeSet<usize>,
    olds: BTreeSet<KeyId>,
    /// Keys that people took out of service: that they are refused is not our doing.
    damaged: BTreeSet<Fingerprint>,
    /// Keys that are in wrong hands: nothing is waited for before they are revoked.
    leaked: BTreeSet<Fingerprint>,
    ends: BTreeMap<&'static str, u64>,
    /// How often a rotation was parked because a destination serves what is not rekeyd's.
    foreign_values: u64,
    /// What an operator was told not to happen any more, and has not lifted yet.
    holds: Holds,
}

impl Witness {
    pub(super) fn new(
        clock: VirtualClock,
        provider: Arc<Workspace>,
        places: Vec<Place>,
        clock_tolerance: SignedDuration,
        freeze: Option<Freeze>,
        restraint: Restraint,
    ) -> Self {
        Self {
            clock,
            provider,
            places,
            clock_tolerance,
            freeze,
            restraint,
            makers: Makers::default(),
            state: Mutex::default(),
        }
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.state.lock().unwrap().violations.clone()
    }

    pub(super) fn blame(&self, invariant: &str, what: &str) {
        let line = format!("{} {invariant}: {what}", self.clock.truth());
        self.state.lock().unwrap().violations.push(line);
    }

    pub(super) fn damaged(&self, print: &Fingerprint) {
        self.state.lock().unwrap().damaged.insert(print.clone());
    }

    pub(super) fn leaked(&self, print: &Fingerprint) {
        self.damaged(print);
        self.state.lock().unwrap().leaked.insert(print.clone());
    }

    pub(super) fn tampered(&self, place: usize) {
        self.state.lock().unwrap().tampered.insert(place);
        self.look();
    }

    /// The place is relied upon from now on.
    pub(super) fn in_service(&self, place: usize) {
        self.state.lock().unwrap().in_service.insert(place);
        self.look();
    }

    /// What a place serves now. The text is compared first: taking fingerprints is what a simulation spends its time on.
    pub(super) fn serving(&self, index: usize) -> Option<Fingerprint> {
        let place = self.places.get(index)?;
        let text = place.store.text(&place.destination.secret)?;
        let mut state = self.state.lock().unwrap();
        if let Some((known, print)) = state.texts.get(&index)
            && **known == **text
        {
            return print.clone();
        }
        let print = match &place.destination.json_field {
            None => Some(Fingerprint::of(text.as_bytes())),
            Some(field) => {
                let fields: serde_json::Value = serde_json::from_str(&text).unwrap();
                fields[field].as_str().map(|value| Fingerprint::of(value.as_bytes()))
            }
        };
        state.texts.insert(index, (text.to_string(), print.clone()));
        print
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.truth()
    }

    pub(super) fn is_accepted(&self, print: &Fingerprint) -> bool {
        self.provider.accepts(print)
    }

    /// I1 and I3, after anything has changed: every place serves a key that is accepted and has the permissions and limits that it should.
    pub(super) fn look(&self) {
        let now = self.clock.truth();
        for (index, place) in self.places.iter().enumerate() {
            let Some(served) = self.serving(index) else { continue };
            {
                let mut state = self.state.lock().unwrap();
                let history = state.served.entry(index).or_default();
                if history.last().is_none_or(|(_, last)| *last != served) {
                    history.push((now, served.clone()));
                }
                if state.tampered.contains(&index) || !state.in_service.contains(&index) {
                    continue;
                }
            }
            match self.provider.accepted(&served) {
                None if self.state.lock().unwrap().damaged.contains(&served) => {}
                None => {
                    self.blame("I1", &format!("{} serves {served}, which is not accepted", place.destination))
                }
                Some(key) if !place.attributes.differences(&key.attributes).is_empty() => {
                    self.blame(
                        "I3",
                        &format!("{} serves a key with other permissions or limits", place.destination),
                    );
                }
                Some(_) => {}
            }
        }
    }

    /// I2 and I4, just before a key is disabled or deleted by rekeyd.
    pub(super) fn revoking(&self, life: u64, key: &Key, how: &str) {
        let now = self.clock.truth();
        let Some(sim) = self.provider.keys().into_iter().find(|sim| sim.key.id == key.id) else { return };
        let print = sim.print;
        let ours = key.nonce().is_some() || self.state.lock().unwrap().olds.contains(&key.id);
        let frozen = self.freeze.as_ref().is_some_and(|freeze| freeze.from <= now && now < freeze.until);
        if frozen && key.nonce().is_none() {
            self.blame("freeze", &format!("{} is {how} in a freeze", key.id));
        }
        // Keys that nobody has ever been given are cleared away whatever is held.
        let publisher = self.places.iter().enumerate().find(|(index, _)| {
            let state = self.state.lock().unwrap();
            state.in_service.contains(index)
                && state
                    .served
                    .get(index)
                    .is_some_and(|served| served.iter().any(|(_, known)| *known == print))
        });
        if let Some((_, place)) = publisher {
            self.check_holds(HoldKind::Revoking, &place.credential, &format!("{} is {how}", key.id));
        }
        if !ours {
            self.blame("I4", &format!("the foreign key {} is {how}", key.id));
        }
        self.check_maker(life, key, how);
        for (index, place) in self.places.iter().enumerate() {
            let (history, held) = {
                let state = self.state.lock().unwrap();
                if !state.in_service.contains(&index) {
                    continue;
                }
                (state.served.get(&index).cloned().unwrap_or_default(), state.held.get(&index).cloned())
            };
            if self.serving(index).as_ref() == Some(&print) {
                self.blame("I2", &format!("{} is {how} while {} serves it", key.id, place.destination));
            }
            if self.state.lock().unwrap().leaked.contains(&print) {
                continue;
            }
            if held.as_ref() == Some(&print) {
                self.blame(
                    "I2",
                    &format!("{} is {how} while the consumer of {} uses it", key.id, place.destination),
                );
            }
            let replaced = history.windows(2).filter(|pair| pair[0].1 == print).map(|pair| pair[1].0).max();
            let at_least = place.at_least - self.clock_tolerance;
            if replaced.is_some_and(|at| now.duration_since(at) < at_least) {
                self.blame(
                    "I2",
                    &format!(
                        "{} is {how} before {} served another for long enough",
                        key.id, place.destination
                    ),
                );
            }
        }
    }

    pub(super) fn paused(&self, hold: Hold) {
        self.state.lock().unwrap().holds.put(hold);
    }

    pub(super) fn resumes(&self, hold: &Hold) {
        self.state.lock().unwrap().holds.lift(&hold.scope, hold.what);
    }

    fn check_holds(&self, what: HoldKind, credential: &CredentialName, deed: &str) {
        let workspace = super::credentials::workspace();
        let hold = self.state.lock().unwrap().holds.stops(what, Some(&workspace), credential, true).cloned();
        if let Some(hold) = hold {
            self.blame("hold", &format!("{deed} although {hold} since {}", hold.since));
        }
    }

    /// Just after a rotation began, `known` being what the journal says now: nobody out of turn.
    pub(super) fn begun(&self, plan: &Plan, known: &BTreeMap<CredentialName, Record>) {
        let under_way = known.values().filter(|record| record.open.is_some()).count();
        if under_way > self.restraint.overlaps_at_once {
            self.blame("cap", &format!("{under_way} rotations are under way"));
        }
        let is_first = |record: &&Record| record.open.is_some() && record.published.is_empty();
        let first = known.values().filter(is_first).count();
        if plan.reason.is_first() && first > self.restraint.first_rotations_at_once {
            self.blame("ramp", &format!("{first} first rotations are under way"));
        }
        if plan.reason != Reason::Schedule {
            return;
        }
        let now = self.clock.truth();
        let since = |record: &Record| record.current.as_ref().map(|current| current.since);
        let own = &known[&plan.credential];
        for name in self.restraint.before(&plan.credential) {
            let before = &known[&name];
            let last = before.last.as_ref();
            let done = last.is_some_and(|last| {
                last.outcome == PhaseName::Done
                    && now.duration_since(last.at) >= self.restraint.bake - self.clock_tolerance
            });
            if since(before) <= since(own) || before.open.is_some() || !done {
                self.blame("waves", &format!("{} began before {name} was done: {before:?}", plan.credential));
            }
        }
    }

    /// I5, just after a key was made.
    pub(super) fn minted(&self, life: u64, made: &Key) {
        self.makers.made(life, made);
        let Some((credential, _)) = made.name.split_once(' ') else { return };
        let owner = CredentialName::new(credential).unwrap();
        self.check_holds(HoldKind::Minting, &owner, &format!("{} is made", made.id));
        let served: BTreeSet<Fingerprint> = {
            let state = self.state.lock().unwrap();
            state.served.values().flatten().map(|(_, print)| print.clone()).collect()
        };
        let unpublished = self.provider.keys().into_iter().filter(|sim| {
            sim.key.nonce().is_some()
                && self.makers.has_made(life, &sim.key.id)
                && sim.key.name.starts_with(&format!("{credential} "))
                && !served.contains(&sim.print)
        });
        let unpublished: Vec<String> = unpublished.map(|sim| sim.key.name).collect();
        if unpublished.len() > 1 {
            self.blame("I5", &format!("unpublished keys: {unpublished:?}"));
        }
    }

    /// The old key must never be used by us: that would fake evidence of its use.
    pub(super) fn probed(&self, print: &Fingerprint) {
        let of = |sim: &LiveKey| sim.print == *print;
        let Some(sim) = self.provider.keys().into_iter().find(of) else { return };
        if sim.key.nonce().is_none() || self.state.lock().unwrap().olds.contains(&sim.key.id) {
            self.blame("probe", &format!("the old key {} was used", sim.key.id));
        }
    }

    /// I6: no value in the journal.
    pub(super) fn journalled(&self, life: u64, entry: &Entry) {
        let text = serde_json::to_string(&entry.event).unwrap();
        if self.provider.keys().iter().any(|sim| text.contains(&sim.value)) {
            self.blame("I6", &format!("the journal holds a value: {}", entry.event.name()));
        }
        if let Event::Promoted { destination, .. } = &entry.event {
            let of = |place: &Place| place.credential == entry.credential;
            // A destination that was added later is not watched, and those of a renamed credential are watched already.
            let place = self.places.iter().position(of).map(|first| first + destination);
            if let Some(place) = place.filter(|place| self.places.get(*place).is_some_and(of)) {
                self.in_service(place);
            }
        }
        let mut state = self.state.lock().unwrap();
        if matches!(entry.event, Event::Parked { reason: ParkReason::ForeignValue, .. }) {
            state.foreign_values += 1;
        }
        if let Event::Begun(plan) = &entry.event {
            state.olds.extend(plan.old.clone());
        }
        if !is_of_the_second(life) {
            *state.ends.entry(entry.event.name()).or_default() += 1;
        }
    }

    /// How often a value of somebody else was seen.
    pub(super) fn foreign_values(&self) -> u64 {
        self.state.lock().unwrap().foreign_values
    }

    /// How many events were journalled.
    pub(super) fn happened(&self) -> u64 {
        self.state.lock().unwrap().ends.values().sum()
    }

    /// How often an event was journalled.
    pub(super) fn count(&self, event: &str) -> u64 {
        self.state.lock().unwrap().ends.get(event).copied().unwrap_or(0)
    }

    /// What the consumer of a place holds.
    pub(super) fn held(&self, place: usize) -> Option<Fingerprint> {
        self.state.lock().unwrap().held.get(&place).cloned()
    }

    /// A consumer uses what it holds, then reads again. What it holds now is returned.
    pub(super) fn consume(&self, place: usize) -> Option<Fingerprint> {
        self.use_held(place);
        let served = self.serving(place)?;
        // Nobody relies on a secret before its first key has been promoted.
        if !self.state.lock().unwrap().in_service.contains(&place) {
            return None;
        }
        self.state.lock().unwrap().held.insert(place, served.clone());
        Some(served)
    }

    /// A consumer uses what it holds: it must not be refused. The key that it used is returned.
    pub(super) fn use_held(&self, place: usize) -> Option<KeyId> {
        let held = self.state.lock().unwrap().held.get(&place).cloned();
        let tampered = self.state.lock().unwrap().tampered.contains(&place);
        let relied = self.state.lock().unwrap().in_service.contains(&place) && !tampered;
        if let Some(held) = held.filter(|held| {
            let damaged = self.state.lock().unwrap().damaged.contains(held);
            relied && !damaged && self.provider.accepted(held).is_none()
        }) {
            let key = self.provider.keys().into_iter().find(|sim| sim.print == held);
            let key = key.map(|sim| (sim.key.id, sim.key.enabled, sim.key.expires_at));
            self.blame("I1", &format!("the consumer of place {place} was refused with {held}: {key:?}"));
        }
        let held = self.held(place)?;
        self.provider.accepted(&held).map(|key| key.id)
    }
}
