//! Lets one credential at a time publish to a secret: the fields of one JSON secret are written by reading and replacing
//! the whole of it. Nothing depends on a turn but effort: a store refuses a promotion over what was changed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::{CredentialName, StoreName, VersionId};
use crate::domain::plan::Destination;

/// For so long after a promotion a read that shows the displaced version counts as an old answer.
const LAG_MAX: SignedDuration = SignedDuration::from_secs(30);

/// For so long a turn is kept for a credential whose reconciliation ended between staging and promotion, mostly because
/// its new key is not active yet.
const KEPT: SignedDuration = SignedDuration::from_secs(30);

/// One secret of one store, whatever the field.
type Place = (StoreName, String);

/// Which secrets are being published to, and what the newest promotions displaced. Of this process only.
#[derive(Default)]
pub(super) struct PublishingTurns(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: BTreeMap<Place, Holder>,
    displaced: BTreeMap<Place, (VersionId, Timestamp)>,
}

struct Holder {
    credential: CredentialName,
    is_at_work: bool,
    since: Timestamp,
}

/// The right to publish to some secrets. Others can have it some time after it was dropped, and at once after its end.
pub(super) struct PublishingTurn {
    state: Arc<Mutex<State>>,
    places: BTreeSet<Place>,
}

impl PublishingTurns {
    /// Takes all of the secrets or none, so that no two credentials ever wait for each other.
    pub(super) fn take(
        &self,
        credential: &CredentialName,
        destinations: &[Destination],
        now: Timestamp,
    ) -> Option<PublishingTurn> {
        let places: BTreeSet<Place> = destinations.iter().map(place).collect();
        let mut state = lock(&self.0);
        let is_anothers = |holder: &Holder| {
            let is_kept = now.duration_since(holder.since).unsigned_abs() <= KEPT.unsigned_abs();
            holder.credential != *credential && (holder.is_at_work || is_kept)
        };
        if places.iter().filter_map(|place| state.taken.get(place)).any(is_anothers) {
            return None;
        }
        for place in &places {
            let holder = Holder { credential: credential.clone(), is_at_work: true, since: now };
            state.taken.insert(place.clone(), holder);
        }
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

impl PublishingTurn {
    /// Everything is promoted, or nothing will be.
    pub(super) fn end(mut self) {
        let places = std::mem::take(&mut self.places);
        lock(&self.state).taken.retain(|place, _| !places.contains(place));
    }
}

impl Drop for PublishingTurn {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        for place in &self.places {
            if let Some(holder) = state.taken.get_mut(place) {
                holder.is_at_work = false;
            }
        }
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
        Destination {
            store,
            secret: secret.to_owned(),
            json_field: Some(field.to_owned()),
            create: false,
            create_field: false,
        }
    }

    #[test]
    fn one_publishes_to_a_secret_at_a_time_and_takes_all_of_its_secrets_or_none() {
        let turns = PublishingTurns::default();
        let (x, y) = (CredentialName::new("x").unwrap(), CredentialName::new("y").unwrap());
        let now = Timestamp::UNIX_EPOCH;
        let first = turns.take(&x, &[at("a", "x"), at("b", "x")], now).unwrap();
        let hour = now + SignedDuration::from_hours(1);
        assert!(turns.take(&y, &[at("c", "y"), at("b", "y")], hour).is_none());
        let other = turns.take(&y, &[at("c", "y")], now).unwrap();
        first.end();
        assert!(turns.take(&y, &[at("a", "y"), at("b", "y")], now).is_some());
        drop(other);
    }

    #[test]
    fn a_turn_is_kept_for_its_credential_for_half_a_minute() {
        let turns = PublishingTurns::default();
        let (x, y) = (CredentialName::new("x").unwrap(), CredentialName::new("y").unwrap());
        let later = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        drop(turns.take(&x, &[at("a", "x")], later(0)).unwrap());
        assert!(turns.take(&y, &[at("a", "y")], later(30)).is_none());
        drop(turns.take(&x, &[at("a", "x")], later(30)).unwrap());
        assert!(turns.take(&y, &[at("a", "y")], later(60)).is_none());
        assert!(turns.take(&y, &[at("a", "y")], later(61)).is_some());
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
