//! Writes the journal. An event counts when it is durable, not before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::domain::audit::{Act, Actor, changes, events};
use crate::domain::backoff::Backoff;
use crate::domain::event::Event;
use crate::domain::phase::PhaseName;
use crate::domain::plan::Plan;
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::domain::step;
use crate::engine::reconciler::Reconciler;
use crate::ports::journal::{self, Entry};
use crate::ports::meter::Transition;

/// Between attempts to write a journal that cannot be written.
const WRITES: Backoff =
    Backoff { first: SignedDuration::from_millis(200), cap: SignedDuration::from_secs(30) };

/// Why a reconciliation cannot continue.
pub(super) enum ReconcileError {
    /// This credential's journal makes no sense. The credential is left alone; the others are not.
    Damaged(journal::Error),
    /// The journal cannot be read now.
    Unreadable(journal::Error),
    /// Another process writes this journal: the whole daemon has to stop.
    LeaseLost(journal::Error),
    /// The process ends before the journal could be written. As safe as a crash.
    Quit,
}

impl ReconcileError {
    /// Classifies a failure to read the credential's own rows.
    pub(super) fn reading(error: journal::Error) -> Self {
        match error {
            journal::Error::Corrupt { .. } => Self::Damaged(error),
            journal::Error::Unavailable(_) | journal::Error::Conflict(_) => Self::Unreadable(error),
        }
    }

    /// Classifies a failure to read another credential's rows: this credential is not damaged, and reads them again later.
    pub(super) fn reading_another(error: journal::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// An event that the rotation allows, with the rotation that follows. Neither counts before it is written.
pub(super) struct PendingEntry {
    entry: Entry,
    next: Rotation,
    /// The phase before the event, and since when; `None` at the beginning of a rotation.
    from: Option<(PhaseName, Timestamp)>,
}

impl PendingEntry {
    /// # Errors
    /// The event is illegal in the rotation's phase: the journal and memory disagree.
    pub(super) fn of(rotation: &Rotation, event: Event, now: Timestamp) -> Result<Self, ReconcileError> {
        let next = step::step(rotation, &event, now).map_err(|illegal| {
            let place = format!("rotation {}", rotation.plan.rotation);
            ReconcileError::Damaged(journal::Error::Corrupt { place, why: illegal.to_string() })
        })?;
        Ok(Self::new(Some(rotation), next, event, now))
    }

    fn beginning(plan: Plan, now: Timestamp) -> Self {
        let event = Event::Begun(Box::new(plan.clone()));
        Self::new(None, Rotation::begin(plan), event, now)
    }

    fn new(before: Option<&Rotation>, next: Rotation, event: Event, now: Timestamp) -> Self {
        let entry = Entry {
            rotation: next.plan.rotation,
            sequence: before.map_or(0, |before| before.length),
            at: now,
            credential: next.plan.credential.clone(),
            workspace: next.plan.workspace.clone(),
            actor: Actor::default(),
            key: events::key(&next.plan, before, &event),
            event,
        };
        Self { entry, next, from: before.map(|before| (before.phase.name(), before.since)) }
    }
}

/// Failed attempts in a row to write one thing.
#[derive(Default)]
struct Failures {
    count: u32,
    /// Counts as blocked from the first failure until the write ends.
    blocked: Option<BlockedWrite>,
}

/// A reconciler that waits because the journal cannot be written.
struct BlockedWrite(Arc<AtomicUsize>);

impl BlockedWrite {
    fn new(all: Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Relaxed);
        Self(all)
    }
}

impl Drop for BlockedWrite {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Reconciler {
    /// Begins a rotation.
    pub(super) async fn commit_beginning(&mut self, plan: Plan) -> Result<(), ReconcileError> {
        self.commit(PendingEntry::beginning(plan, self.context.now())).await
    }

    /// Makes an event durable and then true here. Waits for as long as the journal cannot be written: what has
    /// happened outside must not be forgotten, and nothing else may happen before it is journalled.
    pub(super) async fn commit(&mut self, pending: PendingEntry) -> Result<(), ReconcileError> {
        let PendingEntry { entry, next, from } = pending;
        let entry = Entry { actor: self.actor.clone(), ..entry };
        let record = self.record.follow(&next, entry.at);
        let record = (record != self.record).then(|| Record { revision: self.record.revision + 1, ..record });
        let mut failures = Failures::default();
        loop {
            let began = Instant::now();
            let appended = self.context.journal.append(&entry, record.as_ref()).await;
            self.count_write(began, &appended);
            match appended {
                Ok(()) => break,
                Err(journal::Error::Conflict(_)) if self.is_written(&entry).await? => break,
                Err(error) => self.journal_failed(error, &mut failures).await?,
            }
        }
        log_transition(&entry, &next, from);
        self.count_transition(&entry, &next, from);
        if let Some(record) = record {
            self.record = record;
        }
        self.time_the_failure(&next);
        if entry.event == Event::ClockAgreed {
            self.shared.waits.agreed(self.context.clock.as_ref(), &entry.credential, entry.at);
        }
        if let (Event::MintIntended { .. }, Some(mints)) = (&entry.event, self.work.mint_permit()) {
            mints.count(self.context.uptime());
        }
        self.work.replace((!next.is_over()).then_some(next));
        self.publish();
        self.consult_breaker(&entry).await;
        if self.work.is_idle() {
            self.release_slot();
        }
        Ok(())
    }

    /// The back-off after a failure that has just been journalled goes by the timer.
    fn time_the_failure(&self, next: &Rotation) {
        let before = self.work.rotation().and_then(|rotation| rotation.last_failure.as_ref());
        if let Some(failure) = next.last_failure.as_ref().filter(|failure| Some(*failure) != before) {
            let clock = self.context.clock.as_ref();
            self.shared.waits.failed(clock, &self.record.credential, failure.last_at);
        }
    }

