//! Turns an observation into metric samples.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::ids::WorkspaceName;
use crate::engine::WorkspaceHealth;
use crate::telemetry::catalogue::{self, Definition};
use crate::telemetry::histogram::Histogram;
use crate::telemetry::metrics;
use crate::telemetry::observation::{Budget, Observation};

mod counted;
mod credential;
mod fleet;

#[derive(Debug)]
pub(super) enum Value {
    Number(f64),
    Histogram(Histogram),
}

#[derive(Debug)]
pub(super) struct Sample {
    /// The label values, in the order of the definition.
    pub(super) labels: Vec<String>,
    pub(super) value: Value,
}

/// Samples by metric name.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<&'static str, Vec<Sample>>);

impl Samples {
    pub(super) fn of(&self, name: &str) -> &[Sample] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn put(&mut self, definition: Definition, labels: &[&str], value: f64) {
        self.push(definition, labels, Value::Number(value));
    }

    fn histogram(&mut self, definition: Definition, labels: &[&str], histogram: Histogram) {
        self.push(definition, labels, Value::Histogram(histogram));
    }

    fn push(&mut self, definition: Definition, labels: &[&str], value: Value) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        debug_assert_eq!(labels.len(), definition.labels.len(), "{}", definition.name);
        self.0.entry(definition.name).or_default().push(Sample { labels, value });
    }

    fn flag(&mut self, definition: Definition, labels: &[&str], is_set: bool) {
        self.put(definition, labels, if is_set { 1.0 } else { 0.0 });
    }

    /// Adds an instant; an instant that is missing or never comes has no sample.
    fn instant(&mut self, definition: Definition, labels: &[&str], at: Option<Timestamp>) {
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

/// The value of a counter.
fn total(count: u64) -> f64 {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn of(observation: &Observation) -> Samples {
    let Observation { at, status, heartbeat, report, .. } = observation;
    let mut samples = Samples::default();
    samples.put(catalogue::BUILD_INFO, &[metrics::VERSION, metrics::REVISION], 1.0);
    samples.instant(catalogue::START, &[], status.started);
    samples.flag(catalogue::JOURNAL_READABLE, &[], report.is_ok());
    if let Ok(report) = report {
        let workspaces: Vec<&WorkspaceName> = observation.workspaces.keys().collect();
        fleet::add(&mut samples, report, &workspaces);
        credential::add(&mut samples, report, status.detail, *at);
    }
    for (name, health) in &observation.workspaces {
        workspace(&mut samples, name, health);
    }
    for (name, budget) in &observation.budgets {
        let Budget { size, remaining } = budget;
        samples.put(catalogue::BUDGET, &[name.as_str()], f64::from(*size));
        if let Some(remaining) = remaining {
            samples.put(catalogue::BUDGET_REMAINING, &[name.as_str()], f64::from(*remaining));
        }
    }
    samples.put(catalogue::SKEW_MAX, &[], observation.clock_skew_max.as_secs_f64());
    counted::add(&mut samples, &observation.counts, observation.workspaces.keys());
    let is_writable = observation.is_journal_writable && observation.counts.writable;
    samples.flag(catalogue::JOURNAL_WRITABLE, &[], is_writable);
    samples.instant(catalogue::JOURNAL_LAST_WRITE, &[], observation.last_journal_write);
    if let Some(bytes) = observation.journal_bytes {
        samples.put(catalogue::JOURNAL_SIZE, &[], total(bytes));
    }
    samples.instant(catalogue::LAST_HEARTBEAT, &[], heartbeat.beat);
    samples.instant(catalogue::LAST_TICK, &[], heartbeat.tick);
    samples.put(catalogue::ACTIVE_RECONCILES, &[], count(heartbeat.reconciling));
    samples.put(catalogue::DAMAGED, &[], count(heartbeat.damaged.len()));
    samples.put(catalogue::ORPHANS, &[], total(heartbeat.orphans_deleted));
    samples.flag(catalogue::RELOAD_SUCCESS, &[], status.reload_refused.is_none());
    samples.flag(catalogue::CERTIFICATE_SUCCESS, &[], status.certificate_refused.is_none());
    if let Some((not_before, not_after)) = status.certificate_validity {
        samples.instant(catalogue::CERTIFICATE_NOT_BEFORE, &[], Some(not_before));
        samples.instant(catalogue::CERTIFICATE_NOT_AFTER, &[], Some(not_after));
    }
    samples.instant(catalogue::RELOAD_TIME, &[], status.policy_loaded);
    samples.put(catalogue::POLICY_INFO, &[&status.policy_hash], 1.0);
    for (channel, tally) in &status.channels {
        let channel = [channel.as_str()];
        samples.put(catalogue::NOTIFICATIONS_DELIVERED, &channel, total(tally.delivered));
        samples.put(catalogue::NOTIFICATIONS_DROPPED, &channel, total(tally.dropped));
        samples.flag(catalogue::CHANNEL_FAILING, &channel, tally.failing.is_some());
    }
    for (workspace, compared) in &status.comparisons {
        let workspace = [workspace.as_str()];
        samples.instant(catalogue::LOG_COMPARED, &workspace, compared.compared_at);
        if compared.compared_at.is_some() {
            samples.put(catalogue::CHANGED_BY_OTHERS, &workspace, count(compared.reported(*at).count()));
        }
    }
    samples.flag(catalogue::DRAINING, &[], status.draining);
    samples
}

fn workspace(samples: &mut Samples, name: &WorkspaceName, health: &WorkspaceHealth) {
    let WorkspaceHealth {
        last_answer,
        failing,
        failing_since: _,
        clock_skew_seconds,
        foreign_keys,
        silent_until,
        accounts: _,
    } = health;
    let name = name.as_str();
    if last_answer.is_some() || failing.is_some() {
        samples.flag(catalogue::REACHABLE, &[name], failing.is_none());
    }
    if let Some(failure) = failing {
        samples.put(catalogue::FAILING, &[name, failure.kind.label()], 1.0);
    }
    samples.instant(catalogue::LAST_SUCCESS, &[name], *last_answer);
    samples.instant(catalogue::SILENT_UNTIL, &[name], *silent_until);
    if let Some(skew) = clock_skew_seconds {
        samples.put(catalogue::CLOCK_SKEW, &[name], number(*skew));
    }
    if let Some(keys) = foreign_keys {
        samples.put(catalogue::FOREIGN_KEYS, &[name], count(*keys));
    }
}
