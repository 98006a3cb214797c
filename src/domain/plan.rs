//! What a rotation set out to do, frozen at its beginning: a policy reload cannot make it forget anything (I7).

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::gate::Gate;
use crate::domain::gate::confirm::ConfirmWhen;
use crate::domain::ids::{
    ConsumerName, CredentialName, KeyId, RotationId, ServiceAccountId, StoreName, WorkspaceName,
};
use crate::domain::key::KeyAttributes;

/// The first entry of every rotation's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub rotation: RotationId,
    pub credential: CredentialName,
    pub workspace: WorkspaceName,
    pub account: ServiceAccountId,
    pub reason: Reason,
    pub begun_at: Timestamp,
    /// The key to be replaced; `None` when the credential gets its first key.
    pub old: Option<KeyId>,
    /// Whether rekeyd did not create that key, so that it does not know where it is used.
    #[serde(default)]
    pub adopted: bool,
    /// What a first key may do; without meaning when there is an old key to clone.
    #[serde(default)]
    pub first: Option<KeyAttributes>,
    /// How long the new key lives, if the policy says so.
    #[serde(default)]
    pub key_lifetime: Option<SignedDuration>,
    /// Whether a key without restrictions may be cloned.
    pub allow_unrestricted: bool,
    pub destinations: Vec<Destination>,
    pub terms: RevocationPolicy,
    /// How long beyond the end of the overlap the provider keeps the old key alive if nobody comes to revoke it; `None`
    /// leaves its expiry alone.
    #[serde(default)]
    pub expire_old_key: Option<SignedDuration>,
    /// The old key must not work any longer: no overlap, no window, no freeze, no gates; the read-back all the same.
    #[serde(default)]
    pub emergency: bool,
    /// Why it is one, and since when that is known.
    #[serde(default)]
    pub urgency: Option<Urgency>,
}

/// Why nothing is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Urgency {
    pub why: String,
    /// When it was first seen, or said: what the answer is measured from.
    pub since: Timestamp,
}

/// One secret in one store that a credential is published to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Destination {
    pub store: StoreName,
    pub secret: String,
    /// One field of a JSON secret, the others being preserved; `None` is the whole secret.
    #[serde(default)]
    pub json_field: Option<String>,
    /// Whether the secret may be created where it does not exist.
    #[serde(default)]
    pub create: bool,
    /// Whether `json_field` may be added to an object that has other fields.
    #[serde(default)]
    pub create_field: bool,
}

impl Destination {
    /// Whether it is the same place, whatever may be done there.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.store == other.store && self.secret == other.secret && self.json_field == other.json_field
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.store, self.secret)?;
        match &self.json_field {
            Some(field) => write!(f, "#{field}"),
            None => Ok(()),
        }
    }
}

/// When the old key may be revoked. Revised while a rotation runs if the policy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationPolicy {
    pub at_least: SignedDuration,
    pub at_most: SignedDuration,
    pub then: AfterDeadline,
    pub gates: Vec<Gate>,
    /// When an operator has to confirm that consumers have switched.
    #[serde(default)]
    pub confirm: ConfirmWhen,
    /// How long an acknowledgement counts; `None` is for ever.
    #[serde(default)]
    pub acks_valid_for: Option<SignedDuration>,
    /// The voice in which the new key may be used once, for evidence; `None` forbids it.
    #[serde(default)]
    pub canary: Option<String>,
    pub quarantine: SignedDuration,
}

impl RevocationPolicy {
    /// The consumers whose acknowledgements its gates ask for.
    pub fn consumers(&self) -> impl Iterator<Item = &ConsumerName> {
        self.gates.iter().filter_map(Gate::consumers).flatten()
    }

    /// The terms of an emergency: nothing is waited for.
    #[must_use]
    pub fn of_an_emergency() -> Self {
        let zero = SignedDuration::ZERO;
        Self {
            at_least: zero,
            at_most: zero,
            then: AfterDeadline::Revoke,
            gates: Vec::new(),
            confirm: ConfirmWhen::Never,
            acks_valid_for: None,
            canary: None,
            quarantine: zero,
        }
    }
}

/// What happens when the overlap has lasted `at_most` and a gate still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterDeadline {
    Hold,
    Revoke,
    RollBack,
}

/// Why a rotation began: for the journal, the log, a metric label and the runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The credential has no key yet.
    FirstKey,
    /// Its key was made by somebody else and has never been published by us.
    Adoption,
    /// A destination of the policy has never been published to.
    NewDestination,
    /// The interval or the calendar says so.
    Schedule,
    /// The key's expiry comes before the schedule.
    Expiry,
    /// An operator asked.
    Manual,
    /// Somebody else has the key, or may have it.
    Leak,
    /// The key was deleted behind our back.
    Vanished,
}

impl Reason {
    pub const ALL: [Self; 8] = [
        Self::FirstKey,
        Self::Adoption,
        Self::NewDestination,
        Self::Schedule,
        Self::Expiry,
        Self::Manual,
        Self::Leak,
        Self::Vanished,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::FirstKey => "first_key",
            Self::Adoption => "adoption",
            Self::NewDestination => "new_destination",
            Self::Schedule => "schedule",
            Self::Expiry => "expiry",
            Self::Manual => "manual",
            Self::Leak => "leak",
            Self::Vanished => "vanished",
        }
    }

    /// Whether no key of the credential was ever published by rekeyd.
    #[must_use]
    pub fn is_first(self) -> bool {
        matches!(self, Self::FirstKey | Self::Adoption)
    }

    /// Whether it neither waits for its turn among others nor for a breaker: consumers have, or are about to have, a key
    /// that is of no use, or that others have.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        match self {
            Self::Expiry | Self::Leak | Self::Vanished => true,
            Self::FirstKey | Self::Adoption | Self::NewDestination | Self::Schedule | Self::Manual => false,
        }
    }

    /// Whether nothing but the time says that it is to begin: then a wrong clock could.
    #[must_use]
    pub fn is_due_by_time(self) -> bool {
        match self {
            Self::Schedule | Self::Expiry => true,
            Self::FirstKey
            | Self::Adoption
            | Self::NewDestination
            | Self::Manual
            | Self::Leak
            | Self::Vanished => false,
        }
    }

    /// Whether it waits for the credential's window. An operator and an expiring key do not.
    #[must_use]
    pub fn keeps_to_the_window(self) -> bool {
        match self {
            Self::FirstKey | Self::Adoption | Self::NewDestination | Self::Schedule => true,
            Self::Expiry | Self::Manual | Self::Leak | Self::Vanished => false,
        }
    }
}