    /// Replaces the record; the rotation under way, if any, stays as it is. `changed` still has the stored record's revision.
    pub(super) async fn save(&mut self, changed: Record) -> Result<(), ReconcileError> {
        let mut acts = changes::of_record(&self.record, &changed, &self.actor, self.context.now());
        for act in &mut acts {
            act.workspace = self.policy().map(|credential| credential.workspace.clone());
        }
        self.save_acting(changed, acts).await
    }

    /// As [`Self::save`], with the acts that the audit log records of it.
    pub(super) async fn save_acting(
        &mut self,
        changed: Record,
        acts: Vec<Act>,
    ) -> Result<(), ReconcileError> {
        let record = Record { revision: self.record.revision + 1, ..changed };
        let mut failures = Failures::default();
        loop {
            let began = Instant::now();
            let saved = self.context.journal.save(&record, &acts).await;
            self.count_write(began, &saved);
            match saved {
                Ok(()) => break,
                Err(journal::Error::Conflict(why)) => {
                    let known = self
                        .context
                        .journal
                        .load_one(&record.credential)
                        .await
                        .map_err(ReconcileError::reading)?;
                    if known.is_none_or(|known| known.record != record) {
                        return Err(ReconcileError::LeaseLost(journal::Error::Conflict(why)));
                    }
                    break;
                }
                Err(error) => self.journal_failed(error, &mut failures).await?,
            }
        }
        self.record = record;
        self.publish();
        Ok(())
    }

    /// Shows the committed state to those that do not wait for the reconciler.
    pub(super) fn publish(&self) {
        self.shared.committed.update(&self.record, self.work.rotation());
    }

    /// Whether the entry is in the journal already: an earlier attempt succeeded and its answer was lost.
    async fn is_written(&self, entry: &Entry) -> Result<bool, ReconcileError> {
        let entries = self.context.journal.entries(entry.rotation).await.map_err(ReconcileError::reading)?;
        let at = usize::try_from(entry.sequence).unwrap_or(usize::MAX);
        Ok(entries.get(at).is_some_and(|written| written == entry))
    }

    async fn journal_failed(
        &self,
        error: journal::Error,
        failures: &mut Failures,
    ) -> Result<(), ReconcileError> {
        match error {
            journal::Error::Conflict(_) => return Err(ReconcileError::LeaseLost(error)),
            journal::Error::Corrupt { .. } => return Err(ReconcileError::Damaged(error)),
            journal::Error::Unavailable(why) => {
                failures.count = failures.count.saturating_add(1);
                let all = &self.shared.blocked_writes;
                failures.blocked.get_or_insert_with(|| BlockedWrite::new(Arc::clone(all)));
                if failures.count == 1 || self.is_news("journal", &why) {
                    tracing::error!(credential = %self.record.credential, %why, failures = failures.count, "the journal cannot be written: waiting");
                }
            }
        }
        let wait = WRITES.wait(failures.count, None, &self.record.credential);
        tokio::select! {
            () = self.context.clock.sleep(wait) => Ok(()),
            () = self.quit.cancelled() => Err(ReconcileError::Quit),
        }
    }

    /// A write that lost to another process is no failure of the journal.
    fn count_write(&self, began: Instant, written: &Result<(), journal::Error>) {
        match written {
            Ok(()) => {
                self.shared.journal_health.wrote(self.context.now());
                self.meter.wrote(began.elapsed(), true);
            }
            Err(journal::Error::Unavailable(_)) => self.meter.wrote(began.elapsed(), false),
            Err(journal::Error::Conflict(_) | journal::Error::Corrupt { .. }) => {}
        }
    }

    fn count_transition(&self, entry: &Entry, next: &Rotation, from: Option<(PhaseName, Timestamp)>) {
        let to = next.phase.name();
        if from.is_some_and(|(from, _)| from == to) {
            return;
        }
        let left = from.map(|(phase, since)| {
            // A clock that was set back makes no phase shorter than nothing.
            (phase, Duration::try_from(entry.at.duration_since(since)).unwrap_or_default())
        });
        let Entry { rotation, sequence, workspace, .. } = entry;
        let reason = next.plan.reason;
        self.meter.moved(Transition { rotation: *rotation, entry: *sequence, workspace, reason, left, to });
    }
}

/// The one log line of a transition.
fn log_transition(entry: &Entry, next: &Rotation, from: Option<(PhaseName, Timestamp)>) {
    let from = from.map_or("none", |(phase, _)| phase.label());
    let to = next.phase.name().label();
    let Entry { credential, workspace, rotation, sequence, actor, .. } = entry;
    let (event, attempt) = (entry.event.name(), next.attempt);
    let key = entry.key.as_ref().map(tracing::field::display);
    if let Event::EffectFailed { effect, failure } = &entry.event {
        let kind = failure.kind.label();
        tracing::warn!(
            %credential, %workspace, %rotation, entry = sequence, event, from, to, attempt, %actor,
            ?effect, kind, %failure, request_id = failure.request_id, "effect failed"
        );
    } else if let Event::Parked { reason, detail } = &entry.event {
        let reason = reason.label();
        tracing::error!(
            %credential, %workspace, %rotation, entry = sequence, event, from, to, attempt, %actor,
            reason, %detail, "parked: needs an operator"
        );
    } else {
        tracing::info!(
            %credential, %workspace, %rotation, entry = sequence, event, from, to, attempt, %actor, key,
            "transition"
        );
    }
}
