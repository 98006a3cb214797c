//! The phases of a rotation with their data. What is the same for every rotation in a phase stands in [`table`].

use serde::{Deserialize, Serialize};

use crate::domain::effect::Effect;
use crate::domain::key::KeyRequest;
use crate::domain::rotation::{ParkReason, RollbackCause};
use crate::domain::successor::{PlacementState, Served, Successor};

mod table;

pub use crate::domain::phase::table::{
    AdminKeySide, IN_SERVICE, NeedsOldKey, OldKey, Path, PhaseName, PhaseRow, Quarantine,
};

/// Where a rotation is in its life cycle, with what is true there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Begun; nothing has been changed yet. `overwrite`: an operator allows foreign values to be replaced.
    Due { overwrite: bool },
    /// The intent to create a key is journalled. `outcome_unknown`: the call may have been made, and its response is lost.
    Minting { request: KeyRequest, before: Vec<Served>, outcome_unknown: bool },
    /// The key exists; its value is in memory and in the destinations that have been staged.
    Staging(Successor),
    /// The value is pending in every destination.
    Verifying(Successor),
    /// The new key is verified.
    Promoting(Successor),
    /// Every destination serves the new key; the old one still works.
    Overlap(Successor),
    /// Every gate is satisfied, or the deadline has passed (`forced`); the old key is about to be disabled.
    Disabling { successor: Successor, forced: bool },
    /// The old key is disabled.
    Quarantine(Successor),
    /// The quarantine passed quietly; the old key is about to be deleted.
    Revoking(Successor),
    /// Something went wrong while the old key was disabled: it is being enabled again.
    Reinstating { successor: Successor, alarm: Alarm },
    /// Before promotion: the new key is being deleted and its pending versions removed.
    Discarding { successor: Successor, then: AfterDiscard },
    /// The old key is being enabled again (if it may be disabled), then made current in every destination.
    /// `overwrite`: an operator allows foreign values to be replaced by the old key.
    RollingBack { successor: Successor, cause: RollbackCause, old_enabled: bool, overwrite: bool },
    /// Every destination serves the old key again; consumers switch back.
    Returning { successor: Successor, cause: RollbackCause },
    /// The new key is about to be deleted.
    Withdrawing { successor: Successor, cause: RollbackCause },
    /// Needs an operator; `was` is the phase it goes on from.
    Parked { reason: ParkReason, detail: String, was: Box<Self> },
    /// The new key is the credential's key, the old one is gone.
    Done(Successor),
    /// Nothing came of it; the old key was never touched.
    Aborted { why: String },
    /// The old key is the credential's key again, the new one is gone.
    RolledBack { cause: RollbackCause },
}

/// What follows when a key has been discarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterDiscard {
    /// Its value was lost: mint again, within the budget.
    MintAgain,
    Abort {
        why: String,
    },
}

/// Why the old key is enabled again at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub kind: AlarmKind,
    /// The report that raised it.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    ConsumerFailing,
    ProbeRed,
    Operator,
    /// A destination does not serve the new key any more.
    Overwritten,
    /// The new key is gone, disabled or changed, and not by rekeyd.
    NewKeyUnusable,
}

impl AlarmKind {
    /// Why the rotation is parked when the old key works again.
    #[must_use]
    pub fn reason(self) -> ParkReason {
        match self {
            Self::ConsumerFailing => ParkReason::ConsumerFailing,
            Self::ProbeRed => ParkReason::ProbeRed,
            Self::Operator => ParkReason::Reinstated,
            Self::Overwritten => ParkReason::ForeignValue,
            Self::NewKeyUnusable => ParkReason::NewKeyUnusable,
        }
    }
}

/// What the data of a phase say.
struct Parts<'a> {
    successor: Option<&'a Successor>,
    cause: Option<RollbackCause>,
    effect: Option<Effect>,
}

