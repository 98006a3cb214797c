//! Why no rotation of a credential can begin.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why no rotation of a credential can begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Obstacle {
    pub kind: ObstacleKind,
    /// What is wrong, and the fix.
    pub detail: String,
    pub since: Timestamp,
}

/// Each has an entry in the runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObstacleKind {
    /// The workspace is unreachable, or refuses the admin key.
    WorkspaceUnusable,
    /// No service account of the workspace has the name or id that the policy says, or several have.
    NoSuchAccount,
    /// The service account that the policy has created could not be created.
    AccountNotCreated,
    /// The service account has several keys, or the one to adopt is not there: the policy has to say which.
    AdoptionUnclear,
    /// The service account has no key and the policy does not say what a first one may do.
    NoPermissions,
    /// A destination is, or may be, the same secret as another one of the policy.
    SharedDestination,
}

impl ObstacleKind {
    pub const ALL: [Self; 6] = [
        Self::WorkspaceUnusable,
        Self::NoSuchAccount,
        Self::AccountNotCreated,
        Self::AdoptionUnclear,
        Self::NoPermissions,
        Self::SharedDestination,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::WorkspaceUnusable => "workspace_unusable",
            Self::NoSuchAccount => "no_such_account",
            Self::AccountNotCreated => "account_not_created",
            Self::AdoptionUnclear => "adoption_unclear",
            Self::NoPermissions => "no_permissions",
            Self::SharedDestination => "shared_destination",
        }
    }
}
