//! Derives the firing alerts from the status report, the workspaces and the daemon.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::failure::{Failure, Kind};
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::gate::GateName;
use crate::domain::hold::{BREAKER, HoldKind};
use crate::domain::ids::WorkspaceName;
use crate::domain::notification::{Alert, Severity, Subject};
use crate::domain::phase::PhaseName;
use crate::domain::report::expiry::KeyInUse;
use crate::domain::report::findings::command_for;
use crate::domain::report::holds::HoldReport;
use crate::domain::report::{CredentialReport, RotationReport, StatusReport};
use crate::domain::rotation::ParkReason;
use crate::domain::time::distance;

/// An unreachable workspace or a failing step usually recovers within this time.
const TRANSIENT_GRACE: SignedDuration = SignedDuration::from_mins(15);

/// A call that enables a key again, or replaces a leaked one, is tried every other second.
const SAFETY_GRACE: SignedDuration = SignedDuration::from_secs(20);

/// So many credentials that fail in one way have one cause.
const GROUPED_FROM: usize = 3;
const NAMED_MAX: usize = 5;

const FAILURES: &str = "failures";
const UNUSABLE: &str = "workspace_unusable";

/// The reachability of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkspaceState {
    /// No call was made yet.
    Unknown,
    Reachable,
    Failing(Failure),
}

/// The inputs that alerts are derived from.
#[derive(Debug, Clone, Copy)]
pub struct AlertInputs<'a> {
    pub report: &'a StatusReport,
    pub workspaces: &'a BTreeMap<WorkspaceName, WorkspaceState>,
    /// The error of the newest policy, if its reload failed.
    pub reload_refused: Option<&'a str>,
    /// Whether the engine loop runs.
    pub is_alive: bool,
    pub now: Timestamp,
}

/// The alerts that fire at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertSet {
    pub alerts: Vec<Alert>,
    /// Subjects whose state is unknown: their open incidents stay as they are.
    pub unknown: BTreeSet<Subject>,
}

impl AlertSet {
    #[must_use]
    pub fn is_unknown(&self, alert: &Alert) -> bool {
        self.unknown.iter().any(|it| (it.kind(), it.name()) == (alert.subject.kind(), alert.subject.name()))
    }

    #[must_use]
    pub fn new(inputs: AlertInputs<'_>) -> Self {
        let AlertInputs { report, workspaces, reload_refused, is_alive, now } = inputs;
        let mut set = Self::default();
        for credential in &report.credentials {
            if credential.damage.is_some() {
                set.unknown.insert(subject(credential));
            }
            set.alerts.extend(of_credential(credential, now));
        }
        set.alerts.extend(report.holds.iter().map(held));
        for (name, state) in workspaces {
            match state {
                WorkspaceState::Unknown => drop(set.unknown.insert(Subject::Workspace(name.clone()))),
                WorkspaceState::Reachable => {}
                WorkspaceState::Failing(failure) => set.alerts.push(unusable(name, failure, now)),
            }
        }
        set.alerts = grouped(std::mem::take(&mut set.alerts));
        set.alerts.extend(reload_refused.map(|why| policy_rejected(why, now)));
        if !is_alive {
            set.alerts.push(stalled(now));
        }
        set
    }

    /// The only alert while the journal is unusable: the state of every other subject is unknown.
    #[must_use]
    pub fn journal_unusable(why: &str, now: Timestamp) -> Self {
        let alert = of_rekeyd(
            "journal",
            Severity::Page,
            format!("cannot use the journal, so no rotation continues: {why}"),
            "findmnt -o TARGET,OPTIONS,AVAIL -T /var/lib/rekeyd; rekeyd status",
            "the-journal-cannot-be-written",
            now,
        );
        Self { alerts: vec![alert], unknown: BTreeSet::new() }
    }
}

