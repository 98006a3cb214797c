//! Where a rotation can be in its life cycle.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::key::KeyRequest;
use crate::domain::rotation::{ParkReason, RollbackCause};
use crate::domain::successor::{Served, Successor};

/// Where a rotation is in its life cycle, with what is true there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Begun; nothing outside has been touched. `overwrite`: an operator said that foreign values may be replaced.
    Due { overwrite: bool },
    /// The intent to create a key is in the journal. `doubt`: the call may have been made and its answer is lost.
    Minting { request: KeyRequest, before: Vec<Served>, doubt: bool },
    /// The key exists; its value is in memory and in the destinations that have been staged.
    Staging(Successor),
    /// The value is pending in every destination.
    Verifying(Successor),
    /// The new key is proven.
    Promoting(Successor),
    /// Every destination serves the new key; the old one still works.
    Overlap(Successor),
    /// Every gate has opened, or was overruled (`forced`); the old key is about to be disabled.
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
    /// `overwrite`: an operator said that foreign values may be replaced by the old key.
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

/// Why the old key has to work again at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub kind: AlarmKind,
    /// Who said what, for a person.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    ConsumerFailing,
    ProbeRed,
    Operator,
}

impl AlarmKind {
    /// Why the rotation is parked when the old key works again.
    #[must_use]
    pub fn reason(self) -> ParkReason {
        match self {
            Self::ConsumerFailing => ParkReason::ConsumerFailing,
            Self::ProbeRed => ParkReason::ProbeRed,
            Self::Operator => ParkReason::Reinstated,
        }
    }
}

impl Phase {
    #[must_use]
    pub fn successor(&self) -> Option<&Successor> {
        match self {
            Self::Staging(successor)
            | Self::Verifying(successor)
            | Self::Promoting(successor)
            | Self::Overlap(successor)
            | Self::Disabling { successor, .. }
            | Self::Quarantine(successor)
            | Self::Revoking(successor)
            | Self::Reinstating { successor, .. }
            | Self::Discarding { successor, .. }
            | Self::RollingBack { successor, .. }
            | Self::Returning { successor, .. }
            | Self::Withdrawing { successor, .. }
            | Self::Done(successor) => Some(successor),
            Self::Parked { was, .. } => was.successor(),
            Self::Due { .. } | Self::Minting { .. } | Self::Aborted { .. } | Self::RolledBack { .. } => None,
        }
    }

    /// Whether the new key may be in service while the old one still exists: only then is there a way back.
    #[must_use]
    pub fn may_roll_back(&self) -> bool {
        match self {
            Self::Staging(successor) | Self::Verifying(successor) => successor.promotion_begun,
            Self::Promoting(_)
            | Self::Overlap(_)
            | Self::Disabling { .. }
            | Self::Quarantine(_)
            | Self::Revoking(_)
            | Self::Reinstating { .. } => true,
            Self::Parked { was, .. } => was.may_roll_back(),
            Self::Due { .. }
            | Self::Minting { .. }
            | Self::Discarding { .. }
            | Self::RollingBack { .. }
            | Self::Returning { .. }
            | Self::Withdrawing { .. }
            | Self::Done(_)
            | Self::Aborted { .. }
            | Self::RolledBack { .. } => false,
        }
    }

    /// Whether destinations that were overwritten by somebody else can be published to again from here.
    #[must_use]
    pub fn may_publish_again(&self) -> bool {
        match self {
            Self::Staging(_)
            | Self::Verifying(_)
            | Self::Promoting(_)
            | Self::Overlap(_)
            | Self::Disabling { .. }
            | Self::Quarantine(_)
            | Self::Revoking(_)
            | Self::Reinstating { .. }
            | Self::RollingBack { .. }
            | Self::Returning { .. }
            | Self::Withdrawing { .. } => true,
            Self::Due { .. }
            | Self::Minting { .. }
            | Self::Discarding { .. }
            | Self::Parked { .. }
            | Self::Done(_)
            | Self::Aborted { .. }
            | Self::RolledBack { .. } => false,
        }
    }

