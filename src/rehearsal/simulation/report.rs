//! The result of a simulation: each rotation, the calls that were made, and every promise of the policy that was broken.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::domain::ids::{CredentialName, RotationId};
use crate::domain::phase::PhaseName;
use crate::domain::plan::Reason;

#[derive(Debug, Clone, Default, Serialize)]
pub struct SimulationReport {
    /// In the order in which they began.
    pub rotations: Vec<SimulatedRotation>,
    /// What the policy promises and could not be kept; the first thousand.
    pub violations: Vec<Violation>,
    /// If there are more rotations than are played: until when they were.
    pub complete_until: Option<Timestamp>,
    /// Calls, by whom they were made to.
    pub calls: BTreeMap<String, u64>,
    /// How often the process died.
    pub crashes: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct SimulatedRotation {
    pub rotation: RotationId,
    pub credential: CredentialName,
    pub reason: Reason,
    /// When the calendar wanted it, as far as keys that are in service say.
    pub due: Timestamp,
    /// What it waited for between `due` and `begun_at`, or then for its key; the last, if several.
    pub held_by: Option<String>,
    pub begun_at: Timestamp,
    /// `null` while it is under way.
    pub ended_at: Option<Timestamp>,
    pub phase: PhaseName,
    /// How old the key that it replaces was when it began.
    #[serde(skip)]
    pub age: SignedDuration,
    pub timeline: Vec<TimelineEvent>,
}

#[derive(Debug, Clone, Serialize)]
pub struct TimelineEvent {
    pub at: Timestamp,
    pub event: &'static str,
}

/// A promise of the policy that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub credential: CredentialName,
    pub at: Timestamp,
    /// What happens then, and what to change.
    pub why: String,
}

impl SimulatedRotation {
    /// When this event was journalled first.
    #[must_use]
    pub fn at(&self, event: &str) -> Option<Timestamp> {
        self.timeline.iter().find(|it| it.event == event).map(|it| it.at)
    }
}
