//! The health of a credential.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The health of a credential, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialHealth {
    /// No rotation is in progress, and nothing is wrong.
    Fine,
    /// A rotation is in progress.
    Rotating,
    /// A rotation waits for time, for consumers, for a rotation slot or for the end of a hold.
    Waiting,
    /// The last step failed and is retried.
    Retrying,
    /// No rotation is in progress, and the workspace, a destination or a consumer is not as expected.
    OutOfSync,
    /// A rotation needs an operator.
    Parked,
    /// No rotation can start.
    Blocked,
    /// Its journal rows are damaged; the daemon leaves it alone.
    Damaged,
    /// A consumer reports that a key of the credential does not work for it.
    Failing,
}

impl CredentialHealth {
    pub const ALL: [Self; 9] = [
        Self::Fine,
        Self::Rotating,
        Self::Waiting,
        Self::Retrying,
        Self::OutOfSync,
        Self::Parked,
        Self::Blocked,
        Self::Damaged,
        Self::Failing,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Rotating => "rotating",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::OutOfSync => "out_of_sync",
            Self::Parked => "parked",
            Self::Blocked => "blocked",
            Self::Damaged => "damaged",
            Self::Failing => "failing",
        }
    }
}
