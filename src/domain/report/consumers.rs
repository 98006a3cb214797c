//! Who uses the credentials: the last acknowledgement of each consumer, from the journal.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::ack::{Ack, Health};
use crate::domain::ids::{ConsumerName, CredentialName};
use crate::domain::plan::RevocationPolicy;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::report::SCHEMA_VERSION;
use crate::domain::rotation::Rotation;
use crate::domain::secret::Fingerprint;

/// Every consumer that ever acknowledged a key, or is required to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsumersReport {
    pub schema_version: u32,
    pub at: Timestamp,
    pub consumers: Vec<ConsumerReport>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsumerReport {
    pub consumer: ConsumerName,
    /// When it last acknowledged any key.
    pub last_seen: Option<Timestamp>,
    pub uses: Vec<UseReport>,
}

/// The last acknowledgement of one consumer for one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UseReport {
    pub consumer: ConsumerName,
    pub credential: CredentialName,
    /// Whether the policy, or the rotation in progress, waits for it.
    pub required: bool,
    pub key: KeyHeld,
    pub fingerprint: Option<Fingerprint>,
    pub status: Option<Health>,
    /// Since when it reports the same key and status.
    pub since: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
}

/// Which of the credential's keys a consumer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyHeld {
    /// The credential's own, while no rotation is in progress.
    Current,
    /// The key that is being replaced.
    Old,
    /// The replacement.
    New,
    /// Any other key: an earlier one, or one of another credential.
    Other,
    /// No acknowledgement yet.
    Unknown,
}

impl KeyHeld {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Old => "old",
            Self::New => "new",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }

    fn of(fingerprint: &Fingerprint, record: &Record, rotation: Option<&Rotation>) -> Self {
        let own = record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
        let Some(rotation) = rotation else {
            return if own == Some(fingerprint) { Self::Current } else { Self::Other };
        };
        let Some(successor) = rotation.successor() else {
            return if own == Some(fingerprint) { Self::Old } else { Self::Other };
        };
        let mut before =
            successor.placements.iter().filter_map(|it| it.before.fingerprint.as_ref()).chain(own);
        if successor.fingerprint == *fingerprint {
            Self::New
        } else if before.any(|before| before == fingerprint) {
            Self::Old
        } else {
            Self::Other
        }
    }
}

/// The last acknowledgement of every consumer of one credential, in the order of their names; required consumers without
/// one are included.
#[must_use]
pub fn uses(
    record: &Record,
    rotation: Option<&Rotation>,
    policy: Option<&Credential>,
    acks: &[Ack],
) -> Vec<UseReport> {
    let terms = rotation.map(|rotation| &rotation.plan.terms).into_iter();
    let terms = terms.chain(policy.map(|policy| &policy.terms));
    let required: BTreeSet<ConsumerName> = terms.flat_map(RevocationPolicy::consumers).cloned().collect();
    let newest: BTreeMap<&ConsumerName, &Ack> = acks.iter().map(|ack| (&ack.consumer, ack)).collect();
    let names: BTreeSet<&ConsumerName> = required.iter().chain(newest.keys().copied()).collect();
    let used = |consumer: &ConsumerName| {
        let ack = newest.get(consumer);
        UseReport {
            consumer: consumer.clone(),
            credential: record.credential.clone(),
            required: required.contains(consumer),
            key: ack.map_or(KeyHeld::Unknown, |ack| KeyHeld::of(&ack.fingerprint, record, rotation)),
            fingerprint: ack.map(|ack| ack.fingerprint.clone()),
            status: ack.map(|ack| ack.health),
            since: ack.map(|ack| ack.since),
            last_seen: ack.map(|ack| ack.at),
        }
    };
    names.into_iter().map(used).collect()
}

impl ConsumersReport {
    #[must_use]
    pub fn new(uses: Vec<UseReport>, at: Timestamp) -> Self {
        let mut by_name: BTreeMap<ConsumerName, Vec<UseReport>> = BTreeMap::new();
        for used in uses {
            by_name.entry(used.consumer.clone()).or_default().push(used);
        }
        let consumer = |(consumer, mut uses): (ConsumerName, Vec<UseReport>)| {
            uses.sort_by(|one, other| one.credential.cmp(&other.credential));
            let last_seen = uses.iter().filter_map(|used| used.last_seen).max();
            ConsumerReport { consumer, last_seen, uses }
        };
        Self { schema_version: SCHEMA_VERSION, at, consumers: by_name.into_iter().map(consumer).collect() }
    }
}