/// Rotations of one workspace that fail for one cause are one alert, and none where the workspace itself is unusable.
fn grouped(alerts: Vec<Alert>) -> Vec<Alert> {
    let unusable: BTreeSet<WorkspaceName> = alerts
        .iter()
        .filter_map(|alert| match &alert.subject {
            Subject::Workspace(name) if alert.reason == UNUSABLE => Some(name.clone()),
            Subject::Workspace(_) | Subject::Credential { .. } | Subject::Rekeyd => None,
        })
        .collect();
    let mut causes: BTreeMap<(WorkspaceName, String, Severity), Vec<Alert>> = BTreeMap::new();
    let mut kept = Vec::with_capacity(alerts.len());
    for alert in alerts {
        match alert.subject.workspace().cloned() {
            Some(workspace) if alert.anchor == FAILURES && !unusable.contains(&workspace) => {
                causes.entry((workspace, alert.reason.clone(), alert.severity)).or_default().push(alert);
            }
            Some(_) if alert.anchor == FAILURES && alert.severity < Severity::Page => {}
            Some(_) | None => kept.push(alert),
        }
    }
    for ((workspace, ..), failing) in causes {
        match failing.first() {
            Some(first) if failing.len() >= GROUPED_FROM => {
                let since = failing.iter().map(|alert| alert.since).min().unwrap_or(first.since);
                kept.push(together(workspace, first, &failing, since));
            }
            Some(_) | None => kept.extend(failing),
        }
    }
    kept
}

fn together(workspace: WorkspaceName, first: &Alert, failing: &[Alert], since: Timestamp) -> Alert {
    let named: Vec<&str> = failing.iter().map(|alert| alert.subject.name()).take(NAMED_MAX).collect();
    let more = failing.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (count, names) = (failing.len(), named.join(", "));
    Alert {
        key: format!("failing/{}/{}/workspace/{workspace}", first.severity.label(), first.reason),
        subject: Subject::Workspace(workspace),
        summary: format!("{count} rotations fail: {names}{more}; the first: {}", first.summary),
        next: Some("rekeyd status".to_owned()),
        since,
        ..first.clone()
    }
}

fn subject(report: &CredentialReport) -> Subject {
    Subject::Credential { name: report.credential.clone(), workspace: report.workspace.clone() }
}

/// An alert about a credential, whose runbook anchor is the reason unless the caller changes it.
fn about(
    report: &CredentialReport,
    kind: &str,
    severity: Severity,
    reason: &str,
    summary: impl Into<String>,
    since: Timestamp,
) -> Alert {
    Alert {
        key: format!("{kind}/credential/{}", report.credential),
        severity,
        reason: reason.to_owned(),
        subject: subject(report),
        summary: summary.into(),
        next: report.next_command.clone(),
        anchor: reason.to_owned(),
        since,
        grace: SignedDuration::ZERO,
    }
}

