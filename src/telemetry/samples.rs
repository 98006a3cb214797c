//! An observation in numbers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::finding::FindingKind;
use crate::domain::hold::BREAKER;
use crate::domain::ids::WorkspaceName;
use crate::domain::report::{Condition, CredentialReport, RotationReport, StatusReport};
use crate::engine::Reach;
use crate::telemetry::metrics::{self, Definition};
use crate::telemetry::observation::Observation;

#[derive(Debug)]
pub(super) struct Sample {
    /// The values of the definition's labels, in their order.
    pub(super) labels: Vec<String>,
    pub(super) value: f64,
}

/// Samples by the name of their metric.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<&'static str, Vec<Sample>>);

impl Samples {
    pub(super) fn of(&self, name: &str) -> &[Sample] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn put(&mut self, definition: Definition, labels: &[&str], value: f64) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        debug_assert_eq!(labels.len(), definition.labels.len(), "{}", definition.name);
        self.0.entry(definition.name).or_default().push(Sample { labels, value });
    }

    fn flag(&mut self, definition: Definition, labels: &[&str], is_set: bool) {
        self.put(definition, labels, if is_set { 1.0 } else { 0.0 });
    }

    /// An instant that is not there, or never comes, is not told.
    fn moment(&mut self, definition: Definition, labels: &[&str], at: Option<Timestamp>) {
        if let Some(at) = at.filter(|at| *at != Timestamp::MAX) {
            self.put(definition, labels, seconds(at));
        }
    }
}

/// Milliseconds are exact in an `f64` for hundreds of thousands of years.
fn seconds(at: Timestamp) -> f64 {
    number(at.as_millisecond()) / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn number(count: i64) -> f64 {
    count as f64
}

fn count(count: usize) -> f64 {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn of(observation: &Observation) -> Samples {
    let Observation { at: _, status, pulse, look_again: _, workspaces, report, is_journal_written: _ } =
        observation;
    let mut samples = Samples::default();
    samples.put(metrics::BUILD_INFO, &[metrics::VERSION, metrics::REVISION], 1.0);
    samples.flag(metrics::JOURNAL_READABLE, &[], report.is_ok());
    if let Ok(report) = report {
        credentials(&mut samples, report);
    }
    for (name, reach) in workspaces {
        workspace(&mut samples, name, reach);
    }
    samples.moment(metrics::LAST_BEAT, &[], pulse.beat);
    samples.put(metrics::VISITS, &[], count(pulse.visits));
    samples.put(metrics::DAMAGED, &[], count(pulse.damaged.len()));
    samples.put(metrics::ORPHANS, &[], number(i64::try_from(pulse.orphans_deleted).unwrap_or(i64::MAX)));
    samples.flag(metrics::RELOAD_SUCCESS, &[], status.reload_refused.is_none());
    samples.flag(metrics::CERTIFICATE_SUCCESS, &[], status.certificate_refused.is_none());
    samples.moment(metrics::RELOAD_TIME, &[], status.policy_loaded);
    samples.put(metrics::POLICY_INFO, &[&status.policy_hash], 1.0);
    samples.flag(metrics::DRAINING, &[], status.draining);
    samples
}

fn credentials(samples: &mut Samples, report: &StatusReport) {
    for condition in Condition::ALL {
        let such = report.credentials.iter().filter(|report| report.condition == condition).count();
        samples.put(metrics::CREDENTIALS, &[condition.label()], count(such));
    }
    let mut by_name: Vec<&CredentialReport> = report.credentials.iter().collect();
    for hold in &report.holds {
        let by = if hold.by == BREAKER { BREAKER } else { "operator" };
        samples.put(metrics::HOLD, &[&hold.place(), hold.what.label(), by], 1.0);
    }
    by_name.sort_by(|one, other| one.credential.cmp(&other.credential));
    for report in by_name {
        credential(samples, report);
    }
}

fn credential(samples: &mut Samples, report: &CredentialReport) {
    let name = report.credential.as_str();
    let workspace = report.workspace.as_ref().map_or("", WorkspaceName::as_str);
    let which = [name, workspace];
    samples.flag(metrics::ATTENTION, &which, report.attention);
    samples.moment(metrics::KEY_CREATED, &which, report.key_since);
    samples.moment(metrics::KEY_EXPIRES, &which, report.key_expires_at);
    samples.moment(metrics::ROTATION_DUE, &which, report.next_due);
    if let Some(obstacle) = &report.obstacle {
        samples.put(metrics::OBSTACLE, &[name, workspace, obstacle.kind.label()], 1.0);
    }
    for kind in FindingKind::ALL.into_iter().filter(|kind| report.findings.iter().any(|it| it.kind == *kind))
    {
        samples.put(metrics::FINDING, &[name, workspace, kind.label()], 1.0);
    }
    if let Some(answered) = &report.answered {
        let lasted = answered.at.duration_since(answered.since);
        samples.put(metrics::LEAK_ANSWERED, &which, lasted.as_secs_f64());
    }
    if let Some(last) = &report.last {
        samples.moment(metrics::LAST_ROTATION, &[name, workspace, last.outcome.label()], Some(last.at));
    }
    if let Some(told) = &report.rotation {
        rotation(samples, which, told);
    }
}

fn rotation(samples: &mut Samples, which: [&str; 2], report: &RotationReport) {
    let [name, workspace] = which;
    samples.put(metrics::ROTATION_PHASE, &[name, workspace, report.phase.label()], 1.0);
    samples.moment(metrics::PHASE_ENTERED, &which, Some(report.phase_since));
    if let Some(trouble) = &report.trouble {
        let labels = [name, workspace, trouble.effect.label(), trouble.kind.label()];
        samples.put(metrics::TROUBLE, &labels, f64::from(trouble.failures));
    }
    if let Some(parked) = &report.parked {
        samples.put(metrics::PARKED, &[name, workspace, parked.reason.label()], 1.0);
    }
    for verdict in &report.gates {
        samples.flag(metrics::GATE_OPEN, &[name, workspace, verdict.gate.label()], verdict.open);
    }
}

fn workspace(samples: &mut Samples, name: &WorkspaceName, reach: &Reach) {
    let Reach { last_answer, failing, clock_skew_seconds, foreign_keys } = reach;
    let name = name.as_str();
    if last_answer.is_some() || failing.is_some() {
        samples.flag(metrics::REACHABLE, &[name], failing.is_none());
    }
    if let Some(failure) = failing {
        samples.put(metrics::FAILING, &[name, failure.kind.label()], 1.0);
    }
    samples.moment(metrics::LAST_ANSWER, &[name], *last_answer);
    if let Some(skew) = clock_skew_seconds {
        samples.put(metrics::CLOCK_SKEW, &[name], number(*skew));
    }
    if let Some(keys) = foreign_keys {
        samples.put(metrics::FOREIGN_KEYS, &[name], count(*keys));
    }
}
