//! What blocks a rotation, and the quality of the evidence for its gates, as labels and numbers for metrics.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::finding::FindingKind;
use crate::domain::gate::Evidence;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::schedule::StartDecision;
use crate::domain::usage::Source;

/// What blocks a rotation that is due or in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blocked {
    /// No rotation can start; the obstacle's kind says why.
    Obstacle,
    /// An operator's pause.
    Operator,
    Breaker,
    Freeze,
    Window,
    /// Credentials named in `after` are not done.
    Wave,
    /// The workspace has no free rotation slot (`overlaps_at_once`).
    RotationSlot,
    /// Other first rotations of the workspace are in progress (`first_rotations_at_once`).
    FirstRotations,
    /// The last rotations were aborted.
    Backoff,
    /// Too many emergencies are in progress (`emergencies_at_once`).
    EmergencyCap,
    /// The workspace's mint budget is used up (`mints_per_hour`).
    MintBudget,
    /// The provider asked for no calls.
    Silence,
}

impl Blocked {
    pub const ALL: [Self; 12] = [
        Self::Obstacle,
        Self::Operator,
        Self::Breaker,
        Self::Freeze,
        Self::Window,
        Self::Wave,
        Self::RotationSlot,
        Self::FirstRotations,
        Self::Backoff,
        Self::EmergencyCap,
        Self::MintBudget,
        Self::Silence,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Obstacle => "obstacle",
            Self::Operator => "operator",
            Self::Breaker => "breaker",
            Self::Freeze => "freeze",
            Self::Window => "window",
            Self::Wave => "wave",
            Self::RotationSlot => "rotation_slot",
            Self::FirstRotations => "first_rotations",
            Self::Backoff => "backoff",
            Self::EmergencyCap => "emergency_cap",
            Self::MintBudget => "mint_budget",
            Self::Silence => "silence",
        }
    }
}

/// A blocker that lies in the credential or its schedule.
pub(super) fn by_itself(
    record: &Record,
    is_under_way: bool,
    policy: Option<&Credential>,
    now: Timestamp,
) -> Option<Blocked> {
    if is_under_way {
        return None;
    }
    if record.obstacle.is_some() {
        return Some(Blocked::Obstacle);
    }
    if record.findings.iter().any(|finding| finding.kind == FindingKind::EmergencyHeld) {
        return Some(Blocked::EmergencyCap);
    }
    let expiry = policy.and_then(|policy| record.expiry_deadline(policy));
    let due = record.due.as_ref().map(|due| due.at);
    let is_due = record.asked || [due, expiry].into_iter().flatten().any(|at| at <= now);
    if !is_due {
        return None;
    }
    if now < record.not_before() {
        return Some(Blocked::Backoff);
    }
    // A requested rotation waits for a freeze only, an expiring key for neither.
    let reason = record.why_now(policy?, now)?;
    let schedule = &policy?.schedule;
    if schedule.freeze(now).is_some() {
        return Some(Blocked::Freeze);
    }
    let is_outside = reason.keeps_to_the_window() && schedule.admits(now) != StartDecision::Open;
    is_outside.then_some(Blocked::Window)
}

/// One source of evidence during an overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceDelay {
    pub source: Source,
    /// The longest measured delay until use was shown.
    pub late_by: SignedDuration,
    /// The last query failed.
    pub blind: bool,
    /// Since when there is no answer, if the last query failed.
    pub blind_since: Option<Timestamp>,
}

pub(super) fn delays(evidence: &Evidence) -> Vec<SourceDelay> {
    let seen = evidence.observed.usage.iter();
    seen.map(|seen| {
        let blind = seen.blind.is_some();
        let blind_since = seen.answered_at.or(seen.asked_from).filter(|_| blind);
        SourceDelay { source: seen.source, late_by: seen.delay, blind, blind_since }
    })
    .collect()
}
