//! The state of the process beside the engine: what its parts tell each other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::audit::foreign::ForeignChange;
use crate::domain::ids::{ChannelName, WorkspaceName};
use crate::domain::notification::ChannelFailure;
use crate::telemetry::meter::Meter;

/// The credentials with metrics of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    #[default]
    Every,
    /// The most severe credentials.
    MostSevere,
}

impl Detail {
    #[must_use]
    pub fn of(per_credential: bool) -> Self {
        if per_credential { Self::Every } else { Self::MostSevere }
    }
}

/// The state of the process.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The hash of the policy in force.
    pub policy_hash: String,
    /// When the policy in force was loaded.
    pub policy_loaded: Option<Timestamp>,
    /// The error of the newest policy, if it was rejected; the previous one is in force.
    pub reload_refused: Option<String>,
    /// The error of the newest certificate, if it was rejected; the previous one is in force.
    pub certificate_refused: Option<String>,
    /// The validity of the listener's certificate in force, with TLS.
    pub certificate_validity: Option<(Timestamp, Timestamp)>,
    /// The daemon is stopping.
    pub draining: bool,
    /// The counts of each notification channel.
    pub channels: BTreeMap<ChannelName, ChannelCounts>,
    pub started: Option<Timestamp>,
    pub detail: Detail,
    /// The journal's file, if it is one.
    pub journal: Option<PathBuf>,
    /// The counters since the start.
    pub meter: Arc<Meter>,
    /// The last comparison with each workspace's own audit log.
    pub comparisons: BTreeMap<WorkspaceName, LogComparison>,
}

/// What comparing the audit log with a workspace's own has brought.
#[derive(Debug, Clone, Default)]
pub struct LogComparison {
    pub compared_at: Option<Timestamp>,
    /// Changes that others made, as recorded.
    pub foreign: Vec<ForeignChange>,
    /// Why it cannot be compared, if it cannot.
    pub unavailable: Option<String>,
}

impl LogComparison {
    pub fn reported(&self, now: Timestamp) -> impl Iterator<Item = &ForeignChange> {
        self.foreign.iter().rev().filter(move |change| change.is_reported(now))
    }
}

/// The deliveries to a channel since the start.
#[derive(Debug, Clone, Default)]
pub struct ChannelCounts {
    pub delivered: u64,
    /// Failed attempts that are retried.
    pub failed: u64,
    /// Dropped notifications.
    pub dropped: u64,
    pub waiting: u64,
    pub failing: Option<ChannelFailure>,
}
