//! What keeps a rotation from beginning or going on, and how good the evidence for its gates is: as labels and numbers.

use jiff::{SignedDuration, Timestamp};

use crate::domain::finding::FindingKind;
use crate::domain::gate::Evidence;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::schedule::StartDecision;
use crate::domain::usage::Source;

/// What keeps a rotation that is wanted from beginning, or from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocked {
    /// No rotation can begin: the obstacle's kind says why.
    Obstacle,
    /// An operator's pause.
    Operator,
    Breaker,
    Freeze,
    Window,
    /// Credentials that come first.
    Wave,
    /// Too many rotations of its workspace are under way.
    Turn,
    /// The last rotations came to nothing.
    Backoff,
    /// Too many emergencies are under way.
    EmergencyCap,
}

impl Blocked {
    pub const ALL: [Self; 9] = [
        Self::Obstacle,
        Self::Operator,
        Self::Breaker,
        Self::Freeze,
        Self::Window,
        Self::Wave,
        Self::Turn,
        Self::Backoff,
        Self::EmergencyCap,
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
            Self::Turn => "turn",
            Self::Backoff => "backoff",
            Self::EmergencyCap => "emergency_cap",
        }
    }
}

/// What keeps a credential back that is its own, or its schedule's, doing.
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
    let is_due = record.asked || record.due.as_ref().is_some_and(|due| due.at <= now);
    if !is_due {
        return None;
    }
    if now < record.not_before() {
        return Some(Blocked::Backoff);
    }
    // An operator's wish waits for a freeze, an expiring key for neither.
    let reason = record.why_now(policy?, now)?;
    let schedule = &policy?.schedule;
    if schedule.freeze(now).is_some() {
        return Some(Blocked::Freeze);
    }
    let shut = reason.keeps_to_the_window() && schedule.admits(now) != StartDecision::Open;
    shut.then_some(Blocked::Window)
}

/// One source of evidence during an overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceDelay {
    pub source: Source,
    /// The longest that it took to show use, as far as that was measured.
    pub late_by: SignedDuration,
    /// It gave no answer when it was last asked.
    pub blind: bool,
}

pub(super) fn delays(evidence: &Evidence) -> Vec<SourceDelay> {
    let seen = evidence.observed.usage.iter();
    seen.map(|seen| SourceDelay { source: seen.source, late_by: seen.delay, blind: seen.blind.is_some() })
        .collect()
}
