//! Destinations that left the policy and still hold a key that rekeyd published there. A person removes the value; until that
//! is said (`rekeyd forget`), each is named. Pure.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::plan::Destination;
use crate::domain::policy::Policy;
use crate::domain::record::Record;
use crate::domain::secret::Fingerprint;

/// A destination that the policy names no longer, with what rekeyd published there last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftDestination {
    pub destination: Destination,
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// Since when the policy does not name it.
    pub since: Timestamp,
    /// An operator said that nothing is left there. Kept while the record still says that it was published to.
    #[serde(default)]
    pub forgotten: bool,
}

/// Whether the key that a destination holds still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftValue {
    /// It is the credential's key until the next rotation.
    InService,
    /// A rotation has replaced it.
    Replaced,
}

impl Policy {
    /// Whether a credential is published to this place, or to the whole secret that it is a part of, or to a part of it.
    #[must_use]
    pub fn names(&self, place: &Destination) -> bool {
        let is_there = |wanted: &Destination| {
            let is_same_secret = wanted.store == place.store && wanted.secret == place.secret;
            let is_part = wanted.json_field.is_none() || place.json_field.is_none();
            is_same_secret && (is_part || wanted.json_field == place.json_field)
        };
        self.credentials.values().flat_map(|credential| &credential.destinations).any(is_there)
    }
}

impl Record {
    /// The record with the destinations that have left `policy`, and without those that came back. `None` if nothing
    /// changes. Of a renamed credential, the new name tells.
    #[must_use]
    pub fn with_left(&self, policy: &Policy, now: Timestamp) -> Option<Self> {
        if self.published.is_empty() && self.left.is_empty() || policy.renamed(&self.credential).is_some() {
            return None;
        }
        let own = policy.credentials.get(&self.credential);
        let is_own = |place: &Destination| {
            own.is_some_and(|own| own.destinations.iter().any(|wanted| wanted.is_same_place(place)))
        };
        let is_named = |place: &Destination| is_own(place) || policy.names(place);
        let mut left: Vec<LeftDestination> =
            self.left.iter().filter(|it| !is_named(&it.destination)).cloned().collect();
        left.retain(|it| !it.forgotten || self.was_published_to(&it.destination));
        let current = self.current.as_ref().and_then(|current| current.fingerprint.as_ref());
        for published in self.published.iter().filter(|it| !is_named(&it.destination)) {
            let known = left.iter_mut().find(|it| it.destination.is_same_place(&published.destination));
            match known {
                Some(known) => known.fingerprint = current.cloned().or_else(|| known.fingerprint.take()),
                None => left.push(LeftDestination {
                    destination: published.destination.clone(),
                    fingerprint: current.cloned(),
                    since: now,
                    forgotten: false,
                }),
            }
        }
        (left != self.left).then(|| Self { left, ..self.clone() })
    }

    /// Whether a rotation made a key current there.
    #[must_use]
    pub fn was_published_to(&self, place: &Destination) -> bool {
        self.published.iter().any(|known| known.destination.is_same_place(place))
    }

    /// The destinations that are to be named.
    pub fn still_left(&self) -> impl Iterator<Item = &LeftDestination> {
        self.left.iter().filter(|it| !it.forgotten)
    }

    /// Whether a destination has left the policy, forgotten or not: nothing there is looked at any more.
    #[must_use]
    pub fn has_left(&self, place: &Destination) -> bool {
        self.left.iter().any(|it| it.destination.is_same_place(place))
    }

    /// The record after an operator said that nothing is left at the destination of this name; `None` if it has no such.
    #[must_use]
    pub fn forget(&self, name: &str) -> Option<Self> {
        let mut next = self.clone();
        let left = next.left.iter_mut().find(|it| it.destination.to_string() == name)?;
        left.forgotten = true;
        Some(next)
    }

