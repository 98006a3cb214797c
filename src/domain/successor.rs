//! The new key of a rotation, and its state in each destination.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{KeyId, VersionId};
use crate::domain::key::{KeyAttributes, KeyRequest};
use crate::domain::secret::Fingerprint;

/// The key that replaces the old one, and its placements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    pub key: KeyId,
    pub fingerprint: Fingerprint,
    pub request: KeyRequest,
    /// One for each destination of the plan, in its order.
    pub placements: Vec<Placement>,
    /// From the listing that verified it.
    pub facts: Option<KeyFacts>,
    /// Set for ever when the first promotion may have happened: from then on it cannot simply be discarded.
    pub promotion_begun: bool,
}

impl Successor {
    /// When it expires: as it was listed, or else as it was asked for.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.facts.as_ref().map_or(self.request.expires_at, |facts| facts.expires_at)
    }
}

/// What the listing showed of a key when it was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    pub created_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub usage_hash: Option<String>,
    pub hint: String,
    /// Its permissions and limits when it was verified: a later change was made outside rekeyd.
    #[serde(default, alias = "grants")]
    pub attributes: Option<Box<KeyAttributes>>,
}

/// What a destination serves: nothing, or a version whose value has this fingerprint (`None` if it has no such field).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    pub version: Option<VersionId>,
    pub fingerprint: Option<Fingerprint>,
}

/// The new key's placement in one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// What it served when the rotation began.
    pub before: Served,
    /// How often changes by others made it necessary to stage again.
    pub restaged: u32,
    pub progress: PlacementState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacementState {
    Absent,
    /// Pending as `version`, made to replace `over`.
    Staged {
        version: VersionId,
        over: Option<VersionId>,
    },
    /// Current and read back by fingerprint; `displaced` is the version that was current before.
    Current {
        version: VersionId,
        displaced: Option<VersionId>,
    },
    /// Rolled back: what was there before is current again, or was never displaced.
    Restored {
        version: VersionId,
    },
}
