//! The events of a rotation, as the journal stores them. They never hold a value, an address or a body.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::effect::EffectName;
use crate::domain::failure::Failure;
use crate::domain::gate::Verdict;
use crate::domain::ids::{KeyId, VersionId};
use crate::domain::key::KeyRequest;
use crate::domain::phase::Alarm;
use crate::domain::plan::{Plan, RevocationPolicy};
use crate::domain::rotation::{ParkReason, RollbackCause};
use crate::domain::secret::Fingerprint;
use crate::domain::successor::{KeyFacts, Served};

/// One journalled event. An intent is journalled before its call.
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
    #[serde(alias = "mint_doubted")]
    MintOutcomeUnknown {
        cause: String,
    },
    /// No key with that nonce exists any more: those found were deleted.
    LostKeySettled {
        deleted: Vec<KeyId>,
    },
    Staged {
        destination: usize,
        version: VersionId,
        over: Option<VersionId>,
        /// What the destination served before, where the preflight had an older answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Served>,
    },
    /// The value is neither in memory nor in any destination.
    ValueLost,
    Verified {
        facts: KeyFacts,
    },
    /// The new key must not be used.
    #[serde(alias = "refuted")]
    VerificationFailed {
        why: String,
    },
    /// Current, and read back by fingerprint.
    Promoted {
        destination: usize,
        displaced: Option<VersionId>,
    },
    /// The destination was changed by others since it was read, but not the credential's own value: stage again.
    #[serde(alias = "contested")]
    DestinationChanged {
        destination: usize,
    },
    /// Every gate is satisfied, or the policy's deadline has passed: the old key may be disabled.
    Released {
        verdicts: Vec<Verdict>,
        forced: bool,
    },
    /// A gate is no longer satisfied, or the deadline was moved, before the old key was disabled.
    #[serde(alias = "withheld")]
    ReleaseWithdrawn {
        verdicts: Vec<Verdict>,
    },
    OldKeyDisabled,
    /// The provider's clock agrees with ours: the duration of this phase is counted from here (I8).
    ClockAgreed,
    QuarantinePassed,
    /// A consumer or a probe fails since the old key is disabled: enable it again first.
    Alarmed {
        alarm: Alarm,
    },
    /// The old key's expiry is about to be set to `at`; `original` is its expiry before.
    ExpiryIntended {
        at: Timestamp,
        original: Option<Timestamp>,
    },
    /// The old key expires at `at`, as read back; or, if not `in_force`, this workspace cannot set an expiry.
    ExpirySettled {
        at: Timestamp,
        in_force: bool,
    },
    /// The old key has leaked: from here on the rotation is an emergency.
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
    /// An effect failed and will be retried.
    #[serde(alias = "hindered")]
    EffectFailed {
        effect: EffectName,
        failure: Failure,
    },
    Parked {
        reason: ParkReason,
        detail: String,
    },
    /// An operator resumes a parked rotation. `overwrite`: preflight and rollback may replace foreign values. `restore`: the
    /// destinations that serve the new key again at the end of a rollback, and are given the old one once more.
    Retried {
        overwrite: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        restore: Vec<usize>,
    },
    /// An operator has these destinations, which serve neither key, overwritten with the new key.
    #[serde(alias = "reclaimed")]
    OverwriteRequested {
        destinations: Vec<(usize, Served)>,
    },
    #[serde(alias = "abort_asked")]
    AbortRequested {
        by: String,
    },
    /// An operator says that every consumer uses the new key.
    Confirmed {
        by: String,
    },
    TermsRevised {
        terms: RevocationPolicy,
    },
}

/// The names of events: one row for each, which gives [`EventName`], its label and [`Event::kind`].
macro_rules! event_names {
    ($($name:ident = $label:literal $(formerly $former:literal)?,)*) => {
        /// An event without its data.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum EventName { $($name,)* }

        impl EventName {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// As journals, logs, metrics and reports name it.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// What journals called it before: entries are never rewritten.
            fn former(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($former)?],)* }
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

impl Event {
    /// Whether it says nothing but that time has passed: while the clock is being set, it is not to be believed.
    #[must_use]
    pub fn concludes_from_the_time(&self) -> bool {
        matches!(
            self,
            Self::ClockAgreed | Self::Released { .. } | Self::QuarantinePassed | Self::ReturnPassed
        )
    }
}

event_names! {
    Begun = "begun",
    MintIntended = "mint_intended",
    Minted = "minted",
    MintRefused = "mint_refused",
    MintOutcomeUnknown = "mint_outcome_unknown" formerly "mint_doubted",
    LostKeySettled = "lost_key_settled",
    Staged = "staged",
    ValueLost = "value_lost",
    Verified = "verified",
    VerificationFailed = "verification_failed" formerly "refuted",
    Promoted = "promoted",
    DestinationChanged = "destination_changed" formerly "contested",
    Released = "released",
    ReleaseWithdrawn = "release_withdrawn" formerly "withheld",
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
    EffectFailed = "effect_failed" formerly "hindered",
    Parked = "parked",
    Retried = "retried",
    OverwriteRequested = "overwrite_requested" formerly "reclaimed",
    AbortRequested = "abort_requested" formerly "abort_asked",
    Confirmed = "confirmed",
    TermsRevised = "terms_revised",
}

impl EventName {
    /// Whether a journal's entry of this name is such an event.
    #[must_use]
    pub fn is_written_as(self, name: &str) -> bool {
        self.label() == name || self.former().contains(&name)
    }

    /// The name in an event's text: records are compared with what was written.
    #[must_use]
    pub fn as_in(self, written: &str) -> &'static str {
        #[derive(Deserialize)]
        struct Tag<'a> {
            event: &'a str,
        }
        let tag = if self.former().is_empty() { None } else { serde_json::from_str::<Tag<'_>>(written).ok() };
        let former =
            self.former().iter().find(|former| tag.as_ref().is_some_and(|tag| tag.event == **former));
        former.copied().unwrap_or_else(|| self.label())
    }

    /// `labels`, and the names that journals had for the same events before.
    #[must_use]
    pub fn as_written(labels: &[&'static str]) -> Vec<&'static str> {
        let named = Self::ALL.iter().filter(|name| labels.contains(&name.label()));
        named.flat_map(|name| std::iter::once(name.label()).chain(name.former().iter().copied())).collect()
    }
}

impl Event {
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().label()
    }
}