    /// Whether the key at a left destination still works, as far as the record knows.
    #[must_use]
    pub fn value_left(&self, left: &LeftDestination) -> LeftValue {
        let current = self.current.as_ref().and_then(|current| current.fingerprint.as_ref());
        if current.is_some() && current == left.fingerprint.as_ref() {
            LeftValue::InService
        } else {
            LeftValue::Replaced
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::SignedDuration;

    use super::*;
    use crate::domain::ids::{CredentialName, KeyId, StoreName, VersionId, WorkspaceName};
    use crate::domain::plan::RevocationPolicy;
    use crate::domain::policy::{Credential, IfVanished, Mode};
    use crate::domain::record::{Current, PublishedVersion};
    use crate::domain::schedule::{Cadence, Schedule};

    fn place(secret: &str, field: Option<&str>) -> Destination {
        Destination {
            store: StoreName::new("aws").unwrap(),
            secret: secret.to_owned(),
            json_field: field.map(str::to_owned),
            create: false,
            create_field: false,
        }
    }

    fn serves(record: &Record, value: &[u8], places: &[Destination]) -> Record {
        let published = places.iter().map(|destination| PublishedVersion {
            destination: destination.clone(),
            version: VersionId::new("version-1").unwrap(),
        });
        let current = Current {
            key: KeyId::new("key_1").unwrap(),
            fingerprint: Some(Fingerprint::of(value)),
            since: Timestamp::UNIX_EPOCH,
            expires_at: None,
            usage_hash: None,
            attributes: None,
        };
        Record { current: Some(current), published: published.collect(), ..record.clone() }
    }

    /// A policy in which another credential is published to these places.
    fn policy(places: &[Destination]) -> Policy {
        let name = CredentialName::new("other").unwrap();
        let cadence = Cadence::Every(SignedDuration::from_hours(1));
        let schedule = Schedule { cadence, jitter: SignedDuration::ZERO, window: None, freezes: Vec::new() };
        let credential = Credential {
            name: name.clone(),
            workspace: WorkspaceName::new("prod").unwrap(),
            mode: Mode::Rotate,
            service_account: "account".to_owned(),
            create_account: None,
            adopt: None,
            first: None,
            allow_unrestricted: false,
            key_lifetime: None,
            destinations: places.to_vec(),
            schedule,
            terms: RevocationPolicy::of_an_emergency(),
            after: BTreeSet::new(),
            bake: SignedDuration::ZERO,
            expire_old_key: None,
            if_vanished: IfVanished::Alert,
        };
        Policy { credentials: [(name, credential)].into(), ..Policy::default() }
    }

    fn named(record: &Record) -> Vec<(String, LeftValue)> {
        record.still_left().map(|it| (it.destination.to_string(), record.value_left(it))).collect()
    }

    #[test]
    fn a_destination_that_leaves_is_named_until_it_comes_back_or_is_forgotten() {
        let (one, two) = (place("one", None), place("two", None));
        let new = Record::new(CredentialName::new("tts").unwrap());
        let record = serves(&new, b"first", &[one.clone(), two.clone()]);
        assert_eq!(record.with_left(&policy(&[one.clone(), two.clone()]), Timestamp::UNIX_EPOCH), None);

        let only_one = policy(std::slice::from_ref(&one));
        let left = record.with_left(&only_one, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(named(&left), [("aws:two".to_owned(), LeftValue::InService)]);
        assert_eq!(left.with_left(&only_one, Timestamp::MAX), None, "nothing is written twice");

        let back = left.with_left(&policy(&[one.clone(), two]), Timestamp::MAX).unwrap();
        assert_eq!(named(&back), []);

        let rotated = serves(&left, b"second", &[one]);
        assert_eq!(named(&rotated), [("aws:two".to_owned(), LeftValue::Replaced)]);
        assert_eq!(rotated.with_left(&only_one, Timestamp::MAX), None);
        let forgotten = rotated.forget("aws:two").unwrap();
        assert_eq!(named(&forgotten), []);
        assert_eq!(rotated.forget("aws:three"), None);
        // Nothing says any more that it was published to: there is nothing to remember either.
        assert!(forgotten.with_left(&only_one, Timestamp::MAX).unwrap().left.is_empty());
    }

    #[test]
    fn what_is_forgotten_before_the_next_rotation_stays_forgotten() {
        let (one, two) = (place("one", None), place("two", None));
        let new = Record::new(CredentialName::new("tts").unwrap());
        let record = serves(&new, b"first", &[one.clone(), two]);
        let only_one = policy(&[one]);
        let left = record.with_left(&only_one, Timestamp::UNIX_EPOCH).unwrap();
        let forgotten = left.forget("aws:two").unwrap();
        assert_eq!(forgotten.with_left(&only_one, Timestamp::MAX), None);
        assert_eq!(named(&forgotten), []);
        assert!(forgotten.has_left(&place("two", None)));
    }

    #[test]
    fn a_part_of_a_secret_that_is_written_to_has_not_left() {
        let new = Record::new(CredentialName::new("tts").unwrap());
        for (published, wanted, has_left) in [
            (None, Some("key"), false),
            (Some("key"), None, false),
            (Some("key"), Some("key"), false),
            (Some("key"), Some("other"), true),
        ] {
            let record = serves(&new, b"first", &[place("one", published)]);
            let left = record.with_left(&policy(&[place("one", wanted)]), Timestamp::UNIX_EPOCH);
            assert_eq!(left.is_some(), has_left, "{published:?} {wanted:?}");
        }
    }
}
