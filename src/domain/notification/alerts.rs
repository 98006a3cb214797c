//! Which troubles are true, from what is told of every credential and of the daemon.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::failure::{Failure, Kind};
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::hold::BREAKER;
use crate::domain::ids::WorkspaceName;
use crate::domain::notification::{Alert, Severity, Subject};
use crate::domain::phase::PhaseName;
use crate::domain::report::findings::command_for;
use crate::domain::report::holds::HoldReport;
use crate::domain::report::{CredentialReport, RotationReport, StatusReport};
use crate::domain::rotation::ParkReason;

/// A workspace that does not answer, or a step that fails, comes back by itself more often than not.
const PASSES_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// What is known of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// Nobody has asked yet.
    Unasked,
    Well,
    Failing(Failure),
}

/// What troubles are derived from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub report: &'a StatusReport,
    pub workspaces: &'a BTreeMap<WorkspaceName, Answers>,
    /// Why the newest policy is not in force.
    pub reload_refused: Option<&'a str>,
    /// Whether the engine's loop goes round.
    pub is_alive: bool,
    pub now: Timestamp,
}

/// What was seen at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    pub troubles: Vec<Alert>,
    /// Of whom nothing can be said: what was true of them stays so.
    pub unjudged: BTreeSet<Subject>,
}

impl Look {
    #[must_use]
    pub fn is_unjudged(&self, trouble: &Alert) -> bool {
        self.unjudged
            .iter()
            .any(|it| (it.kind(), it.name()) == (trouble.subject.kind(), trouble.subject.name()))
    }

    #[must_use]
    pub fn new(facts: Facts<'_>) -> Self {
        let Facts { report, workspaces, reload_refused, is_alive, now } = facts;
        let mut look = Self::default();
        for credential in &report.credentials {
            if credential.damage.is_some() {
                look.unjudged.insert(subject(credential));
            }
            look.troubles.extend(of_credential(credential, now));
        }
        look.troubles.extend(report.holds.iter().map(held));
        for (name, answers) in workspaces {
            match answers {
                Answers::Unasked => drop(look.unjudged.insert(Subject::Workspace(name.clone()))),
                Answers::Well => {}
                Answers::Failing(failure) => look.troubles.push(unusable(name, failure, now)),
            }
        }
        look.troubles.extend(reload_refused.map(|why| refused(why, now)));
        if !is_alive {
            look.troubles.push(stuck(now));
        }
        look
    }

    /// The journal cannot be used: of everything else nothing is known.
    #[must_use]
    pub fn journal_unusable(why: &str, now: Timestamp) -> Self {
        let trouble = of_rekeyd(
            "journal",
            Severity::Page,
            format!("the journal cannot be used, so that nothing goes on: {why}"),
            "df -h; rekeyd status",
            "the-journal-cannot-be-written",
            now,
        );
        Self { troubles: vec![trouble], unjudged: BTreeSet::new() }
    }
}

fn subject(report: &CredentialReport) -> Subject {
    Subject::Credential { name: report.credential.clone(), workspace: report.workspace.clone() }
}

/// Of one credential; the anchor is the runbook's own word unless it is said otherwise.
fn about(
    report: &CredentialReport,
    of: &str,
    severity: Severity,
    what: &str,
    summary: impl Into<String>,
    since: Timestamp,
) -> Alert {
    Alert {
        key: format!("{of}/credential/{}", report.credential),
        severity,
        what: what.to_owned(),
        subject: subject(report),
        summary: summary.into(),
        next: report.next_command.clone(),
        anchor: what.to_owned(),
        since,
        passes_within: SignedDuration::ZERO,
    }
}

fn of_credential(report: &CredentialReport, now: Timestamp) -> Vec<Alert> {
    if report.damage.is_some() {
        return vec![about(report, "damaged", Severity::Page, "damaged", &report.summary, now)];
    }
    let mut troubles = Vec::new();
    if let Some(expiry) = report.key_expires_at.filter(|expiry| *expiry <= now) {
        let expired = about(report, "expired", Severity::Page, "expired", "its key has expired", expiry);
        troubles.push(Alert { anchor: "its-key-has-expired".to_owned(), ..expired });
    }
    if let Some(rotation) = &report.rotation {
        troubles.extend(of_rotation(report, rotation, now));
    } else if let Some(obstacle) = &report.obstacle {
        let summary = format!("no rotation can begin: {}", obstacle.detail);
        let what = obstacle.kind.label();
        troubles.push(about(report, "obstacle", Severity::Ticket, what, summary, obstacle.since));
    }
    for silent in &report.stale_consumers {
        let of = format!("silent/{}", silent.consumer);
        let summary = silent.summary();
        let quiet = about(report, &of, Severity::Ticket, "silent", summary, silent.overdue_since());
        let anchor = "rekeydconsumersilent".to_owned();
        troubles.push(Alert { next: Some(silent.command()), anchor, ..quiet });
    }
    let look = || Some(format!("rekeyd status {}", report.credential));
    for finding in &report.findings {
        let what = finding.kind.label();
        let of = format!("{what}{}", finding.key.as_ref().map(|key| format!("/{key}")).unwrap_or_default());
        let found = about(report, &of, urgency(finding), what, &finding.detail, finding.since);
        troubles.push(Alert { next: command_for(report, finding).or_else(look), ..found });
    }
    troubles
}

