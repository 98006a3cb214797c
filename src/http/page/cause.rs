//! What holds a credential up, as far as others can share it: the list groups by it.

use std::collections::BTreeMap;

use crate::domain::hold::HoldKind;
use crate::domain::ids::WorkspaceName;
use crate::domain::report::blocked::Blocked;
use crate::domain::report::holds::HoldReport;
use crate::domain::report::{CredentialHealth, CredentialReport};
use crate::http::page::format::spaced;

/// A cause that several credentials can have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    /// In URLs.
    pub(super) slug: String,
    /// In words, after a number of credentials.
    pub(super) words: String,
}

impl Cause {
    fn new(group: &str, label: &str, words: impl Into<String>) -> Self {
        Self { slug: format!("{group}.{label}"), words: words.into() }
    }

    /// `None` if nothing holds it up.
    pub(super) fn of(report: &CredentialReport) -> Option<Self> {
        if report.damage.is_some() {
            return Some(Self::new("damaged", "rows", "with damaged journal rows"));
        }
        let rotation = report.rotation.as_ref();
        if let Some(parked) = rotation.and_then(|rotation| rotation.parked.as_ref()) {
            let label = parked.reason.label();
            return Some(Self::new("parked", label, format!("parked: {}", spaced(label))));
        }
        if let Some(hold) = report.held.iter().find(|_| is_held(report)) {
            let place = hold.place().replace(' ', ".");
            return Some(Self::new("held", &place, format!("waiting: {}", lower(&title(hold)))));
        }
        if let Some(failure) = rotation.and_then(|rotation| rotation.last_failure.as_ref()) {
            let label = failure.kind.label();
            return Some(Self::new("retrying", label, format!("retrying: {}", spaced(label))));
        }
        if let Some(obstacle) = &report.obstacle {
            let label = obstacle.kind.label();
            return Some(Self::new("blocked", label, format!("blocked: {}", spaced(label))));
        }
        if let Some(finding) = report.findings.first() {
            let label = finding.kind.label();
            return Some(Self::new("found", label, spaced(label)));
        }
        if let Some(silent) = report.stale_consumers.first() {
            let who = silent.consumer.as_str();
            return Some(Self::new("silent", who, format!("whose consumer {who} is silent")));
        }
        if let Some(blocked) = report.blocked {
            return Some(Self::new("waiting", blocked.label(), waits_for(blocked)));
        }
        if report.health == CredentialHealth::OutOfSync && report.mode.is_none() {
            return Some(Self::new("policy", "removed", "no longer in the policy"));
        }
        rotation.filter(|_| report.health == CredentialHealth::Waiting).map(|rotation| {
            let phase = rotation.phase.label();
            Self::new("phase", phase, format!("waiting in {}", spaced(phase)))
        })
    }
}

/// Whether a hold is what it waits for.
fn is_held(report: &CredentialReport) -> bool {
    matches!(report.blocked, Some(Blocked::Operator | Blocked::Breaker))
}

fn waits_for(blocked: Blocked) -> &'static str {
    match blocked {
        Blocked::Obstacle => "that cannot start",
        Blocked::Operator => "held by an operator",
        Blocked::Breaker => "held by a breaker",
        Blocked::Freeze => "due, waiting for the end of a freeze",
        Blocked::Window => "due, waiting for their window",
        Blocked::Wave => "due, waiting for those that they come after",
        Blocked::RotationSlot => "due, waiting for a free rotation slot",
        Blocked::FirstRotations => "due, waiting for other first rotations",
        Blocked::Backoff => "in back-off after an aborted rotation",
        Blocked::EmergencyCap => "waiting for other emergencies",
        Blocked::MintBudget => "waiting for the mint budget",
        Blocked::Silence => "waiting until the provider takes calls again",
    }
}

/// What a hold holds, and where.
pub(super) fn title(hold: &HoldReport) -> String {
    let what = match hold.what {
        HoldKind::Everything => "Everything",
        HoldKind::Minting => "Key creation",
        HoldKind::Revoking => "Revocation",
    };
    match (hold.scope, &hold.name) {
        ("workspace", Some(name)) => format!("{what} held in workspace {name}"),
        (_, Some(name)) => format!("{what} held for {name}"),
        (_, None) => format!("{what} held in all workspaces"),
    }
}

fn lower(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_lowercase().chain(rest).collect()).unwrap_or_default()
}

/// One credential, or many with one cause in one workspace.
pub(super) enum Entry<'a> {
    One(&'a CredentialReport),
    Many(Cause, Vec<&'a CredentialReport>),
}

/// Fewer than this are shown one by one.
const MANY: usize = 4;

/// Keeps the order, by the first of each group.
pub(super) fn entries<'a>(reports: &[&'a CredentialReport]) -> Vec<Entry<'a>> {
    let mut groups: Vec<Entry<'a>> = Vec::new();
    let mut members: BTreeMap<(Cause, Option<&WorkspaceName>), Vec<&'a CredentialReport>> = BTreeMap::new();
    let keyed: Vec<_> = reports
        .iter()
        .map(|report| (report, Cause::of(report).map(|cause| (cause, report.workspace.as_ref()))))
        .collect();
    for (report, key) in &keyed {
        if let Some(key) = key {
            members.entry(key.clone()).or_default().push(report);
        }
    }
    members.retain(|_, members| members.len() >= MANY);
    for (report, key) in keyed {
        match key.filter(|key| members.contains_key(key)) {
            None => groups.push(Entry::One(report)),
            // The first of the group stands for all.
            Some(key) => {
                if let Some(members) = members.get_mut(&key).map(std::mem::take).filter(|it| !it.is_empty()) {
                    groups.push(Entry::Many(key.0, members));
                }
            }
        }
    }
    groups
}

impl<'a> Entry<'a> {
    pub(super) fn members(&self) -> impl Iterator<Item = &'a CredentialReport> + use<'a, '_> {
        let (one, many) = match self {
            Self::One(report) => (Some(*report), &[][..]),
            Self::Many(_, members) => (None, members.as_slice()),
        };
        one.into_iter().chain(many.iter().copied())
    }
}
