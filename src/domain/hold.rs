//! Holds: what must not be done until somebody says so. A pause by an operator and a breaker that tripped are the same
//! thing, said by different people; both are durable, and lifted by `resume`.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{CredentialName, WorkspaceName};

/// One hold. There is at most one for a scope and a thing held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub scope: Scope,
    pub what: Held,
    /// Who: an operator, or `breaker`.
    pub by: String,
    /// Why, for a person.
    pub why: String,
    pub since: Timestamp,
}

/// What a hold is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Fleet,
    Workspace(WorkspaceName),
    Credential(CredentialName),
}

/// What is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Nothing starts, and nothing is taken out of service.
    Everything,
    /// No new key is created.
    Minting,
    /// No key is disabled or deleted.
    Revoking,
}

impl Held {
    pub const ALL: [Self; 3] = [Self::Everything, Self::Minting, Self::Revoking];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Minting => "minting",
            Self::Revoking => "revoking",
        }
    }

    /// Whether holding this back holds `other` back.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == Self::Everything || self == other
    }
}

impl Scope {
    #[must_use]
    pub fn covers(&self, workspace: &WorkspaceName, credential: &CredentialName) -> bool {
        match self {
            Self::Fleet => true,
            Self::Workspace(name) => name == workspace,
            Self::Credential(name) => name == credential,
        }
    }
}

/// As the journal's key has it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("fleet"),
            Self::Workspace(name) => write!(f, "workspace {name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}
