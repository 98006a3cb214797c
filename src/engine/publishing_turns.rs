//! Lets one credential at a time publish to a secret: the fields of one JSON secret are written by reading and replacing
//! the whole of it. Nothing depends on a turn but effort: a store refuses a promotion over what was changed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::{StoreName, VersionId};
use crate::domain::plan::Destination;

/// For so long after a promotion a read that shows the displaced version counts as an old answer.
const LAG_MAX: SignedDuration = SignedDuration::from_secs(30);

/// One secret of one store, whatever the field.
type Place = (StoreName, String);

/// Which secrets are being published to, and what the newest promotions displaced. Of this process only.
#[derive(Default)]
pub(super) struct PublishingTurns(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: BTreeSet<Place>,
    displaced: BTreeMap<Place, (VersionId, Timestamp)>,
}

/// The right to publish to some secrets; given back when it is dropped.
pub(super) struct PublishingTurn {
    state: Arc<Mutex<State>>,
    places: BTreeSet<Place>,
}

impl PublishingTurns {
    /// Takes all of the secrets or none, so that no two credentials ever wait for each other.
    pub(super) fn take(&self, destinations: &[Destination]) -> Option<PublishingTurn> {
        let places: BTreeSet<Place> = destinations.iter().map(place).collect();
        let mut state = lock(&self.0);
        if !state.taken.is_disjoint(&places) {
            return None;
        }
        state.taken.extend(places.iter().cloned());
        Some(PublishingTurn { state: Arc::clone(&self.0), places })
    }

    /// A version was displaced by a promotion of ours.
    pub(super) fn displaced(&self, destination: &Destination, version: Option<&VersionId>, now: Timestamp) {
        let mut state = lock(&self.0);
        state.displaced.retain(|_, (_, at)| is_recent(*at, now));
        match version {
            Some(version) => state.displaced.insert(place(destination), (version.clone(), now)),
            None => state.displaced.remove(&place(destination)),
        };
    }

    /// Whether `version` was displaced there a moment ago, so that it is an old answer.
    pub(super) fn is_displaced(
        &self,
        destination: &Destination,
        version: Option<&VersionId>,
        now: Timestamp,
    ) -> bool {
        let state = lock(&self.0);
        let displaced = state.displaced.get(&place(destination));
        displaced.is_some_and(|(displaced, at)| Some(displaced) == version && is_recent(*at, now))
    }
}

impl Drop for PublishingTurn {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.taken.retain(|place| !self.places.contains(place));
    }
}

fn place(destination: &Destination) -> Place {
    (destination.store.clone(), destination.secret.clone())
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).unsigned_abs() <= LAG_MAX.unsigned_abs()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secret: &str, field: &str) -> Destination {
        let store = StoreName::new("aws").unwrap();
        Destination { store, secret: secret.to_owned(), json_field: Some(field.to_owned()), create: false }
    }

    #[test]
    fn one_publishes_to_a_secret_at_a_time_and_takes_all_of_its_secrets_or_none() {
        let turns = PublishingTurns::default();
        let first = turns.take(&[at("a", "x"), at("b", "x")]).unwrap();
        assert!(turns.take(&[at("c", "y"), at("b", "y")]).is_none());
        let other = turns.take(&[at("c", "y")]).unwrap();
        drop(first);
        assert!(turns.take(&[at("a", "y"), at("b", "y")]).is_some());
        drop(other);
    }

    #[test]
    fn what_was_displaced_is_an_old_answer_for_half_a_minute() {
        let (turns, now) = (PublishingTurns::default(), Timestamp::UNIX_EPOCH);
        let version = VersionId::new("one").unwrap();
        turns.displaced(&at("a", "x"), Some(&version), now);
        let later = |seconds| now + SignedDuration::from_secs(seconds);
        assert!(turns.is_displaced(&at("a", "y"), Some(&version), later(30)));
        assert!(!turns.is_displaced(&at("a", "y"), Some(&version), later(31)));
        assert!(!turns.is_displaced(&at("b", "x"), Some(&version), now));
        assert!(!turns.is_displaced(&at("a", "x"), None, now));
    }
}
