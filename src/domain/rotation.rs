//! A rotation's state, folded from its journalled events.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::dead_man::DeadMan;
use crate::domain::effect::EffectName;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::gate::confirm::Confirmation;
use crate::domain::ids::Nonce;
use crate::domain::key::KeyAttributes;
use crate::domain::phase::{Phase, Quarantine};
use crate::domain::plan::Plan;
use crate::domain::step::{self, IllegalTransition};
use crate::domain::successor::{PlacementState, Successor};
use crate::domain::time::later;

/// How many keys one rotation may lose in an hour before the next one waits for that hour to be over, which is fewer than
/// any breaker needs; and in a day before it is parked: a retry loop must not create keys without end.
pub const LOST_PER_HOUR_MAX: usize = 4;
pub const LOST_PER_DAY_MAX: usize = 12;

/// In an emergency the next key waits no longer than this.
const URGENT_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// How often a destination may be changed out of band in one rotation before it is parked.
pub const RESTAGINGS_MAX: u32 = 20;

/// One rotation, folded from its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    pub plan: Plan,
    /// How many events it has: the sequence number of the next one.
    pub length: u64,
    pub phase: Phase,
    /// When the phase was entered.
    pub since: Timestamp,
    /// The number of the event that led to this phase.
    pub entered: u64,
    /// Whether the provider's clock agreed with ours since the phase was entered: only then is `since` to be trusted.
    pub clock_agreed: bool,
    /// From when on the overlap counts: every destination had been read back, and the clocks agreed.
    pub overlap_began: Option<Timestamp>,
    /// When the provider lets the old key expire by itself, where it was told to.
    pub dead_man: Option<DeadMan>,
    /// How many mints were intended so far.
    pub attempt: u32,
    /// When keys were created and lost, since an operator last resumed it.
    pub lost: Vec<Timestamp>,
    /// How often each destination may have been staged again before the rotation is parked.
    pub restaged_max: u32,
    /// What an operator said of the consumers.
    pub confirmation: Confirmation,
    /// The failure that delays the next effect; cleared by any progress.
    pub last_failure: Option<LastFailure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackCause {
    Operator,
    Deadline,
    /// The new key has leaked.
    Leak,
    /// Neither key is of use any more: nothing is put back, the new key is deleted, and an emergency replaces both.
    NoKeyLeft,
}

/// Why a rotation needs an operator. Each has an entry in the runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// The provider refuses to create the key as it must be.
    MintRefused,
    /// Too many keys were lost in this one rotation.
    MintsExhausted,
    /// The old key may do everything and the policy does not allow that.
    Unrestricted,
    /// The old key is gone, disabled or expired, and not by rekeyd.
    OldKeyUnusable,
    /// The old key was enabled outside rekeyd during the quarantine.
    OldKeyReenabled,
    /// The new key is gone, disabled or changed, and not by rekeyd.
    NewKeyUnusable,
    /// A destination serves a value that rekeyd did not put there.
    ForeignValue,
    /// The policy wants a rollback and there is nothing to roll back to.
    CannotRollBack,
    /// A consumer failed while the old key was disabled; it is enabled again.
    ConsumerFailing,
    /// A probe turned red while the old key was disabled; it is enabled again.
    ProbeRed,
    /// An operator had the old key enabled again.
    Reinstated,
    /// The old key may do more than the policy's `permissions`.
    Widened,
}

impl ParkReason {
    /// Whether it was parked so that the old key goes on working, or for something that an emergency overrules.
    #[must_use]
    pub fn yields_to_an_emergency(self) -> bool {
        match self {
            Self::ConsumerFailing
            | Self::ProbeRed
            | Self::Reinstated
            | Self::OldKeyReenabled
            | Self::OldKeyUnusable
            | Self::NewKeyUnusable
            | Self::CannotRollBack
            | Self::Widened => true,
            Self::MintRefused | Self::MintsExhausted | Self::Unrestricted | Self::ForeignValue => false,
        }
    }

    /// Whether an emergency tries again what the rotation was parked for.
    #[must_use]
    pub fn is_tried_again_in_an_emergency(self) -> bool {
        matches!(self, Self::MintRefused | Self::MintsExhausted)
    }

    pub const ALL: [Self; 12] = [
        Self::MintRefused,
        Self::MintsExhausted,
        Self::Unrestricted,
        Self::OldKeyUnusable,
        Self::OldKeyReenabled,
        Self::NewKeyUnusable,
        Self::ForeignValue,
        Self::CannotRollBack,
        Self::ConsumerFailing,
        Self::ProbeRed,
        Self::Reinstated,
        Self::Widened,
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
            Self::ConsumerFailing => "consumer_failing",
            Self::ProbeRed => "probe_red",
            Self::Reinstated => "reinstated",
            Self::Widened => "widened",
        }
    }
}

