//! Writing the journal: an event counts when it is durable, not before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::domain::audit::{Act, changes, events};
use crate::domain::backoff::Backoff;
use crate::domain::event::Event;
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

/// Why a visit cannot go on.
pub(super) enum ReconcileError {
    /// This credential's journal makes no sense: it is left alone, the others are not.
    Damaged(journal::Error),
    /// The journal cannot be read now.
    Unreadable(journal::Error),
    /// Somebody else writes this journal: the whole daemon has to stop.
    LeaseLost(journal::Error),
    /// The process ends before the journal could be written. As safe as a crash.
    Quit,
}

impl ReconcileError {
    /// What a failure to read the journal means for a visit.
    pub(super) fn reading(error: journal::Error) -> Self {
        match error {
            journal::Error::Corrupt { .. } => Self::Damaged(error),
            journal::Error::Unavailable(_) | journal::Error::Conflict(_) => Self::Unreadable(error),
        }
    }

    /// What a failure to read another credential's rows means: those are looked at again, and this one is not damaged.
    pub(super) fn reading_another(error: journal::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Attempts in a row to write something.
#[derive(Default)]
struct Failures {
    count: u32,
    /// As long as it waits, whoever asks is told.
    told: Option<Stuck>,
}

/// A visit that waits because the journal cannot be written.
struct Stuck(Arc<AtomicUsize>);

impl Stuck {
    fn new(all: Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Relaxed);
        Self(all)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Reconciler {
    /// Begins a rotation.
    pub(super) async fn commit_beginning(&mut self, plan: Plan) -> Result<(), ReconcileError> {
        let rotation = Rotation::begin(plan);
        let event = Event::Begun(Box::new(rotation.plan.clone()));
        self.write(rotation, event, 0).await
    }

    /// Makes an event durable and then true here. Waits for as long as the journal cannot be written: what has
    /// happened outside must not be forgotten, and nothing else may happen before it is known.
    pub(super) async fn commit(&mut self, event: Event) -> Result<(), ReconcileError> {
        let Some(rotation) = &self.rotation else { return Ok(()) };
        let sequence = rotation.length;
        let next = step::step(rotation, &event, self.context.now()).map_err(|illegal| {
            let place = format!("rotation {}", rotation.plan.rotation);
            ReconcileError::Damaged(journal::Error::Corrupt { place, why: illegal.to_string() })
        })?;
        self.write(next, event, sequence).await
    }

    async fn write(&mut self, next: Rotation, event: Event, sequence: u64) -> Result<(), ReconcileError> {
        let now = self.context.now();
        let entry = Entry {
            rotation: next.plan.rotation,
            sequence,
            at: now,
            credential: next.plan.credential.clone(),
            workspace: next.plan.workspace.clone(),
            actor: self.actor.clone(),
            key: events::key(&next.plan, self.rotation.as_ref(), &event),
            event,
        };
        let record = self.record.follow(&next, now);
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
        self.announce(&entry, &next);
        self.count_transition(&entry, &next);
        self.mind_the_breaker(&entry).await;
        if let Some(record) = record {
            self.record = record;
        }
        self.rotation = (!next.is_over()).then_some(next);
        if self.rotation.is_none() {
            self.value = None;
            self.step_aside();
        }
        Ok(())
    }

    /// Replaces the record, with nothing happening to the rotation under way, if any. `changed` still has the stored record's revision.
    pub(super) async fn save(&mut self, changed: Record) -> Result<(), ReconcileError> {
        let mut acts = changes::of_record(&self.record, &changed, &self.actor, self.context.now());
        for act in &mut acts {
            act.workspace = self.policy().map(|credential| credential.workspace.clone());
        }
        self.save_acting(changed, acts).await
    }

    /// As [`Self::save`], with what is recorded of it.
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
        Ok(())
    }

    /// Whether the entry is in the journal already: an earlier attempt whose success we did not hear of.
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
                let stuck = &self.admission.stuck;
                failures.told.get_or_insert_with(|| Stuck::new(Arc::clone(stuck)));
                tracing::error!(credential = %self.record.credential, %why, failures = failures.count, "the journal cannot be written: waiting");
            }
        }
        let wait = WRITES.wait(failures.count, None, &self.record.credential);
        let until = self.context.now().saturating_add(wait).unwrap_or(jiff::Timestamp::MAX);
        tokio::select! {
            () = self.context.clock.sleep_until(until) => Ok(()),
            () = self.quit.cancelled() => Err(ReconcileError::Quit),
        }
    }

    /// That somebody else wrote is no fault of the journal's.
    fn count_write(&self, began: Instant, written: &Result<(), journal::Error>) {
        match written {
            Ok(()) => self.meter.wrote(began.elapsed(), true),
            Err(journal::Error::Unavailable(_)) => self.meter.wrote(began.elapsed(), false),
            Err(journal::Error::Conflict(_) | journal::Error::Corrupt { .. }) => {}
        }
    }

    fn count_transition(&self, entry: &Entry, next: &Rotation) {
        let lasted = |before: &Rotation| {
            // A clock that was set back makes no phase shorter than nothing.
            let lasted = entry.at.duration_since(before.since);
            (before.phase.name(), std::time::Duration::try_from(lasted).unwrap_or_default())
        };
        let left = self.rotation.as_ref().map(lasted);
        let to = next.phase.name();
        if left.is_none_or(|(from, _)| from != to) {
            let (rotation, entry, workspace) = (entry.rotation, entry.sequence, &entry.workspace);
            self.meter.moved(Transition { rotation, entry, workspace, reason: next.plan.reason, left, to });
        }
    }

    /// The one log line of a transition.
    fn announce(&self, entry: &Entry, next: &Rotation) {
        let from = self.rotation.as_ref().map_or("none", |rotation| rotation.phase.name().label());
        let to = next.phase.name().label();
        let Entry { credential, workspace, rotation, sequence, actor, .. } = entry;
        let (event, attempt) = (entry.event.name(), next.attempt);
        let key = entry.key.as_ref().map(tracing::field::display);
        if let Event::EffectFailed { effect, failure } = &entry.event {
            let kind = failure.kind.label();
            tracing::warn!(
                %credential, %workspace, %rotation, entry = sequence, event, from, to, attempt, %actor,
                ?effect, kind, %failure, request_id = failure.request_id, "hindered"
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
}