impl Phase {
    /// The one place that takes every variant apart: its successor, the cause of a rollback, and its next effect.
    fn parts(&self) -> Parts<'_> {
        use PlacementState as P;
        let bare = |effect| Parts { successor: None, cause: None, effect };
        let with = |successor, effect| Parts { successor: Some(successor), cause: None, effect };
        let back = |successor, cause: &RollbackCause, effect| Parts {
            successor: Some(successor),
            cause: Some(*cause),
            effect,
        };
        match self {
            Self::Due { .. } => bare(Some(Effect::Preflight)),
            Self::Minting { outcome_unknown: false, .. } => bare(Some(Effect::Mint)),
            Self::Minting { outcome_unknown: true, .. } => bare(Some(Effect::SettleLostKey)),
            Self::Staging(new) => {
                let absent = first(new, |progress| matches!(progress, P::Absent));
                with(new, absent.map(|destination| Effect::Stage { destination }))
            }
            Self::Verifying(new) => with(new, Some(Effect::Verify)),
            Self::Promoting(new) => {
                let staged = first(new, |progress| matches!(progress, P::Staged { .. }));
                with(new, staged.map(|destination| Effect::Promote { destination }))
            }
            Self::Overlap(new) => with(new, Some(Effect::AwaitGates)),
            Self::Disabling { successor, .. } => with(successor, Some(Effect::DisableOld)),
            Self::Quarantine(new) => with(new, Some(Effect::AwaitQuarantine)),
            Self::Revoking(new) => with(new, Some(Effect::DeleteOld)),
            Self::Reinstating { successor, .. } => with(successor, Some(Effect::EnableOld)),
            Self::Discarding { successor, .. } => with(successor, Some(Effect::Discard)),
            Self::RollingBack { successor, cause, old_enabled: false, .. } => {
                back(successor, cause, Some(Effect::EnableOld))
            }
            Self::RollingBack { successor, cause, old_enabled: true, .. } => {
                let left = first(successor, |progress| !matches!(progress, P::Restored { .. }));
                back(successor, cause, left.map(|destination| Effect::Restore { destination }))
            }
            Self::Returning { successor, cause } => back(successor, cause, Some(Effect::AwaitReturn)),
            Self::Withdrawing { successor, cause } => back(successor, cause, Some(Effect::DeleteNew)),
            Self::Parked { was, .. } => Parts { effect: None, ..was.parts() },
            Self::Done(new) => with(new, None),
            Self::Aborted { .. } | Self::RolledBack { .. } => bare(None),
        }
    }

    #[must_use]
    pub fn successor(&self) -> Option<&Successor> {
        self.parts().successor
    }

    /// What is done next, whatever else is known of the rotation; see [`crate::domain::effect::pending`].
    #[must_use]
    pub fn effect(&self) -> Option<Effect> {
        self.parts().effect
    }

    /// Why the old key is being put back into service, if it is.
    #[must_use]
    pub fn rollback_cause(&self) -> Option<RollbackCause> {
        self.parts().cause
    }

    /// Whether the old key is being put back into service.
    #[must_use]
    pub fn is_rollback(&self) -> bool {
        self.rollback_cause().is_some()
    }

    #[must_use]
    pub fn row(&self) -> &'static PhaseRow {
        self.name().row()
    }

    /// The phase, or for a parked rotation the phase that it goes on from.
    #[must_use]
    pub fn underlying(&self) -> &Self {
        if let Self::Parked { was, .. } = self { was.underlying() } else { self }
    }

    /// Whether the old key may still be in use, so that it must not expire.
    #[must_use]
    pub fn needs_the_old_key(&self) -> bool {
        let phase = self.underlying();
        match phase.row().needs_old_key {
            NeedsOldKey::Always => true,
            NeedsOldKey::OncePromoted => phase.successor().is_some_and(|successor| successor.promotion_begun),
            NeedsOldKey::Never => false,
        }
    }

    /// Whether the new key is in service everywhere and the old one still exists: each inspection looks at both.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        matches!(self, Self::Overlap(_) | Self::Disabling { .. } | Self::Quarantine(_) | Self::Revoking(_))
    }

    /// Whether a consumer may be failing for want of the old key, or waits for it already.
    #[must_use]
    pub fn may_need_the_old_key_at_once(&self) -> bool {
        matches!(self, Self::Quarantine(_) | Self::Reinstating { .. } | Self::RollingBack { .. })
    }

    /// Whether the new key may be in service while the old one still exists: only then is a rollback possible.
    #[must_use]
    pub fn may_roll_back(&self) -> bool {
        self.needs_the_old_key() && !self.is_rollback()
    }

    /// What the rotation has done to the old key; for a parked one too.
    #[must_use]
    pub fn old_key(&self) -> OldKey {
        let phase = self.underlying();
        let is_back = matches!(phase, Self::RollingBack { old_enabled: true, .. });
        if is_back { OldKey::Enabled } else { phase.row().old_key }
    }
}

fn first(successor: &Successor, wanted: impl Fn(&PlacementState) -> bool) -> Option<usize> {
    successor.placements.iter().position(|placement| wanted(&placement.progress))
}