fn of_credential(report: &CredentialReport, now: Timestamp) -> Vec<Alert> {
    if report.damage.is_some() {
        return vec![about(report, "damaged", Severity::Page, "damaged", &report.summary, now)];
    }
    let mut alerts = Vec::new();
    if let Some(expiry) = report.expired(now) {
        let expired = about(report, "expired", Severity::Page, "expired", expiry.told(now), expiry.at);
        alerts.push(Alert { anchor: "key-expired".to_owned(), ..expired });
    } else if let (Some(reason), Some(at)) = (report.unrotated, report.key_expires_at) {
        let summary = format!("the key expires {}, and {}", distance(at, now), reason.told());
        let unrotated = about(report, "expires_unrotated", Severity::Page, reason.label(), summary, now);
        alerts.push(Alert { anchor: "rekeydkeyexpiresunrotated".to_owned(), ..unrotated });
    } else if let Some(expiry) = report.expires_soon(now) {
        let soon = about(report, "expires_soon", Severity::Page, "expires_soon", &report.summary, now);
        let anchor = match expiry.key {
            KeyInUse::OnRecord => "rekeydkeyexpiressoon",
            KeyInUse::New => "rekeydnewkeyexpiressoon",
        };
        alerts.push(Alert { anchor: anchor.to_owned(), ..soon });
    }
    if report.removed {
        let removed = about(report, "removed", Severity::Ticket, "removed", &report.summary, now);
        alerts.push(Alert { anchor: "rekeydrotationremovedfrompolicy".to_owned(), ..removed });
    }
    if let Some(rotation) = &report.rotation {
        alerts.extend(of_rotation(report, rotation, now));
    } else if let Some(obstacle) = &report.obstacle {
        let summary = format!("no rotation can start: {}", obstacle.detail);
        let reason = obstacle.kind.label();
        alerts.push(about(report, "obstacle", Severity::Ticket, reason, summary, obstacle.since));
    }
    let is_parked_for_it = report.rotation.as_ref().and_then(|rotation| rotation.parked.as_ref());
    let is_parked_for_it = is_parked_for_it.is_some_and(|it| it.reason == ParkReason::ConsumerFailing);
    for failing in report.failing_consumers.iter().filter(|_| !is_parked_for_it) {
        let kind = format!("consumer_failing/{}", failing.consumer);
        let summary = failing.summary();
        let alert = about(report, &kind, Severity::Page, "consumer_failing", summary, failing.since);
        alerts.push(Alert { anchor: "rekeydconsumerfailing".to_owned(), ..alert });
    }
    for silent in &report.stale_consumers {
        let kind = format!("silent/{}", silent.consumer);
        let summary = silent.summary();
        let alert = about(report, &kind, Severity::Ticket, "silent", summary, silent.overdue_since());
        let anchor = "rekeydconsumersilent".to_owned();
        alerts.push(Alert { next: Some(silent.command()), anchor, ..alert });
    }
    let status = || Some(format!("rekeyd status {}", report.credential));
    for finding in &report.findings {
        let reason = finding.kind.label();
        let named = finding.kind.incident_key();
        let kind =
            format!("{named}{}", finding.key.as_ref().map(|key| format!("/{key}")).unwrap_or_default());
        let found = about(report, &kind, finding_severity(finding), reason, &finding.detail, finding.since);
        alerts.push(Alert { next: command_for(report, finding).or_else(status), ..found });
    }
    alerts
}

fn of_rotation(report: &CredentialReport, rotation: &RotationReport, now: Timestamp) -> Option<Alert> {
    if let Some(parked) = &rotation.parked {
        let (severity, reason) = (parked_severity(parked.reason), parked.reason.label());
        let summary = format!("the rotation is parked: {}", parked.detail);
        return Some(about(report, "parked", severity, reason, summary, rotation.phase_since));
    }
    if let Some(failure) = &rotation.last_failure {
        let grace = if rotation.safety_call.is_some() { SAFETY_GRACE } else { TRANSIENT_GRACE };
        if failure.kind.is_passing() && now.duration_since(failure.since) < grace {
            return None;
        }
        let is_of_safety = rotation.safety_call.is_some();
        let severity =
            if report.partially_published || is_of_safety { Severity::Page } else { Severity::Ticket };
        let failing =
            about(report, "failing", severity, failure.kind.label(), &report.summary, failure.since);
        return Some(Alert { anchor: FAILURES.to_owned(), ..failing });
    }
    let shut: Vec<GateName> =
        rotation.gates.iter().filter(|gate| !gate.satisfied).map(|gate| gate.gate).collect();
    if shut == [GateName::Confirm] {
        let since = rotation.waits_until.unwrap_or(rotation.phase_since);
        let waits = about(report, "confirm", Severity::Ticket, "confirm", &report.summary, since);
        return Some(Alert { anchor: "rekeydconfirmationawaited".to_owned(), ..waits });
    }
    let deadline = rotation.deadline.filter(|deadline| *deadline <= now)?;
    let switches = matches!(rotation.phase, PhaseName::Overlap | PhaseName::Returning);
    let is_held = switches && report.attention;
    (is_held && rotation.gates.iter().any(|gate| !gate.satisfied)).then(|| {
        let late = about(report, "late", Severity::Ticket, "late", &report.summary, deadline);
        Alert { anchor: "overlap-past-its-deadline".to_owned(), ..late }
    })
}

