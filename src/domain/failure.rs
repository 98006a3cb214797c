//! A failed call to another system: whether it may have had an effect, and which kind of failure it was.

use std::fmt;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the call may have had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// It certainly did not happen.
    Rejected,
    /// It may have happened: read back before anything else.
    Unknown,
}

/// The kind of failure: decides the next step, and is a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Rate limited.
    Throttled,
    /// No connection, or it broke.
    Unreachable,
    /// No answer within the call's time.
    TimedOut,
    /// The other side reported an error of its own.
    ServerError,
    /// The response cannot be understood.
    Garbled,
    /// The credential that authenticates this call is not valid: the admin key, or the AWS identity.
    Unauthenticated,
    /// Authenticated, but not permitted.
    Forbidden,
    /// The thing acted on does not exist.
    NotFound,
    /// The request is refused as it stands; repeating it cannot help.
    Invalid,
    /// A limit on how many there may be.
    LimitReached,
    /// It was changed by others in between.
    Conflict,
    /// A new key that the provider does not accept yet.
    NotActiveYet,
    /// The local disk is full, read-only or broken.
    LocalDisk,
    /// The clock cannot be trusted: it disagrees with the provider's.
    ClockSkew,
}

impl Kind {
    pub const ALL: [Self; 14] = [
        Self::Throttled,
        Self::Unreachable,
        Self::TimedOut,
        Self::ServerError,
        Self::Garbled,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Invalid,
        Self::LimitReached,
        Self::Conflict,
        Self::NotActiveYet,
        Self::LocalDisk,
        Self::ClockSkew,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::ServerError => "server_error",
            Self::Garbled => "garbled",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::LimitReached => "limit_reached",
            Self::Conflict => "conflict",
            Self::NotActiveYet => "not_active_yet",
            Self::LocalDisk => "local_disk",
            Self::ClockSkew => "clock_skew",
        }
    }

    /// Whether it may pass without a fix.
    #[must_use]
    pub fn is_passing(self) -> bool {
        match self {
            Self::Throttled
            | Self::Unreachable
            | Self::TimedOut
            | Self::ServerError
            | Self::Garbled
            | Self::Unauthenticated
            | Self::LocalDisk
            | Self::NotActiveYet
            | Self::ClockSkew => true,
            Self::Forbidden | Self::NotFound | Self::Invalid | Self::LimitReached | Self::Conflict => false,
        }
    }
}

/// A failed call, fit to be journalled and shown: it never holds a value, a body or a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Failure {
    pub certainty: Certainty,
    pub kind: Kind,
    /// What was attempted, on what, and why it failed; lower case, no full stop.
    pub message: String,
    /// How long the other side wants us to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<SignedDuration>,
    /// The provider's own id of the request, for its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Failure {
    #[must_use]
    pub fn rejected(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            certainty: Certainty::Rejected,
            kind,
            message: message.into(),
            retry_after: None,
            request_id: None,
        }
    }

    #[must_use]
    pub fn unknown(kind: Kind, message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Unknown, ..Self::rejected(kind, message) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}
