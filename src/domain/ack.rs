//! What consumers say of the key that they use.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::ConsumerName;
use crate::domain::secret::Fingerprint;

/// A consumer's newest word about a credential: which key it uses, and how that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    pub consumer: ConsumerName,
    /// Of the key that it uses, or tried to use.
    pub fingerprint: Fingerprint,
    pub health: Health,
    /// Since when it says the same.
    pub since: Timestamp,
    /// When it said so last: also when it was last seen at all.
    pub at: Timestamp,
}

/// How a consumer fares with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It uses the key.
    Using,
    /// It cannot work since it has the key.
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
    /// Whether it says the same of the credential's key.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.health == other.health
    }

    /// The same consumer's word after `before`, its word until now: `since` is kept while it says the same.
    #[must_use]
    pub fn following(self, before: Option<&Self>) -> Self {
        let same = before.filter(|it| it.says_the_same(&self));
        let since = same.map_or(self.since, |before| before.since.min(self.since));
        Self { since, ..self }
    }
}
