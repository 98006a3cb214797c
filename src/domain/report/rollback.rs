//! Whether there is a way back, and for how long.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::phase::Phase;
use crate::domain::rotation::Rotation;

/// Whether the old key can be made the credential's key again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RollbackReport {
    pub possible: bool,
    /// Why it is not, or what it would amount to.
    pub detail: &'static str,
    /// Until when it will be, at least: while something is waited for, longer.
    pub until: Option<Timestamp>,
}

impl RollbackReport {
    #[must_use]
    pub fn new(rotation: &Rotation, now: Timestamp) -> Self {
        let no = |detail| Self { possible: false, detail, until: None };
        let begun = rotation.successor().is_some_and(|successor| successor.promotion_begun);
        if rotation.is_over() || rotation.plan.old.is_none() {
            return no("there is no old key to go back to");
        }
        if rotation.phase.is_rollback() {
            return no("it is being rolled back already");
        }
        if matches!(rotation.phase, Phase::Minting { .. }) {
            return no("whether a key was created is being settled; ask again in a moment");
        }
        if matches!(rotation.phase, Phase::Discarding { .. }) {
            return no("it is being aborted already");
        }
        if !begun {
            return Self {
                possible: true,
                detail: "nothing is in service yet: the rotation is aborted",
                until: None,
            };
        }
        if !rotation.can_roll_back() {
            return no("a destination has no earlier version to go back to");
        }
        if matches!(rotation.phase, Phase::Revoking(_)) {
            return Self {
                possible: true,
                detail: "the old key may be deleted at any moment",
                until: Some(now),
            };
        }
        let detail = "the old key is enabled, made current everywhere, and the new one deleted";
        Self { possible: true, detail, until: rotation.deletes_the_old_key_at(now) }
    }
}
