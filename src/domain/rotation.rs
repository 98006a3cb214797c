//! A rotation's state: what its journalled events add up to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::effect::EffectName;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::ids::Nonce;
use crate::domain::key::Grants;
use crate::domain::phase::Phase;
use crate::domain::plan::Plan;
use crate::domain::step::{self, IllegalTransition};
use crate::domain::successor::{Progress, Successor};

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
