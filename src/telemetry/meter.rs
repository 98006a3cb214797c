//! What has happened since the program started, counted. Reloads do not begin anew, a restart does: what has to survive
//! that is in the journal, and is not counted but read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::call_context::CallRecord;
use crate::domain::failure::{Failure, Kind};
use crate::domain::phase::PhaseName;
use crate::domain::plan::Reason;
use crate::ports::meter::{self, Transition};
use crate::telemetry::histogram::{self, Histogram};
use crate::telemetry::traces::call::{self, Asked};
use crate::telemetry::traces::{Loss, Traces};

/// What is asked of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    List,
    Create,
    Authenticate,
    ProveAdmin,
    Disable,
    Enable,
    SetExpiry,
    Delete,
    Usage,
    Canary,
}

impl Route {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Authenticate => "authenticate",
            Self::ProveAdmin => "prove_admin",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::SetExpiry => "set_expiry",
            Self::Delete => "delete",
            Self::Usage => "usage",
            Self::Canary => "canary",
        }
    }
}

/// What is done with a store.
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

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Ok,
    /// No source of evidence answered, each for reasons of its own.
    Blind,
    Failed(Kind),
}

impl Outcome {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Blind => "blind",
            Self::Failed(kind) => kind.label(),
        }
    }

    /// The fault of the other side, or of the way there; a refusal of what was asked is not.
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

/// Calls of one kind.
#[derive(Debug, Clone)]
pub struct Calls {
    pub outcomes: BTreeMap<Outcome, u64>,
    pub took: Histogram,
}

impl Default for Calls {
    fn default() -> Self {
        // A series that begins with its first failure has no increase to see.
        Self { outcomes: [(Outcome::Ok, 0)].into(), took: Histogram::new(histogram::CALLS) }
    }
}

impl Calls {
    fn add(&mut self, outcome: Outcome, took: Duration) {
        *self.outcomes.entry(outcome).or_default() += 1;
        self.took.add(took);
    }
}

/// All that was counted.
#[derive(Debug, Clone)]
pub struct Counts {
    /// By workspace and route.
    pub provider: BTreeMap<(String, Route), Calls>,
    /// By store and operation.
    pub stores: BTreeMap<(String, Operation), Calls>,
    /// The stores whose last operation failed by their own fault.
    pub failing: BTreeMap<String, Kind>,
    /// By workspace.
    pub ended: BTreeMap<(String, PhaseName, &'static str), u64>,
    pub phases: BTreeMap<PhaseName, Histogram>,
    pub writes: Histogram,
    pub unwritten: u64,
    pub writable: bool,
    /// Of traces, if they are told to anybody.
    pub spans: Option<Spans>,
}

/// What became of spans.
#[derive(Debug, Clone)]
pub struct Spans {
    pub sent: u64,
    pub lost: BTreeMap<Loss, u64>,
}

impl Default for Spans {
    fn default() -> Self {
        // As of calls: the first loss is to be seen as an increase.
        Self { sent: 0, lost: Loss::ALL.map(|loss| (loss, 0)).into() }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            provider: BTreeMap::new(),
            stores: BTreeMap::new(),
            failing: BTreeMap::new(),
            ended: BTreeMap::new(),
            phases: BTreeMap::new(),
            writes: Histogram::new(histogram::WRITES),
            unwritten: 0,
            writable: true,
            spans: None,
        }
    }
}

/// Counts for the whole program, through every reload.
#[derive(Default)]
pub struct Meter {
    counts: Mutex<Counts>,
    traces: Option<Traces>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts, traces } = self;
        f.debug_struct("Meter").field("counts", counts).field("traces", &traces.is_some()).finish()
    }
}

