//! Counters and histograms since the start of the process. A reload keeps them, a restart resets them; state that must
//! survive a restart is in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::call_context::CallRecord;
use crate::domain::failure::{Failure, Kind};
use crate::domain::phase::PhaseName;
use crate::domain::plan::Reason;
use crate::ports::meter::{self, Transition};
use crate::telemetry::histogram::{self, Histogram};
use crate::telemetry::logging;
use crate::telemetry::places::Places;
pub use crate::telemetry::route::Route;
use crate::telemetry::traces::call::{self, CallTarget};
use crate::telemetry::traces::{DropReason, Traces};

/// An operation on a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Preflight,
    Stage,
    Read,
    Promote,
    Discard,
}

impl Operation {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Stage => "stage",
            Self::Read => "read",
            Self::Promote => "promote",
            Self::Discard => "discard",
        }
    }
}

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Ok,
    /// No source of evidence responded.
    NoEvidence,
    Failed(Kind),
}

impl Outcome {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoEvidence => "no_evidence",
            Self::Failed(kind) => kind.label(),
        }
    }

    /// The failure kind if the remote side or the connection is at fault; a rejected request is not such a fault.
    fn fault(self) -> Option<Kind> {
        let Self::Failed(kind) = self else { return None };
        match kind {
            Kind::Throttled
            | Kind::Unreachable
            | Kind::TimedOut
            | Kind::ServerError
            | Kind::Garbled
            | Kind::Unauthenticated
            | Kind::Forbidden
            | Kind::LocalDisk => Some(kind),
            Kind::NotFound
            | Kind::Invalid
            | Kind::LimitReached
            | Kind::Conflict
            | Kind::NotActiveYet
            | Kind::ClockSkew => None,
        }
    }
}

/// The counts of one kind of call.
#[derive(Debug, Clone)]
pub struct Calls {
    pub outcomes: BTreeMap<Outcome, u64>,
    pub durations: Histogram,
}

impl Default for Calls {
    fn default() -> Self {
        // A series that starts with its first failure would show no increase.
        Self { outcomes: [(Outcome::Ok, 0)].into(), durations: Histogram::new(histogram::CALLS) }
    }
}

impl Calls {
    fn add(&mut self, outcome: Outcome, duration: Duration) {
        *self.outcomes.entry(outcome).or_default() += 1;
        self.durations.add(duration);
    }
}

/// All counts.
#[derive(Debug, Clone)]
pub struct Counts {
    /// By workspace and route.
    pub provider: BTreeMap<(String, Route), Calls>,
    /// By store and operation.
    pub stores: BTreeMap<(String, Operation), Calls>,
    /// The destinations, by store and secret, whose last operation failed because of the store or the connection.
    pub failing: BTreeMap<(String, String), Kind>,
    /// The stores of which most destinations fail.
    pub failing_stores: BTreeMap<String, Kind>,
    /// The calls that the admin key lacked a permission for when they were last made.
    pub not_permitted: BTreeSet<(String, Route)>,
    /// By workspace.
    pub ended: BTreeMap<(String, PhaseName, &'static str), u64>,
    pub phases: BTreeMap<PhaseName, Histogram>,
    pub writes: Histogram,
    pub write_failures: u64,
    pub writable: bool,
    /// Spans, if traces are exported.
    pub spans: Option<Spans>,
    pub log_lines_dropped: u64,
}

/// The counts of spans.
#[derive(Debug, Clone)]
pub struct Spans {
    pub sent: u64,
    pub dropped: BTreeMap<DropReason, u64>,
}

impl Default for Spans {
    fn default() -> Self {
        // As for calls, the first drop has to be an increase.
        Self { sent: 0, dropped: DropReason::ALL.map(|reason| (reason, 0)).into() }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            provider: BTreeMap::new(),
            stores: BTreeMap::new(),
            failing: BTreeMap::new(),
            failing_stores: BTreeMap::new(),
            not_permitted: BTreeSet::new(),
            ended: BTreeMap::new(),
            phases: BTreeMap::new(),
            writes: Histogram::new(histogram::WRITES),
            write_failures: 0,
            writable: true,
            spans: None,
            log_lines_dropped: 0,
        }
    }
}

/// Counts for the whole program, through every reload.
#[derive(Default)]
pub struct Meter {
    counts: Mutex<Counts>,
    places: Mutex<Places>,
    traces: Option<Traces>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts, places, traces } = self;
        f.debug_struct("Meter")
            .field("counts", counts)
            .field("places", places)
            .field("traces", &traces.is_some())
            .finish()
    }
}