/// A page if consumers are affected or will be soon.
fn parked_severity(reason: ParkReason) -> Severity {
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

fn finding_severity(finding: &Finding) -> Severity {
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
        FindingKind::PermissionsWidened
        | FindingKind::PermissionsChanged
        | FindingKind::SharingGroupsChanged
        | FindingKind::ForeignKeys => Severity::Ticket,
    }
}

fn held(hold: &HoldReport) -> Alert {
    let by_breaker = hold.by == BREAKER;
    let reason = if by_breaker { "breaker" } else { "paused" };
    let anchor = if by_breaker { "held-by-the-breaker" } else { "held-by-an-operator" };
    let subject = match (hold.scope, &hold.name) {
        ("workspace", Some(name)) => WorkspaceName::new(name.clone()).ok().map(Subject::Workspace),
        _ => None,
    };
    // Without new keys nobody is hurt; a breaker that holds the disabling of keys has seen consumers refused.
    let severity = match (by_breaker, hold.what) {
        (true, HoldKind::Minting) => Severity::Ticket,
        (true, HoldKind::Everything | HoldKind::Revoking) => Severity::Page,
        (false, HoldKind::Everything | HoldKind::Minting | HoldKind::Revoking) => Severity::Info,
    };
    let why = if hold.why.is_empty() { String::new() } else { format!(": {}", hold.why) };
    Alert {
        key: format!("held/{}/{}", hold.what.label(), hold.place().replace(' ', "/")),
        severity,
        reason: reason.to_owned(),
        subject: subject.unwrap_or(Subject::Rekeyd),
        summary: format!("{} is held for {} by {}{why}", hold.what.label(), hold.place(), hold.by),
        next: Some(hold.next_command.clone()),
        anchor: anchor.to_owned(),
        since: hold.since,
        grace: SignedDuration::ZERO,
    }
}

fn unusable(name: &WorkspaceName, failure: &Failure, now: Timestamp) -> Alert {
    // A rejected admin key does not recover by itself.
    let is_rejected = matches!(failure.kind, Kind::Unauthenticated | Kind::Forbidden);
    Alert {
        key: format!("unusable/workspace/{name}"),
        severity: if is_rejected { Severity::Page } else { Severity::Ticket },
        reason: UNUSABLE.to_owned(),
        subject: Subject::Workspace(name.clone()),
        summary: format!("cannot use the workspace: {failure}"),
        next: Some("rekeyd status".to_owned()),
        anchor: UNUSABLE.to_owned(),
        since: now,
        grace: if is_rejected { SignedDuration::ZERO } else { TRANSIENT_GRACE },
    }
}

fn policy_rejected(why: &str, now: Timestamp) -> Alert {
    let first = why.lines().next().unwrap_or_default();
    let summary = format!("the newest policy is invalid, and the previous one stays in force: {first}");
    let next = "rekeyd check /etc/rekeyd/policy.toml";
    of_rekeyd("policy_refused", Severity::Ticket, summary, next, "rekeydpolicyreloadfailed", now)
}

fn stalled(now: Timestamp) -> Alert {
    let summary = "the engine loop does not run: no key is rotated".to_owned();
    of_rekeyd("stuck", Severity::Page, summary, "systemctl restart rekeyd", "rekeydenginestalled", now)
}

fn of_rekeyd(
    reason: &str,
    severity: Severity,
    summary: String,
    next: &str,
    anchor: &str,
    since: Timestamp,
) -> Alert {
    Alert {
        key: format!("{reason}/rekeyd"),
        severity,
        reason: reason.to_owned(),
        subject: Subject::Rekeyd,
        summary,
        next: Some(next.to_owned()),
        anchor: anchor.to_owned(),
        since,
        grace: SignedDuration::ZERO,
    }
}

#[cfg(test)]
mod tests;