/// What keys that were created and lost mean for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostKeys {
    Few,
    /// So many in the last hour: the next one waits.
    NotBefore {
        until: Timestamp,
        lost: usize,
    },
    /// So many in a day that an operator has to find out why.
    TooMany(usize),
}

/// The effect that keeps failing, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
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
            entered: 0,
            clock_agreed: false,
            overlap_began: None,
            dead_man: None,
            attempt: 0,
            lost: Vec::new(),
            restaged_max: RESTAGINGS_MAX,
            confirmation: Confirmation::default(),
            last_failure: None,
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

    /// Whether keys that were lost hold the next one back.
    #[must_use]
    pub fn lost_keys(&self, now: Timestamp) -> LostKeys {
        let within = |limit: SignedDuration| {
            let from = now.saturating_sub(limit).unwrap_or(Timestamp::MIN);
            // What was lost in the future was lost by a clock that was wrong.
            self.lost.iter().map(|at| (*at).min(now)).filter(move |at| *at > from)
        };
        let today = within(SignedDuration::from_hours(24)).count();
        if today >= LOST_PER_DAY_MAX {
            return LostKeys::TooMany(today);
        }
        let hour = SignedDuration::from_hours(1);
        let lately: Vec<Timestamp> = within(hour).collect();
        let oldest = lately.iter().rev().nth(LOST_PER_HOUR_MAX.saturating_sub(1));
        match (oldest, lately.last()) {
            (Some(oldest), Some(last)) => {
                let until = later(*oldest, hour);
                let until = if self.plan.emergency { until.min(later(*last, URGENT_AFTER)) } else { until };
                if until > now { LostKeys::NotBefore { until, lost: lately.len() } } else { LostKeys::Few }
            }
            (None, _) | (_, None) => LostKeys::Few,
        }
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

    /// Whether the old key would expire, if nobody moved its expiry, while it is still needed.
    #[must_use]
    pub fn keeps_the_old_key_alive(&self) -> bool {
        let in_force = self.dead_man.is_some_and(|dead_man| dead_man.is_in_force());
        in_force && !self.plan.emergency && self.phase.needs_the_old_key()
    }

    /// When the overlap began; never, as long as it has not.
    #[must_use]
    pub fn overlap_since(&self) -> Timestamp {
        self.overlap_began.unwrap_or(Timestamp::MAX)
    }

    /// Whether it revokes a leaked key, or stands between consumers and a key that works: neither a freeze nor a breaker
    /// delays that.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        let cause = self.phase.rollback_cause();
        self.plan.emergency || matches!(cause, Some(RollbackCause::Leak | RollbackCause::NoKeyLeft))
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase.name().is_end()
    }

    /// The earliest moment at which the old key will be deleted, if nothing more is waited for than time; `None` where
    /// that is not known, or may be now.
    #[must_use]
    pub fn deletes_the_old_key_at(&self, now: Timestamp) -> Option<Timestamp> {
        let terms = &self.plan.terms;
        let deleted = match self.phase.row().quarantine {
            Quarantine::AfterOverlap => {
                let began = self.overlap_began.unwrap_or(now);
                Some(later(later(began, terms.at_least).max(now), terms.quarantine))
            }
            Quarantine::Next => Some(later(now, terms.quarantine)),
            Quarantine::Running => Some(later(self.since, terms.quarantine)),
            Quarantine::NotPlanned => None,
        };
        let expires = self.dead_man.filter(|dead_man| dead_man.is_in_force()).map(|dead_man| dead_man.at);
        deleted.into_iter().chain(expires).min()
    }

    /// Whether every destination that the new key may have reached has something to go back to.
    #[must_use]
    pub fn can_roll_back(&self) -> bool {
        self.phase.may_roll_back()
            && self.plan.old.is_some()
            && self.successor().is_some_and(|successor| {
                successor.placements.iter().all(|placement| match &placement.progress {
                    PlacementState::Absent | PlacementState::Restored { .. } => true,
                    PlacementState::Staged { over, .. } => over.is_some(),
                    PlacementState::Current { displaced, .. } => displaced.is_some(),
                })
            })
    }

    /// The attributes that the new key must have, where they are known already.
    #[must_use]
    pub fn attributes(&self) -> Option<&KeyAttributes> {
        self.successor().map(|successor| &successor.request.attributes)
    }
}

/// A history that rekeyd cannot have written.
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