impl Meter {
    /// A meter that exports traces too.
    #[must_use]
    pub fn tracing(traces: Traces) -> Self {
        let counts = Counts { spans: Some(Spans::default()), ..Counts::default() };
        Self { counts: Mutex::new(counts), traces: Some(traces), ..Self::default() }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Each change is a single addition, so a poisoned lock is consistent.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current counts.
    #[must_use]
    pub fn read(&self) -> Counts {
        let places = self.places().clone();
        Counts {
            failing: places.failing(),
            failing_stores: places.failing_stores(),
            log_lines_dropped: logging::lines_dropped(),
            ..self.counts().clone()
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stores of which most destinations fail because of the store or the connection.
    pub(super) fn failing_stores(&self) -> BTreeMap<String, Kind> {
        self.places().failing_stores()
    }

    /// Notes the outcome of an operation on one secret of a store.
    pub(super) fn placed(&self, store: &str, secret: &str, outcome: Outcome) {
        self.places().note(store, secret, outcome.fault());
    }

    /// Counts a call, and queues its span if traces are exported.
    pub(super) fn called(
        &self,
        target: CallTarget<'_>,
        record: &CallRecord,
        outcome: Outcome,
        failure: Option<&Failure>,
    ) {
        match target {
            CallTarget::Workspace(workspace, route) => {
                self.count_workspace_call(workspace, route, outcome, record.took)
            }
            CallTarget::Store(store, operation) => {
                self.count_store_call(store, operation, outcome, record.took)
            }
        }
        let Some(traces) = &self.traces else { return };
        let span = call::span(target, record, outcome, failure, traces.now());
        if let Err(reason) = traces.call_completed(span) {
            self.dropped(reason, 1);
        }
    }

    pub(super) fn sent(&self, count: usize) {
        let mut counts = self.counts();
        if let Some(spans) = &mut counts.spans {
            spans.sent += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }

    pub(super) fn dropped(&self, reason: DropReason, count: usize) {
        let mut counts = self.counts();
        if let Some(spans) = &mut counts.spans {
            *spans.dropped.entry(reason).or_default() += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }

    fn count_workspace_call(&self, workspace: &str, route: Route, outcome: Outcome, duration: Duration) {
        let mut counts = self.counts();
        let call = (workspace.to_owned(), route);
        match outcome {
            Outcome::Failed(Kind::Forbidden) if route.needs_a_permission() => {
                counts.not_permitted.insert(call.clone());
            }
            Outcome::Ok => drop(counts.not_permitted.remove(&call)),
            Outcome::NoEvidence | Outcome::Failed(_) => {}
        }
        counts.provider.entry(call).or_default().add(outcome, duration);
    }

    fn count_store_call(&self, store: &str, operation: Operation, outcome: Outcome, duration: Duration) {
        self.counts().stores.entry((store.to_owned(), operation)).or_default().add(outcome, duration);
    }
}

impl meter::Meter for Meter {
    fn moved(&self, moved: Transition<'_>) {
        let Transition { rotation, entry, workspace, reason, left, to } = moved;
        // The first entry of a rotation completes no phase.
        if let (Some(traces), Some(_)) = (&self.traces, left)
            && let Err(reason) = traces.phase_completed(rotation, entry)
        {
            self.dropped(reason, 1);
        }
        let mut counts = self.counts();
        if let Some((phase, lasted)) = left {
            counts.phases.entry(phase).or_insert_with(|| Histogram::new(histogram::PHASES)).add(lasted);
        }
        if to.is_end() {
            *counts.ended.entry((workspace.to_string(), to, Reason::label(reason))).or_default() += 1;
        }
    }

    fn wrote(&self, took: Duration, durable: bool) {
        let mut counts = self.counts();
        counts.writable = durable;
        if durable {
            counts.writes.add(took);
        } else {
            counts.write_failures += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::WorkspaceName;

    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn what_the_admin_key_may_not_do_is_known_until_it_may() {
        let meter = Meter::default();
        let called = |route, outcome| meter.count_workspace_call("prod", route, outcome, MOMENT);
        called(Route::Create, Outcome::Failed(Kind::Forbidden));
        called(Route::SetExpiry, Outcome::Failed(Kind::Forbidden));
        called(Route::Authenticate, Outcome::Failed(Kind::Forbidden));
        called(Route::Create, Outcome::Failed(Kind::Throttled));
        assert_eq!(meter.read().not_permitted, [("prod".to_owned(), Route::Create)].into());
        called(Route::Create, Outcome::Ok);
        assert!(meter.read().not_permitted.is_empty());
    }

    #[test]
    fn a_rotation_is_counted_when_it_ends_and_each_phase_when_it_is_left() {
        let meter = Meter::default();
        let prod = WorkspaceName::new("prod").unwrap();
        let moved = |left, to| {
            let (rotation, reason) =
                ("0190b8a0-0000-7000-8000-000000000001".parse().unwrap(), Reason::Schedule);
            let moved = Transition { rotation, entry: 1, workspace: &prod, reason, left, to };
            meter::Meter::moved(&meter, moved);
        };
        moved(None, PhaseName::Due);
        moved(Some((PhaseName::Due, MOMENT)), PhaseName::Minting);
        assert!(meter.read().ended.is_empty());
        moved(Some((PhaseName::Revoking, MOMENT)), PhaseName::Done);
        let counts = meter.read();
        assert_eq!(counts.ended, [(("prod".to_owned(), PhaseName::Done, "schedule"), 1)].into());
        assert_eq!(counts.phases.keys().collect::<Vec<_>>(), [&PhaseName::Due, &PhaseName::Revoking]);
    }

    #[test]
    fn the_journal_is_unwritable_from_a_write_that_failed_to_one_that_did_not() {
        let meter = Meter::default();
        for (durable, unwritten) in [(true, 0), (false, 1), (false, 2), (true, 2)] {
            meter::Meter::wrote(&meter, MOMENT, durable);
            let counts = meter.read();
            assert_eq!((counts.writable, counts.write_failures), (durable, unwritten));
        }
        assert_eq!(meter.read().writes.count(), 2);
    }
}
