//! A rotation's state: what its journalled events add up to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::effect::EffectName;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::ids::{KeyId, Nonce, VersionId};
use crate::domain::key::{Grants, KeyRequest};
use crate::domain::plan::Plan;
use crate::domain::secret::Fingerprint;
use crate::domain::step::{self, IllegalTransition};

/// How many keys one rotation may lose before an operator has to say so: a retry loop must not become a mint loop.
pub const MINTS_PER_ROTATION_MAX: u32 = 5;

/// One rotation, folded from its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    pub plan: Plan,
    /// How many events it has: the sequence number of the next one.
    pub length: u64,
    pub phase: Phase,
    /// When the phase was entered.
    pub since: Timestamp,
    /// Whether the provider's clock agreed with ours since the phase was entered: only then is `since` to be trusted.
    pub clock_agreed: bool,
    /// From when on the overlap counts: every destination had been read back, and the clocks agreed.
    pub overlap_began: Option<Timestamp>,
    /// How many mints were intended so far.
    pub attempt: u32,
    /// How many mints this rotation may intend in all before an operator has to say so.
    pub attempts_max: u32,
    /// What stands in the way of the next effect; forgotten as soon as there is progress.
    pub trouble: Option<Trouble>,
}

/// Where a rotation is in its life cycle, with what is true there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Begun; nothing outside has been touched. `overwrite`: an operator said that foreign values may be replaced.
    Due { overwrite: bool },
    /// The intent to create a key is in the journal. `doubt`: the call may have been made and its answer is lost.
    Minting { request: KeyRequest, before: Vec<Standing>, doubt: bool },
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

/// The key that replaces the old one, and how far it has been placed.
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

/// What a listing told about a key when it was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFacts {
    pub created_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub usage_hash: Option<String>,
    pub hint: String,
}

/// What a destination serves: nothing, or a version whose value has this fingerprint (`None` if it has no such field).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub version: Option<VersionId>,
    pub fingerprint: Option<Fingerprint>,
}

/// How far the successor has come in one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// What it served when the rotation began.
    pub before: Standing,
    /// How often somebody else's change made staging again necessary.
    pub restaged: u32,
    pub progress: Progress,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackCause {
    Operator,
    Deadline,
}

/// Why a rotation needs an operator. Each has an entry in the runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// The provider refuses to create the key as it must be.
    MintRefused,
    /// Too many keys were lost in this one rotation.
    MintsExhausted,
    /// The old key grants everything and the policy does not allow that.
    Unrestricted,
    /// The old key is gone, disabled or expired, and nobody here did that.
    OldKeyUnusable,
    /// Somebody enabled the old key again during the quarantine.
    OldKeyReenabled,
    /// The new key is gone, disabled or changed, and nobody here did that.
    NewKeyUnusable,
    /// A destination serves a value that rekeyd did not put there.
    ForeignValue,
    /// The policy wants a rollback and there is nothing to roll back to.
    CannotRollBack,
}

impl ParkReason {
    pub const ALL: [Self; 8] = [
        Self::MintRefused,
        Self::MintsExhausted,
        Self::Unrestricted,
        Self::OldKeyUnusable,
        Self::OldKeyReenabled,
        Self::NewKeyUnusable,
        Self::ForeignValue,
        Self::CannotRollBack,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::MintRefused => "mint_refused",
            Self::MintsExhausted => "mints_exhausted",
            Self::Unrestricted => "unrestricted",
            Self::OldKeyUnusable => "old_key_unusable",
            Self::OldKeyReenabled => "old_key_reenabled",
            Self::NewKeyUnusable => "new_key_unusable",
            Self::ForeignValue => "foreign_value",
            Self::CannotRollBack => "cannot_roll_back",
        }
    }
}

/// What stands in the way, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub effect: EffectName,
    pub failures: u32,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub last: Failure,
}

impl Rotation {
    /// The state that a plan alone leads to.
    #[must_use]
    pub fn begin(plan: Plan) -> Self {
        let since = plan.begun_at;
        Self {
            plan,
            length: 1,
            phase: Phase::Due { overwrite: false },
            since,
            clock_agreed: false,
            overlap_began: None,
            attempt: 0,
            attempts_max: MINTS_PER_ROTATION_MAX,
            trouble: None,
        }
    }

    /// Folds a journal. The first event must be the beginning, and each further one legal where it stands.
    ///
    /// # Errors
    /// The history is corrupt: it says at which event. Nothing is guessed.
    pub fn fold(events: impl IntoIterator<Item = (Timestamp, Event)>) -> Result<Self, CorruptHistory> {
        let mut events = events.into_iter();
        let Some((_, Event::Begun(plan))) = events.next() else {
            return Err(CorruptHistory::NoBeginning);
        };
        let mut rotation = Self::begin(*plan);
        for (at, event) in events {
            rotation = step::step(&rotation, &event, at)
                .map_err(|source| CorruptHistory::Illegal { sequence: rotation.length, source })?;
        }
        Ok(rotation)
    }

    /// The nonce of the newest mint.
    #[must_use]
    pub fn nonce(&self) -> Nonce {
        self.plan.rotation.nonce(self.attempt)
    }

    #[must_use]
    pub fn successor(&self) -> Option<&Successor> {
        self.phase.successor()
    }

    /// When the overlap began; never, as long as it has not.
    #[must_use]
    pub fn overlap_since(&self) -> Timestamp {
        self.overlap_began.unwrap_or(Timestamp::MAX)
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done(_) | Phase::Aborted { .. } | Phase::RolledBack { .. })
    }

    /// Whether every destination that the new key may have reached has something to go back to.
    #[must_use]
    pub fn can_roll_back(&self) -> bool {
        self.phase.may_roll_back()
            && self.plan.old.is_some()
            && self.successor().is_some_and(|successor| {
                successor.placements.iter().all(|placement| match &placement.progress {
                    Progress::Absent | Progress::Restored { .. } => true,
                    Progress::Staged { over, .. } => over.is_some(),
                    Progress::Current { displaced, .. } => displaced.is_some(),
                })
            })
    }

    /// The grants that the successor must have, where they are known already.
    #[must_use]
    pub fn grants(&self) -> Option<&Grants> {
        self.successor().map(|successor| &successor.request.grants)
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
            Self::Promoting(_) | Self::Overlap(_) | Self::Disabling { .. } | Self::Quarantine(_) => true,
            Self::Parked { was, .. } => was.may_roll_back(),
            Self::Due { .. }
            | Self::Minting { .. }
            | Self::Revoking(_)
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
            | Self::RollingBack { .. } => true,
            Self::Due { .. }
            | Self::Minting { .. }
            | Self::Discarding { .. }
            | Self::Returning { .. }
            | Self::Withdrawing { .. }
            | Self::Parked { .. }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    pub const ALL: [Self; 17] = [
        Self::Due,
        Self::Minting,
        Self::Staging,
        Self::Verifying,
        Self::Promoting,
        Self::Overlap,
        Self::Disabling,
        Self::Quarantine,
        Self::Revoking,
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

/// A journal that no run of rekeyd can have written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorruptHistory {
    #[error("the history does not start with its beginning")]
    NoBeginning,
    #[error("event {sequence} of the history cannot follow what came before it")]
    Illegal {
        sequence: u64,
        #[source]
        source: IllegalTransition,
    },
}