fn of_rotation(report: &CredentialReport, rotation: &RotationReport, now: Timestamp) -> Option<Alert> {
    if let Some(parked) = &rotation.parked {
        let (severity, what) = (parked_urgency(parked.reason), parked.reason.label());
        let summary = format!("its rotation is parked: {}", parked.detail);
        return Some(about(report, "parked", severity, what, summary, rotation.phase_since));
    }
    if let Some(trouble) = &rotation.last_failure {
        if trouble.kind.is_passing() && now.duration_since(trouble.since) < PASSES_WITHIN {
            return None;
        }
        let severity = if report.partially_published { Severity::Page } else { Severity::Ticket };
        let failing =
            about(report, "failing", severity, trouble.kind.label(), &report.summary, trouble.since);
        return Some(Alert { anchor: "failures".to_owned(), ..failing });
    }
    let deadline = rotation.deadline.filter(|deadline| *deadline <= now)?;
    let is_held = rotation.phase == PhaseName::Overlap && report.attention;
    (is_held && rotation.gates.iter().any(|gate| !gate.open)).then(|| {
        let late = about(report, "late", Severity::Ticket, "late", &report.summary, deadline);
        Alert { anchor: "held-beyond-its-deadline".to_owned(), ..late }
    })
}

/// Whether somebody is hurt by it, or will be soon.
fn parked_urgency(reason: ParkReason) -> Severity {
    match reason {
        ParkReason::OldKeyUnusable
        | ParkReason::OldKeyReenabled
        | ParkReason::NewKeyUnusable
        | ParkReason::ForeignValue
        | ParkReason::CannotRollBack
        | ParkReason::ConsumerFailing
        | ParkReason::ProbeRed => Severity::Page,
        ParkReason::MintRefused
        | ParkReason::MintsExhausted
        | ParkReason::Unrestricted
        | ParkReason::Reinstated
        | ParkReason::Widened => Severity::Ticket,
    }
}

fn urgency(finding: &Finding) -> Severity {
    match finding.kind {
        FindingKind::ExposedPublicly
        | FindingKind::SelfDisabled
        | FindingKind::ReportedLeaked
        | FindingKind::EmergencyHeld
        | FindingKind::KeyVanished
        | FindingKind::DisabledByHand
        | FindingKind::TrialEnded
        | FindingKind::SubscriptionDowngrade
        | FindingKind::DestinationChanged => Severity::Page,
        FindingKind::PermissionsWidened | FindingKind::GrantsChanged | FindingKind::ForeignKeys => {
            Severity::Ticket
        }
    }
}

fn held(hold: &HoldReport) -> Alert {
    let by_breaker = hold.by == BREAKER;
    let what = if by_breaker { "breaker" } else { "paused" };
    let anchor = if by_breaker { "held-by-the-breaker" } else { "held-by-an-operator" };
    let subject = match (hold.scope, &hold.name) {
        ("workspace", Some(name)) => WorkspaceName::new(name.clone()).ok().map(Subject::Workspace),
        _ => None,
    };
    let why = if hold.why.is_empty() { String::new() } else { format!(": {}", hold.why) };
    Alert {
        key: format!("held/{}/{}", hold.what.label(), hold.place().replace(' ', "/")),
        severity: if by_breaker { Severity::Page } else { Severity::Info },
        what: what.to_owned(),
        subject: subject.unwrap_or(Subject::Rekeyd),
        summary: format!("{} is held ({}) by {}{why}", hold.what.label(), hold.place(), hold.by),
        next: Some(hold.next_command.clone()),
        anchor: anchor.to_owned(),
        since: hold.since,
        passes_within: SignedDuration::ZERO,
    }
}

fn unusable(name: &WorkspaceName, failure: &Failure, now: Timestamp) -> Alert {
    // A dead admin key does not come back by itself.
    let is_refused = matches!(failure.kind, Kind::Unauthenticated | Kind::Forbidden);
    Alert {
        key: format!("unusable/workspace/{name}"),
        severity: if is_refused { Severity::Page } else { Severity::Ticket },
        what: "workspace_unusable".to_owned(),
        subject: Subject::Workspace(name.clone()),
        summary: format!("the workspace cannot be used: {failure}"),
        next: Some("rekeyd status".to_owned()),
        anchor: "workspace_unusable".to_owned(),
        since: now,
        passes_within: if is_refused { SignedDuration::ZERO } else { PASSES_WITHIN },
    }
}

fn refused(why: &str, now: Timestamp) -> Alert {
    let first = why.lines().next().unwrap_or_default();
    let summary = format!("the newest policy is refused, and the one before stays in force: {first}");
    let next = "rekeyd check /etc/rekeyd/policy.toml";
    of_rekeyd("policy_refused", Severity::Ticket, summary, next, "the-daemon-does-not-start", now)
}

fn stuck(now: Timestamp) -> Alert {
    let summary = "the engine's loop does not go round: nothing is rotated".to_owned();
    of_rekeyd("stuck", Severity::Page, summary, "systemctl restart rekeyd", "first", now)
}

fn of_rekeyd(
    what: &str,
    severity: Severity,
    summary: String,
    next: &str,
    anchor: &str,
    since: Timestamp,
) -> Alert {
    Alert {
        key: format!("{what}/rekeyd"),
        severity,
        what: what.to_owned(),
        subject: Subject::Rekeyd,
        summary,
        next: Some(next.to_owned()),
        anchor: anchor.to_owned(),
        since,
        passes_within: SignedDuration::ZERO,
    }
}

#[cfg(test)]
mod tests;
