//! Findings: leaks, and out-of-band changes of keys and destinations.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::KeyId;

/// One finding. It stays in the credential's record until it is resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub kind: FindingKind,
    /// The key that it is about, if it is about one.
    #[serde(default)]
    pub key: Option<KeyId>,
    /// What is wrong, and the fix.
    pub detail: String,
    /// When it was first seen.
    pub since: Timestamp,
}

impl Finding {
    /// Whether both are about the same thing; their texts may differ.
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
    /// The key was disabled by a call that it authenticated itself.
    SelfDisabled,
    /// A leak of the key was reported.
    ReportedLeaked,
    /// An emergency rotation waits: the limit of concurrent ones is reached.
    EmergencyHeld,
    /// The key was deleted outside rekeyd.
    KeyVanished,
    /// The key is disabled because a trial ended.
    TrialEnded,
    /// The key is disabled because the subscription was downgraded.
    SubscriptionDowngrade,
    /// The key was disabled outside rekeyd.
    DisabledByHand,
    /// A destination serves a value that rekeyd did not put there.
    DestinationChanged,
    /// The key may do more than the policy's `permissions`.
    PermissionsWidened,
    /// The permissions or limits of the key were changed out of band.
    #[serde(alias = "grants_changed")]
    PermissionsChanged,
    /// The sharing groups of the service account were changed out of band: its keys reach other resources.
    SharingGroupsChanged,
    /// The service account has keys that neither rekeyd created nor an operator accepted.
    ForeignKeys,
}

impl FindingKind {
    pub const ALL: [Self; 13] = [
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
        Self::SharingGroupsChanged,
        Self::ForeignKeys,
    ];

    /// What an incident of it is known by. A finding that is renamed keeps it, because receivers close an open incident by it.
    #[must_use]
    pub fn incident_key(self) -> &'static str {
        if self == Self::PermissionsChanged { "grants_changed" } else { self.label() }
    }

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
            Self::SharingGroupsChanged => "sharing_groups_changed",
            Self::ForeignKeys => "foreign_keys",
        }
    }

    /// Whether the key has, or may have, leaked. A later listing does not clear it.
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
            | Self::SharingGroupsChanged
            | Self::ForeignKeys => false,
        }
    }

    /// Whether the provider refuses the key, as far as a listing shows.
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
            | Self::SharingGroupsChanged
            | Self::ForeignKeys => false,
        }
    }
}
