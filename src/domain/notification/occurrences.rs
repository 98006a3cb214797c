//! What is told once, to those who ask for it: how rotations ended, and that a leak was answered.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::ids::RotationId;
use crate::domain::notification::incidents::{Change, Interests};
use crate::domain::notification::{Alert, News, Notification, Severity, Subject};
use crate::domain::phase::PhaseName;
use crate::domain::report::{CredentialReport, StatusReport};

/// What is older is no news any more: a channel that is added later is not told the past.
const NEWS_FOR: SignedDuration = SignedDuration::from_hours(24);

/// In the outbox once the first look has been taken.
const BASELINE: &str = "baseline";

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occurrence {
    Rotated,
    RolledBack,
    Aborted,
    LeakAnswered,
}

impl Occurrence {
    pub const ALL: [Self; 4] = [Self::Rotated, Self::RolledBack, Self::Aborted, Self::LeakAnswered];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::RolledBack => "rolled_back",
            Self::Aborted => "aborted",
            Self::LeakAnswered => "leak_answered",
        }
    }
}

/// What was told of already, by its key: the rotation of which it was.
pub type Occurrences = BTreeMap<String, String>;

/// Adds to `change` what happened since the last look. The first look of all tells nothing.
pub fn add(
    change: &mut Change,
    tales: &mut Occurrences,
    report: &StatusReport,
    interests: &Interests,
    now: Timestamp,
) {
    let is_first = !tales.contains_key(BASELINE);
    if is_first {
        tales.insert(BASELINE.to_owned(), String::new());
        change.tales.insert(BASELINE.to_owned(), String::new());
    }
    for (tale, rotation, told) in report.credentials.iter().flat_map(happened) {
        let mark = rotation.to_string();
        if tales.get(&told.key) == Some(&mark) {
            continue;
        }
        tales.insert(told.key.clone(), mark.clone());
        change.tales.insert(told.key.clone(), mark);
        if is_first || now.duration_since(told.since) > NEWS_FOR {
            continue;
        }
        let asked = interests.iter().filter(|(_, it)| it.on.contains(&tale) && it.covers(&told.subject));
        change
            .letters
            .extend(asked.map(|(channel, _)| Notification::new(channel, News::Happened, &told, now)));
    }
}

fn happened(report: &CredentialReport) -> Vec<(Occurrence, RotationId, Alert)> {
    let mut happened = Vec::new();
    if let Some(last) = &report.last {
        let tale = match last.outcome {
            PhaseName::Done => Some((Occurrence::Rotated, "has a new key, and the old one is gone")),
            PhaseName::RolledBack => Some((Occurrence::RolledBack, "is back on its old key")),
            PhaseName::Aborted => Some((Occurrence::Aborted, "keeps its key: the rotation came to nothing")),
            // A rotation does not end otherwise.
            PhaseName::Due
            | PhaseName::Minting
            | PhaseName::Staging
            | PhaseName::Verifying
            | PhaseName::Promoting
            | PhaseName::Overlap
            | PhaseName::Disabling
            | PhaseName::Quarantine
            | PhaseName::Revoking
            | PhaseName::Reinstating
            | PhaseName::Discarding
            | PhaseName::RollingBack
            | PhaseName::Returning
            | PhaseName::Withdrawing
            | PhaseName::Parked => None,
        };
        if let Some((tale, words)) = tale {
            let why = last.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let summary = format!("{} {words}{why}", report.credential);
            happened.push((tale, last.rotation, told(report, "ended", tale, summary, last.at)));
        }
    }
    if let Some(answered) = &report.last_emergency {
        let took = answered.at.duration_since(answered.since).as_secs();
        let summary =
            format!("{}: the leaked key was replaced and is dead, after {took} s", report.credential);
        let tale = Occurrence::LeakAnswered;
        happened.push((tale, answered.rotation, told(report, "leak", tale, summary, answered.at)));
    }
    happened
}

fn told(report: &CredentialReport, of: &str, tale: Occurrence, summary: String, at: Timestamp) -> Alert {
    Alert {
        key: format!("{of}/credential/{}", report.credential),
        severity: Severity::Info,
        what: tale.label().to_owned(),
        subject: Subject::Credential { name: report.credential.clone(), workspace: report.workspace.clone() },
        summary,
        next: Some(format!("rekeyd history {}", report.credential)),
        anchor: String::new(),
        since: at,
        passes_within: SignedDuration::ZERO,
    }
}
