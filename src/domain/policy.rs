//! The policy as meant: what config has checked and the engine obeys.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::gate::confirm::ConfirmWhen;
use crate::domain::ids::{ConsumerName, CredentialName, KeyId, WorkspaceName};
use crate::domain::key::KeyAttributes;
use crate::domain::links::Links;
use crate::domain::place::Rival;
use crate::domain::plan::{Destination, RevocationPolicy};
use crate::domain::schedule::Schedule;
use crate::domain::sharing::SharingGroups;

/// Every credential that rekeyd keeps fresh, and what each workspace allows.
#[derive(Debug, Clone)]
pub struct Policy {
    pub workspaces: BTreeMap<WorkspaceName, WorkspaceLimits>,
    pub credentials: BTreeMap<CredentialName, Credential>,
    /// Emergencies that may begin by themselves while others are under way.
    pub emergencies_at_once: usize,
    /// For each credential, destinations that may be one of its own under another name: only the stores know.
    pub rivals: BTreeMap<CredentialName, Vec<Rival>>,
    /// Credentials with the name that each had before.
    pub renames: BTreeMap<CredentialName, CredentialName>,
    /// The consumers that can authenticate, and so acknowledge.
    pub consumers: BTreeSet<ConsumerName>,
    /// Links from the status page.
    pub links: Links,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            workspaces: BTreeMap::new(),
            credentials: BTreeMap::new(),
            emergencies_at_once: usize::MAX,
            rivals: BTreeMap::new(),
            renames: BTreeMap::new(),
            consumers: BTreeSet::new(),
            links: Links::default(),
        }
    }
}

impl Policy {
    /// What a credential of this name is called now, if it was renamed.
    #[must_use]
    pub fn renamed(&self, old: &CredentialName) -> Option<&CredentialName> {
        self.renames.iter().find(|(_, before)| *before == old).map(|(new, _)| new)
    }
}

/// Limits that hold for a workspace as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkspaceLimits {
    /// Rotations that may be worked on at the same moment (those that merely wait do not count).
    pub rotations_at_once: usize,
    /// The mint budget: creations of keys per hour, failed ones included (I5).
    pub mints_per_hour: u32,
    /// Rotations that may be under way at the same moment, waiting ones included.
    pub overlaps_at_once: usize,
    /// First rotations of credentials that may be in progress at the same moment: the rollout of a new policy.
    pub first_rotations_at_once: usize,
    pub breaker: Breaker,
}

/// So many failures within so long, and nothing more is created, or revoked, until an operator says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    pub failures: u32,
    pub within: SignedDuration,
}

impl WorkspaceLimits {
    /// The part of the mint budget that rotations which are no emergencies may use: a quarter of it, at least one key, is
    /// kept for emergencies. A budget of one key has no reserve.
    #[must_use]
    pub fn ordinary_mints_per_hour(&self) -> u32 {
        let reserve = (self.mints_per_hour / 4).max(1);
        self.mints_per_hour.saturating_sub(reserve).max(1)
    }
}

impl Default for WorkspaceLimits {
    fn default() -> Self {
        let breaker = Breaker { failures: u32::MAX, within: SignedDuration::from_hours(1) };
        Self {
            rotations_at_once: 1,
            mints_per_hour: 1,
            overlaps_at_once: usize::MAX,
            first_rotations_at_once: usize::MAX,
            breaker,
        }
    }
}

/// Whether a credential is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Its key is listed and inspected; nothing is created, published or revoked.
    Observe,
    Rotate,
}

/// What happens if somebody deletes a credential's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfVanished {
    /// It is reported; an operator decides.
    Alert,
    /// A new key with the same permissions and limits takes its place at once.
    Replace,
}

/// One credential of the policy.
#[derive(Debug, Clone)]
pub struct Credential {
    pub name: CredentialName,
    pub workspace: WorkspaceName,
    pub mode: Mode,
    /// Exact name or user id of the service account.
    pub service_account: String,
    /// With which sharing groups to create the service account, where it is not there yet.
    pub create_account: Option<SharingGroups>,
    /// The key to begin with, where the service account has several.
    pub adopt: Option<KeyId>,
    /// What a first key may do, where the service account has none; its permissions are the most that a later one may
    /// have.
    pub first: Option<KeyAttributes>,
    pub allow_unrestricted: bool,
    pub key_lifetime: Option<SignedDuration>,
    pub destinations: Vec<Destination>,
    pub schedule: Schedule,
    pub terms: RevocationPolicy,
    /// Credentials whose keys have to be newer than this one's before it is rotated by its schedule.
    pub after: BTreeSet<CredentialName>,
    /// For how long.
    pub bake: SignedDuration,
    pub expire_old_key: Option<SignedDuration>,
    pub if_vanished: IfVanished,
}

impl Credential {
    /// Whether the first rotation of an adopted key waits for an operator's confirmation: nothing else but time is waited for.
    #[must_use]
    pub fn is_confirmed_first(&self) -> bool {
        self.terms.confirm == ConfirmWhen::FirstWithoutGates && self.terms.gates.is_empty()
    }
}