    /// Why the old key is on its way back into service, if it is.
    #[must_use]
    pub fn way_back(&self) -> Option<RollbackCause> {
        match self {
            Self::RollingBack { cause, .. }
            | Self::Returning { cause, .. }
            | Self::Withdrawing { cause, .. } => Some(*cause),
            Self::Parked { was, .. } => was.way_back(),
            Self::Due { .. }
            | Self::Minting { .. }
            | Self::Staging(_)
            | Self::Verifying(_)
            | Self::Promoting(_)
            | Self::Overlap(_)
            | Self::Disabling { .. }
            | Self::Quarantine(_)
            | Self::Revoking(_)
            | Self::Reinstating { .. }
            | Self::Discarding { .. }
            | Self::Done(_)
            | Self::Aborted { .. }
            | Self::RolledBack { .. } => None,
        }
    }

    /// Whether the old key is on its way back into service.
    #[must_use]
    pub fn is_way_back(&self) -> bool {
        self.way_back().is_some()
    }

    /// Whether the old key may still be in use, so that it must not expire.
    #[must_use]
    pub fn needs_the_old_key(&self) -> bool {
        match self {
            Self::Overlap(_)
            | Self::Disabling { .. }
            | Self::Quarantine(_)
            | Self::Revoking(_)
            | Self::Reinstating { .. }
            | Self::RollingBack { .. } => true,
            // The destinations may have been taken from the new key again.
            Self::Staging(successor) | Self::Verifying(successor) => successor.promotion_begun,
            Self::Promoting(_) => true,
            Self::Parked { was, .. } => was.needs_the_old_key(),
            Self::Due { .. }
            | Self::Minting { .. }
            | Self::Discarding { .. }
            | Self::Returning { .. }
            | Self::Withdrawing { .. }
            | Self::Done(_)
            | Self::Aborted { .. }
            | Self::RolledBack { .. } => false,
        }
    }

    #[must_use]
    pub fn name(&self) -> PhaseName {
        match self {
            Self::Due { .. } => PhaseName::Due,
            Self::Minting { .. } => PhaseName::Minting,
            Self::Staging(_) => PhaseName::Staging,
            Self::Verifying(_) => PhaseName::Verifying,
            Self::Promoting(_) => PhaseName::Promoting,
            Self::Overlap(_) => PhaseName::Overlap,
            Self::Disabling { .. } => PhaseName::Disabling,
            Self::Quarantine(_) => PhaseName::Quarantine,
            Self::Revoking(_) => PhaseName::Revoking,
            Self::Reinstating { .. } => PhaseName::Reinstating,
            Self::Discarding { .. } => PhaseName::Discarding,
            Self::RollingBack { .. } => PhaseName::RollingBack,
            Self::Returning { .. } => PhaseName::Returning,
            Self::Withdrawing { .. } => PhaseName::Withdrawing,
            Self::Parked { .. } => PhaseName::Parked,
            Self::Done(_) => PhaseName::Done,
            Self::Aborted { .. } => PhaseName::Aborted,
            Self::RolledBack { .. } => PhaseName::RolledBack,
        }
    }
}

/// A phase without its data: a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    Due,
    Minting,
    Staging,
    Verifying,
    Promoting,
    Overlap,
    Disabling,
    Quarantine,
    Revoking,
    Reinstating,
    Discarding,
    RollingBack,
    Returning,
    Withdrawing,
    Parked,
    Done,
    Aborted,
    RolledBack,
}

impl PhaseName {
    pub const ALL: [Self; 18] = [
        Self::Due,
        Self::Minting,
        Self::Staging,
        Self::Verifying,
        Self::Promoting,
        Self::Overlap,
        Self::Disabling,
        Self::Quarantine,
        Self::Revoking,
        Self::Reinstating,
        Self::Discarding,
        Self::RollingBack,
        Self::Returning,
        Self::Withdrawing,
        Self::Parked,
        Self::Done,
        Self::Aborted,
        Self::RolledBack,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Minting => "minting",
            Self::Staging => "staging",
            Self::Verifying => "verifying",
            Self::Promoting => "promoting",
            Self::Overlap => "overlap",
            Self::Disabling => "disabling",
            Self::Quarantine => "quarantine",
            Self::Revoking => "revoking",
            Self::Reinstating => "reinstating",
            Self::Discarding => "discarding",
            Self::RollingBack => "rolling_back",
            Self::Returning => "returning",
            Self::Withdrawing => "withdrawing",
            Self::Parked => "parked",
            Self::Done => "done",
            Self::Aborted => "aborted",
            Self::RolledBack => "rolled_back",
        }
    }
}