impl Meter {
    /// That tells traces as well.
    #[must_use]
    pub fn tracing(traces: Traces) -> Self {
        let counts = Counts { spans: Some(Spans::default()), ..Counts::default() };
        Self { counts: Mutex::new(counts), traces: Some(traces) }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Each change is one addition.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> Counts {
        self.counts().clone()
    }

    /// The stores whose last operation failed by a fault of their own, or of the way to them.
    pub(super) fn failing(&self) -> BTreeMap<String, Kind> {
        self.counts().failing.clone()
    }

    /// Counts a call, and tells it in traces, if there are any.
    pub(super) fn called(
        &self,
        asked: Asked<'_>,
        record: &CallRecord,
        outcome: Outcome,
        failure: Option<&Failure>,
    ) {
        match asked {
            Asked::Workspace(workspace, route) => self.asked(workspace, route, outcome, record.took),
            Asked::Store(store, operation) => self.stored(store, operation, outcome, record.took),
        }
        let Some(traces) = &self.traces else { return };
        let span = call::span(asked, record, outcome, failure, traces.now());
        if let Err(loss) = traces.called(span) {
            self.lost(loss, 1);
        }
    }

    pub(super) fn sent(&self, count: usize) {
        let mut counts = self.counts();
        if let Some(spans) = &mut counts.spans {
            spans.sent += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }

    pub(super) fn lost(&self, loss: Loss, count: usize) {
        let mut counts = self.counts();
        if let Some(spans) = &mut counts.spans {
            *spans.lost.entry(loss).or_default() += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }

    fn asked(&self, workspace: &str, route: Route, outcome: Outcome, took: Duration) {
        self.counts().provider.entry((workspace.to_owned(), route)).or_default().add(outcome, took);
    }

    fn stored(&self, store: &str, operation: Operation, outcome: Outcome, took: Duration) {
        let mut counts = self.counts();
        counts.stores.entry((store.to_owned(), operation)).or_default().add(outcome, took);
        match outcome.fault() {
            Some(kind) => counts.failing.insert(store.to_owned(), kind),
            None => counts.failing.remove(store),
        };
    }
}

impl meter::Meter for Meter {
    fn moved(&self, transition: Transition<'_>) {
        let Transition { rotation, entry, workspace, reason, left, to } = transition;
        // By the entry with which it begins nothing was left.
        if let (Some(traces), Some(_)) = (&self.traces, left)
            && let Err(loss) = traces.moved(rotation, entry)
        {
            self.lost(loss, 1);
        }
        let mut counts = self.counts();
        if let Some((phase, lasted)) = left {
            counts.phases.entry(phase).or_insert_with(|| Histogram::new(histogram::PHASES)).add(lasted);
        }
        if is_end(to) {
            *counts.ended.entry((workspace.to_string(), to, Reason::label(reason))).or_default() += 1;
        }
    }

    fn wrote(&self, took: Duration, durable: bool) {
        let mut counts = self.counts();
        counts.writable = durable;
        if durable {
            counts.writes.add(took);
        } else {
            counts.unwritten += 1;
        }
    }
}

/// The ways in which a rotation ends.
pub(super) const ENDS: [PhaseName; 3] = [PhaseName::Done, PhaseName::Aborted, PhaseName::RolledBack];

fn is_end(phase: PhaseName) -> bool {
    ENDS.contains(&phase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::WorkspaceName;

    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn a_store_fails_from_a_fault_of_its_own_until_it_does_anything_it_is_asked() {
        let meter = Meter::default();
        let stored = |store, outcome| meter.stored(store, Operation::Promote, outcome, MOMENT);
        stored("aws", Outcome::Failed(Kind::Throttled));
        stored("aws", Outcome::Failed(Kind::Unreachable));
        stored("local", Outcome::Failed(Kind::Conflict));
        assert_eq!(meter.read().failing, [("aws".to_owned(), Kind::Unreachable)].into());
        stored("aws", Outcome::Failed(Kind::NotFound));
        assert!(meter.read().failing.is_empty(), "it answered: what was asked for is not there");
        let counts = meter.read();
        let calls = &counts.stores[&("aws".to_owned(), Operation::Promote)];
        assert_eq!((calls.took.count(), calls.outcomes[&Outcome::Ok]), (3, 0));
        assert_eq!(calls.outcomes[&Outcome::Failed(Kind::Throttled)], 1);
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
            assert_eq!((counts.writable, counts.unwritten), (durable, unwritten));
        }
        assert_eq!(meter.read().writes.count(), 2);
    }
}
