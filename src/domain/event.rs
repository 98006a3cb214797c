//! What happened to a rotation, as the journal keeps it. Never holds a value, an address or a body.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::effect::EffectName;
use crate::domain::failure::Failure;
use crate::domain::gate::Verdict;
use crate::domain::ids::{KeyId, VersionId};
use crate::domain::key::KeyRequest;
use crate::domain::phase::Alarm;
use crate::domain::plan::{Plan, Terms};
use crate::domain::rotation::{ParkReason, RollbackCause};
use crate::domain::secret::Fingerprint;
use crate::domain::successor::{KeyFacts, Served};

/// One journalled event. Intents stand in the journal before the call that they announce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Begun(Box<Plan>),
    /// Preflight passed; a key with the next nonce is about to be created.
    MintIntended {
        request: KeyRequest,
        before: Vec<Served>,
    },
    Minted {
        key: KeyId,
        fingerprint: Fingerprint,
    },
    /// The provider certainly created nothing.
    MintRefused {
        failure: Failure,
    },
    /// The answer was lost, or the process died: there may be a key with our nonce.
    MintDoubted {
        cause: String,
    },
    /// No key with the doubted nonce is alive: those found were deleted.
    LostKeySettled {
        deleted: Vec<KeyId>,
    },
    Staged {
        destination: usize,
        version: VersionId,
        over: Option<VersionId>,
    },
    /// The value is neither in memory nor in any destination.
    ValueLost,
    Verified {
        facts: KeyFacts,
    },
    /// The new key must not be used.
    Refuted {
        why: String,
    },
    /// Current, and read back by fingerprint.
    Promoted {
        destination: usize,
        displaced: Option<VersionId>,
    },
    /// Somebody else changed the destination since it was looked at, but not the credential's own value: stage again.
    Contested {
        destination: usize,
    },
    /// Every gate opened, or the policy's deadline decided: the old key may be disabled.
    Released {
        verdicts: Vec<Verdict>,
        forced: bool,
    },
    /// A gate shut again, or the deadline was moved, before the old key was disabled.
    Withheld {
        verdicts: Vec<Verdict>,
    },
    OldKeyDisabled,
    /// The provider's clock agrees with ours now: what this phase has to last is counted from here (I8).
    ClockAgreed,
    QuarantinePassed,
    /// Something is wrong since the old key is disabled: it is to be enabled again, before anything else.
    Alarmed {
        alarm: Alarm,
    },
    /// The provider is about to be told to let the old key expire at `at`; `original` is when it would without us.
    ExpiryIntended {
        at: Timestamp,
        original: Option<Timestamp>,
    },
    /// The old key expires at `at`, as read back; or, if not `in_force`, this workspace cannot do that.
    ExpirySettled {
        at: Timestamp,
        in_force: bool,
    },
    /// The old key turned out to be in wrong hands: from here on the rotation is an emergency.
    Escalated {
        why: String,
        /// When that was first seen, or said.
        #[serde(default)]
        since: Option<Timestamp>,
    },
    OldKeyGone,
    RollbackBegun {
        cause: RollbackCause,
    },
    OldKeyEnabled,
    Restored {
        destination: usize,
        version: VersionId,
    },
    ReturnPassed,
    NewKeyGone,
    /// The new key is deleted and no pending version of it is left.
    Discarded,
    /// An effect failed and will be tried again.
    Hindered {
        effect: EffectName,
        failure: Failure,
    },
    Parked {
        reason: ParkReason,
        detail: String,
    },
    /// An operator wants a parked rotation to go on. `overwrite`: preflight and rollback may replace foreign values.
    Retried {
        overwrite: bool,
    },
    /// An operator wants these destinations, which serve neither key, to be published to again over what they serve.
    Reclaimed {
        destinations: Vec<(usize, Served)>,
    },
    AbortAsked {
        by: String,
    },
    TermsRevised {
        terms: Terms,
    },
}

/// The names of events: one row for each, which gives [`EventName`], its label and [`Event::kind`].
macro_rules! event_names {
    ($($name:ident = $label:literal,)*) => {
        /// An event without its data.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum EventName { $($name,)* }

        impl EventName {
            /// As journals, logs, metrics and reports name it.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }

        impl Event {
            #[must_use]
            pub fn kind(&self) -> EventName {
                match self { $(Self::$name { .. } => EventName::$name,)* }
            }
        }
    };
}

event_names! {
    Begun = "begun",
    MintIntended = "mint_intended",
    Minted = "minted",
    MintRefused = "mint_refused",
    MintDoubted = "mint_doubted",
    LostKeySettled = "lost_key_settled",
    Staged = "staged",
    ValueLost = "value_lost",
    Verified = "verified",
    Refuted = "refuted",
    Promoted = "promoted",
    Contested = "contested",
    Released = "released",
    Withheld = "withheld",
    OldKeyDisabled = "old_key_disabled",
    ClockAgreed = "clock_agreed",
    QuarantinePassed = "quarantine_passed",
    Alarmed = "alarmed",
    ExpiryIntended = "expiry_intended",
    ExpirySettled = "expiry_settled",
    Escalated = "escalated",
    OldKeyGone = "old_key_gone",
    RollbackBegun = "rollback_begun",
    OldKeyEnabled = "old_key_enabled",
    Restored = "restored",
    ReturnPassed = "return_passed",
    NewKeyGone = "new_key_gone",
    Discarded = "discarded",
    Hindered = "hindered",
    Parked = "parked",
    Retried = "retried",
    Reclaimed = "reclaimed",
    AbortAsked = "abort_asked",
    TermsRevised = "terms_revised",
}

impl Event {
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().label()
    }
}
