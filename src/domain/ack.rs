//! Acknowledgements: which key a consumer uses, and whether it works.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::ConsumerName;
use crate::domain::secret::Fingerprint;
use crate::domain::time::later;

/// Reports of one consumer may be recorded in another order than they came in, but not by more than this: a report that is
/// further in the future than the next one was written down by a clock that was wrong.
const OUT_OF_ORDER_MAX: SignedDuration = SignedDuration::from_mins(10);

/// A consumer's newest report about a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    pub consumer: ConsumerName,
    /// Fingerprint of the key that it uses, or tried to use.
    pub fingerprint: Fingerprint,
    pub health: Health,
    /// When it first reported this.
    pub since: Timestamp,
    /// When it last reported anything.
    pub at: Timestamp,
}

/// Whether the key works for a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It uses the key.
    Using,
    /// It fails since it has the key.
    Failing,
}

impl Health {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Using => "using",
            Self::Failing => "failing",
        }
    }
}

impl Ack {
    /// Whether both report the same about the credential's key.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.health == other.health
    }

    /// Up to when an earlier report's instant counts against this one's.
    #[must_use]
    pub fn believes_until(&self) -> Timestamp {
        later(self.at, OUT_OF_ORDER_MAX)
    }

    /// Whether this report is the newer one of two.
    #[must_use]
    pub fn supersedes(&self, known: &Self) -> bool {
        known.at <= self.at || known.at > self.believes_until()
    }

    /// This report after `before`, the same consumer's earlier one: an unchanged report keeps its `since`.
    #[must_use]
    pub fn following(self, before: Option<&Self>) -> Self {
        let same = before.filter(|it| it.says_the_same(&self));
        let since = same.map_or(self.since, |before| before.since.min(self.since));
        Self { since, ..self }
    }
}
