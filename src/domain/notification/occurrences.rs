//! Occurrences that are reported once to subscribed channels: the end of a rotation, and a completed emergency.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::ids::RotationId;
use crate::domain::notification::incidents::{Change, Subscriptions};
use crate::domain::notification::{Alert, Notification, NotificationEvent, Severity, Subject};
use crate::domain::report::{CredentialReport, StatusReport};

/// Older occurrences are not reported, so that a new channel does not receive the past.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Marks in the outbox that the initial state was recorded.
const BASELINE: &str = "baseline";

/// An occurrence that a channel can subscribe to.
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

/// The rotation of each reported occurrence, by key.
pub type Occurrences = BTreeMap<String, String>;

/// Adds new occurrences to `change`. The first call records the initial state and reports nothing.
pub fn add(
    change: &mut Change,
    occurrences: &mut Occurrences,
    report: &StatusReport,
    subscriptions: &Subscriptions,
    now: Timestamp,
) {
    let is_first = !occurrences.contains_key(BASELINE);
    if is_first {
        occurrences.insert(BASELINE.to_owned(), String::new());
        change.occurrences.insert(BASELINE.to_owned(), String::new());
    }
    for (occurrence, rotation, alert) in report.credentials.iter().flat_map(happened) {
        let mark = rotation.to_string();
        if occurrences.get(&alert.key) == Some(&mark) {
            continue;
        }
        occurrences.insert(alert.key.clone(), mark.clone());
        change.occurrences.insert(alert.key.clone(), mark);
        if is_first || now.duration_since(alert.since) > AGE_MAX {
            continue;
        }
        let subscribed =
            subscriptions.iter().filter(|(_, it)| it.on.contains(&occurrence) && it.covers(&alert.subject));
        change.notifications.extend(
            subscribed
                .map(|(channel, _)| Notification::new(channel, NotificationEvent::Happened, &alert, now)),
        );
    }
}

fn happened(report: &CredentialReport) -> Vec<(Occurrence, RotationId, Alert)> {
    let mut happened = Vec::new();
    if let Some(last) = &report.last
        && let Some((occurrence, words)) = last.outcome.row().ended
    {
        let why = last.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let summary = format!("{} {words}{why}", report.credential);
        happened.push((occurrence, last.rotation, alert(report, "ended", occurrence, summary, last.at)));
    }
    if let Some(answered) = &report.last_emergency {
        let took = answered.at.duration_since(answered.since).as_secs();
        let summary =
            format!("{}: the leaked key was replaced and disabled within {took} s", report.credential);
        let occurrence = Occurrence::LeakAnswered;
        happened.push((
            occurrence,
            answered.rotation,
            alert(report, "leak", occurrence, summary, answered.at),
        ));
    }
    happened
}

fn alert(
    report: &CredentialReport,
    kind: &str,
    occurrence: Occurrence,
    summary: String,
    at: Timestamp,
) -> Alert {
    Alert {
        key: format!("{kind}/credential/{}", report.credential),
        severity: Severity::Info,
        reason: occurrence.label().to_owned(),
        subject: Subject::Credential { name: report.credential.clone(), workspace: report.workspace.clone() },
        summary,
        next: Some(format!("rekeyd history {}", report.credential)),
        anchor: String::new(),
        since: at,
        grace: SignedDuration::ZERO,
    }
}
