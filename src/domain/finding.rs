//! What is wrong with a credential outside of any rotation: leaks, and what people changed behind our back.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::KeyId;

/// One thing that somebody should know. Kept in the credential's record for as long as it is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub kind: FindingKind,
    /// The key that it is about, if it is about one.
    #[serde(default)]
    pub key: Option<KeyId>,
    /// What is wrong and what to do about it, for a person.
    pub detail: String,
    /// When it was first seen.
    pub since: Timestamp,
}

impl Finding {
    /// Whether it tells of the same thing, whatever is said of it.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.key == other.key
    }
}

/// Each has an entry in the runbook. The worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The provider found the key in public.
    ExposedPublicly,
    /// Somebody who holds the key has disabled it with itself.
    SelfDisabled,
    /// Somebody reported to us that the key leaked.
    ReportedLeaked,
    /// An emergency does not begin by itself, because as many as may are under way.
    EmergencyHeld,
    /// The key was deleted, and not by us.
    KeyVanished,
    /// The key is disabled because a trial ended.
    TrialEnded,
    /// The key is disabled because the subscription was downgraded.
    SubscriptionDowngrade,
    /// Somebody disabled the key.
    DisabledByHand,
    /// A destination serves a value that rekeyd did not put there.
    DestinationChanged,
    /// The key may do more than the policy's `permissions`.
    PermissionsWidened,
    /// The permissions or limits of the key were changed out of band.
    #[serde(alias = "grants_changed")]
    PermissionsChanged,
    /// The service account has keys that nobody declared.
    ForeignKeys,
}

impl FindingKind {
    pub const ALL: [Self; 12] = [
        Self::ExposedPublicly,
        Self::SelfDisabled,
        Self::ReportedLeaked,
        Self::EmergencyHeld,
        Self::KeyVanished,
        Self::TrialEnded,
        Self::SubscriptionDowngrade,
        Self::DisabledByHand,
        Self::DestinationChanged,
        Self::PermissionsWidened,
        Self::PermissionsChanged,
        Self::ForeignKeys,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ExposedPublicly => "exposed_publicly",
            Self::SelfDisabled => "self_disabled",
            Self::ReportedLeaked => "reported_leaked",
            Self::EmergencyHeld => "emergency_held",
            Self::KeyVanished => "key_vanished",
            Self::TrialEnded => "trial_ended",
            Self::SubscriptionDowngrade => "subscription_downgrade",
            Self::DisabledByHand => "disabled_by_hand",
            Self::DestinationChanged => "destination_changed",
            Self::PermissionsWidened => "permissions_widened",
            Self::PermissionsChanged => "permissions_changed",
            Self::ForeignKeys => "foreign_keys",
        }
    }

    /// Whether the key is, or may be, in wrong hands. That stays true whatever later listings show.
    #[must_use]
    pub fn is_leak(self) -> bool {
        match self {
            Self::ExposedPublicly | Self::SelfDisabled | Self::ReportedLeaked => true,
            Self::EmergencyHeld
            | Self::KeyVanished
            | Self::TrialEnded
            | Self::SubscriptionDowngrade
            | Self::DisabledByHand
            | Self::DestinationChanged
            | Self::PermissionsWidened
            | Self::PermissionsChanged
            | Self::ForeignKeys => false,
        }
    }

    /// Whether consumers cannot work with the key, as far as a listing tells.
    #[must_use]
    pub fn is_out_of_service(self) -> bool {
        match self {
            Self::KeyVanished | Self::TrialEnded | Self::SubscriptionDowngrade | Self::DisabledByHand => true,
            Self::ExposedPublicly
            | Self::SelfDisabled
            | Self::ReportedLeaked
            | Self::EmergencyHeld
            | Self::DestinationChanged
            | Self::PermissionsWidened
            | Self::PermissionsChanged
            | Self::ForeignKeys => false,
        }
    }
}
