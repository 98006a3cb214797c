//! An observation in numbers.

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
    /// The values of the definition's labels, in their order.
    pub(super) labels: Vec<String>,
    pub(super) value: Value,
}

/// Samples by the name of their metric.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<&'static str, Vec<Sample>>);

impl Samples {
    pub(super) fn of(&self, name: &str) -> &[Sample] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn put(&mut self, definition: Definition, labels: &[&str], value: f64) {
        self.push(definition, labels, Value::Number(value));
    }

    fn spread(&mut self, definition: Definition, labels: &[&str], spread: Histogram) {
        self.push(definition, labels, Value::Histogram(spread));
    }

    fn push(&mut self, definition: Definition, labels: &[&str], value: Value) {
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

/// A counter's number.
fn total(count: u64) -> f64 {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn of(observation: &Observation) -> Samples {
    let Observation { at, status, heartbeat, report, .. } = observation;
    let mut samples = Samples::default();
    samples.put(catalogue::BUILD_INFO, &[metrics::VERSION, metrics::REVISION], 1.0);
    samples.moment(catalogue::STARTED, &[], status.started);
    samples.flag(catalogue::JOURNAL_READABLE, &[], report.is_ok());
    if let Ok(report) = report {
        let workspaces: Vec<&WorkspaceName> = observation.workspaces.keys().collect();
        fleet::tell(&mut samples, report, &workspaces);
        credential::tell(&mut samples, report, status.detail, *at);
    }
    for (name, reach) in &observation.workspaces {
        workspace(&mut samples, name, reach);
    }
    for (name, budget) in &observation.budgets {
        let Budget { size, left } = budget;
        samples.put(catalogue::BUDGET, &[name.as_str()], f64::from(*size));
        if let Some(left) = left {
            samples.put(catalogue::BUDGET_LEFT, &[name.as_str()], f64::from(*left));
        }
    }
    samples.put(catalogue::SKEW_MAX, &[], observation.clock_skew_max.as_secs_f64());
    counted::tell(&mut samples, &observation.counts, observation.workspaces.keys());
    if let Some(bytes) = observation.journal_bytes {
        samples.put(catalogue::JOURNAL_SIZE, &[], total(bytes));
    }
    samples.moment(catalogue::LAST_BEAT, &[], heartbeat.beat);
    samples.moment(catalogue::LAST_TICK, &[], heartbeat.tick);
    samples.put(catalogue::RECONCILING, &[], count(heartbeat.reconciling));
    samples.put(catalogue::DAMAGED, &[], count(heartbeat.damaged.len()));
    samples.put(catalogue::ORPHANS, &[], total(heartbeat.orphans_deleted));
    samples.flag(catalogue::RELOAD_SUCCESS, &[], status.reload_refused.is_none());
    samples.flag(catalogue::CERTIFICATE_SUCCESS, &[], status.certificate_refused.is_none());
    samples.moment(catalogue::RELOAD_TIME, &[], status.policy_loaded);
    samples.put(catalogue::POLICY_INFO, &[&status.policy_hash], 1.0);
    for (channel, tally) in &status.channels {
        let channel = [channel.as_str()];
        samples.put(catalogue::NOTICES_DELIVERED, &channel, total(tally.delivered));
        samples.put(catalogue::NOTICES_LOST, &channel, total(tally.lost));
        samples.flag(catalogue::CHANNEL_FAILING, &channel, tally.failing.is_some());
    }
    samples.flag(catalogue::DRAINING, &[], status.draining);
    samples
}

fn workspace(samples: &mut Samples, name: &WorkspaceName, reach: &WorkspaceHealth) {
    let WorkspaceHealth { last_answer, failing, clock_skew_seconds, foreign_keys } = reach;
    let name = name.as_str();
    if last_answer.is_some() || failing.is_some() {
        samples.flag(catalogue::REACHABLE, &[name], failing.is_none());
    }
    if let Some(failure) = failing {
        samples.put(catalogue::FAILING, &[name, failure.kind.label()], 1.0);
    }
    samples.moment(catalogue::LAST_ANSWER, &[name], *last_answer);
    if let Some(skew) = clock_skew_seconds {
        samples.put(catalogue::CLOCK_SKEW, &[name], number(*skew));
    }
    if let Some(keys) = foreign_keys {
        samples.put(catalogue::FOREIGN_KEYS, &[name], count(*keys));
    }
}
