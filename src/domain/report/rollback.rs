//! Whether a rotation can be rolled back, and until when.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::phase::Phase;
use crate::domain::rotation::Rotation;

/// Whether the old key can become the credential's key again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RollbackReport {
    pub possible: bool,
    /// Why it is not possible, or what a rollback does.
    pub detail: &'static str,
    /// Possible until at least this time; longer while a gate is waiting.
    pub until: Option<Timestamp>,
}

impl RollbackReport {
    #[must_use]
    pub fn new(rotation: &Rotation, now: Timestamp) -> Self {
        let no = |detail| Self { possible: false, detail, until: None };
        let begun = rotation.successor().is_some_and(|successor| successor.promotion_begun);
        if rotation.is_over() || rotation.plan.old.is_none() {
            return no("there is no old key");
        }
        if rotation.phase.is_rollback() {
            return no("a rollback is already in progress");
        }
        if matches!(rotation.phase, Phase::Minting { .. }) {
            return no("a key creation is in progress; try again in a moment");
        }
        if matches!(rotation.phase, Phase::Discarding { .. }) {
            return no("an abort is already in progress");
        }
        if !begun {
            return Self {
                possible: true,
                detail: "the new key is not in use yet, so the rotation is aborted",
                until: None,
            };
        }
        if !rotation.can_roll_back() {
            return no("a destination has no earlier version");
        }
        if matches!(rotation.phase, Phase::Revoking(_)) {
            return Self {
                possible: true,
                detail: "the old key may be deleted at any moment",
                until: Some(now),
            };
        }
        let detail = "the old key is enabled and promoted everywhere, and the new key is deleted";
        Self { possible: true, detail, until: rotation.deletes_the_old_key_at(now) }
    }
}
