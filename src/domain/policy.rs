//! The policy as meant: what config has checked and the engine obeys.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::domain::ids::{CredentialName, KeyId, WorkspaceName};
use crate::domain::key::Grants;
use crate::domain::plan::{Destination, Terms};
use crate::domain::schedule::Schedule;

/// Every credential that rekeyd keeps fresh, and what each workspace allows.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub workspaces: BTreeMap<WorkspaceName, WorkspaceLimits>,
    pub credentials: BTreeMap<CredentialName, Credential>,
}

/// Limits that hold for a workspace as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkspaceLimits {
    /// Rotations that may be worked on at the same moment (those that merely wait do not count).
    pub rotations_at_once: usize,
    /// The mint budget: creations of keys per hour, failed ones included (I5).
    pub mints_per_hour: u32,
}

/// One credential of the policy.
#[derive(Debug, Clone)]
pub struct Credential {
    pub name: CredentialName,
    pub workspace: WorkspaceName,
    /// Exact name or user id of the service account.
    pub service_account: String,
    /// The key to begin with, where the service account has several.
    pub adopt: Option<KeyId>,
    /// What a first key may do, where the service account has none.
    pub first: Option<Grants>,
    pub allow_unrestricted: bool,
    pub key_lifetime: Option<SignedDuration>,
    pub destinations: Vec<Destination>,
    pub schedule: Schedule,
    pub terms: Terms,
}
