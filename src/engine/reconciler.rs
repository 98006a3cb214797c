//! Reconciles one credential: does everything that can be done without waiting, and journals each step.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::call_context;
use crate::call_context::{CallOrigin, Lane};
use crate::domain::audit::Actor;
use crate::domain::backoff;
use crate::domain::effect::{self, Effect, EffectName};
use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::rotation::{LastFailure, Rotation};
use crate::domain::time::later;
use crate::engine::commands::{Command, CommandRequest};
use crate::engine::commit::{PendingEntry, ReconcileError};
use crate::engine::context::Context;
use crate::engine::effects::{EffectOutcome, Effects};
use crate::engine::emergency::{EmergencyPermit, LeakResponse};
use crate::engine::inspect::InspectionHint;
use crate::engine::look::Look;
use crate::engine::recoveries::Cause;
use crate::engine::shared_state::SharedState;
use crate::engine::work::Work;
use crate::ports::journal::CredentialState;
use crate::ports::meter::Meter;

/// One credential with everything that its reconciliation needs. The controller lends the state and takes it back.
pub(super) struct Reconciler {
    pub(super) context: Arc<Context>,
    pub(super) record: Record,
    pub(super) work: Work,
    /// What an inspection found about the credential. Processed first.
    pub(super) hint: Option<InspectionHint>,
    /// What was seen of a key that is not rotated yet.
    pub(super) look: Option<Look>,
    /// What the rotation put into service is looked at now: an inspection is under way.
    pub(super) inspects_in_service: bool,
    pub(super) permit: EmergencyPermit,
    /// Cancelled to end the reconciliation at the next journalled point.
    pub(super) interrupt: CancellationToken,
    /// Cancelled to end the reconciliation even if the journal cannot be written.
    pub(super) quit: CancellationToken,
    pub(super) shared: Arc<SharedState>,
    /// The actor that the next journal entry names.
    pub(super) actor: Actor,
    pub(super) meter: Arc<dyn Meter>,
    /// An operator wants what failed to be tried again now.
    pub(super) hurried: bool,
}

/// When to reconcile the credential again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    RequeueAt(Timestamp),
    /// Only a command, a reload or a finding of a scan changes anything.
    AwaitChange,
}

impl From<Option<Timestamp>> for Action {
    fn from(at: Option<Timestamp>) -> Self {
        at.map_or(Self::AwaitChange, Self::RequeueAt)
    }
}

impl Reconciler {
    /// Executes `requests`, then advances the credential as far as possible. With `reread`, the journal is read first,
    /// because what memory has may be stale.
    ///
    /// # Errors
    /// The credential cannot be reconciled now; what was journalled is in `self`.
    pub(super) async fn reconcile(
        &mut self,
        reread: bool,
        mut requests: Vec<CommandRequest>,
    ) -> Result<Action, ReconcileError> {
        if let Some(at) = requests.iter().position(|request| request.command == Command::Repair) {
            Box::pin(self.repair(requests.remove(at))).await?;
            self.actor = Actor::Policy;
        }
        if reread && let Some(known) = self.reread().await? {
            self.record = known.record;
            self.work.replace(known.rotation);
            self.publish();
        }
        if let Some(rotation) = self.work.rotation()
            && let Some(event) = effect::on_resume(rotation)
        {
            let entry = self.entry(rotation, event)?;
            self.commit(entry).await?;
        }
        self.adopt_terms().await?;
        self.note_left().await?;
        for request in requests {
            self.actor = request.actor();
            Box::pin(self.execute(request)).await?;
            self.actor = Actor::Policy;
        }
        if let Some(hint) = self.hint.take() {
            self.inspect(&hint).await?;
        }
        if let Some(look) = self.look.take() {
            self.take_look(look).await?;
        }
        if std::mem::take(&mut self.inspects_in_service) {
            Box::pin(self.inspect_in_service()).await?;
        }
        loop {
            // Boxed: a thousand reconcilers with nothing to do must not each take the memory of a busy one.
            let step = match &self.work {
                Work::Rotating(active) => {
                    let origin = CallOrigin::of(&active.rotation);
                    call_context::with_origin(Some(origin), Box::pin(self.advance())).await?
                }
                Work::Idle => Box::pin(self.idle()).await?,
            };
            if let Some(action) = step {
                return Ok(action);
            }
            if self.interrupt.is_cancelled() && !self.would_cost_a_key() {
                return Ok(Action::RequeueAt(self.context.now()));
            }
        }
    }

    async fn reread(&self) -> Result<Option<CredentialState>, ReconcileError> {
        self.context.journal.load_one(&self.record.credential).await.map_err(ReconcileError::reading)
    }

    /// A journalled intent to mint is carried out at once or never, and a value that is only in memory goes into its
    /// first destination before anything else: a pause in between could end the process, and would cost the key.
    fn would_cost_a_key(&self) -> bool {
        let pending = self.work.rotation().and_then(effect::pending);
        matches!(pending, Some(Effect::Mint | Effect::Stage { destination: 0 }))
    }

    /// A reload may change the terms of a rotation that is under way; the rest of its plan is frozen.
    async fn adopt_terms(&mut self) -> Result<(), ReconcileError> {
        let (Some(rotation), Some(credential)) = (self.work.rotation(), self.policy()) else {
            return Ok(());
        };
        if rotation.plan.emergency || rotation.plan.terms == credential.terms {
            return Ok(());
        }
        let terms = credential.terms.clone();
        let entry = self.entry(rotation, Event::TermsRevised { terms })?;
        self.commit(entry).await
    }

    /// One effect of the rotation and its outcome. `None` if something was journalled: there may be more to do.
    async fn advance(&mut self) -> Result<Option<Action>, ReconcileError> {
        match Box::pin(self.respond_to_leak()).await? {
            LeakResponse::None => {}
            LeakResponse::Committed => return Ok(None),
            LeakResponse::Wait(until) => return Ok(Some(Action::RequeueAt(until))),
        }
        let hurried = std::mem::take(&mut self.hurried);
        let Some(mut effects) = self.effects() else { return Ok(None) };
        if let Some(event) = Box::pin(effects.renew_expiry_while_publishing()).await {
            let entry = effects.entry(event)?;
            self.commit(entry).await?;
            self.hurried = hurried;
            return Ok(None);
        }
        let rotation = effects.rotation;
        let Some(effect) = effect::pending(rotation) else {
            return Ok(Some(Box::pin(effects.tend_admin_key()).await.into()));
        };
        let now = effects.context.now();
        let (clock, name) = (effects.context.clock.as_ref(), &rotation.plan.credential);
        let failed_at = |failure: &LastFailure| effects.shared.waits.failed_at(clock, name, failure.last_at);
        let failed_at = rotation.last_failure.as_ref().map_or(now, failed_at);
        let pace = Pace::of(effect, rotation, effects.leaked_new_key(), failed_at);
        let cause = Cause::of(effect, &rotation.plan);
        if !hurried && let Some(next) = pace.waits_until(effects.context, effects.shared, &cause) {
            let Some(demanded) = Box::pin(effects.demand_meanwhile(effect)).await else {
                return Ok(Some(Action::RequeueAt(next.min(effects.looks_again(effect)))));
            };
            let entry = effects.entry(demanded)?;
            self.commit(entry).await?;
            return Ok(None);
        }
        // The span puts the rotation into every log line of the effect's calls.
        let (credential, id) = (&rotation.plan.credential, rotation.plan.rotation);
        let span = tracing::info_span!("effect", %credential, rotation = %id, effect = effect.name().label());
        let acting = call_context::in_lane(pace.lane, Box::pin(effects.act(effect)));
        let event = match acting.instrument(span).await {
            Ok(EffectOutcome::Happened(event)) => {
                effects.shared.recoveries.succeeded(&cause, effects.context.uptime());
                event
            }
            Ok(EffectOutcome::Wait(until)) => return Ok(Some(Action::RequeueAt(until))),
            Err(failure) if now < pace.told_at && pace.is_the_same(&failure) => {
                tracing::debug!(%credential, rotation = %id, %failure, "tried once more in the safety lane");
                return Ok(Some(Action::RequeueAt(later(effects.context.now(), backoff::SAFETY.cap))));
            }
            Err(failure) => {
                effects.shared.recoveries.failed(&cause, effects.context.uptime());
                Event::EffectFailed { effect: effect.name(), failure }
            }
        };
        let concludes = event.concludes_from_the_time();
        let entry = effects.entry(event)?;
        if concludes && effects.context.clock.steps() != effects.steps {
            // The clock was set since the conclusion was checked: it is drawn again.
            return Ok(None);
        }
        self.commit(entry).await?;
        Ok(None)
    }

    /// The rotation under way with what its effects work with; `None` between rotations.
    pub(super) fn effects(&mut self) -> Option<Effects<'_>> {
        let Work::Rotating(active) = &mut self.work else { return None };
        Some(Effects {
            context: &self.context,
            shared: &self.shared,
            record: &self.record,
            rotation: &active.rotation,
            steps: self.context.clock.steps(),
            value: &mut active.memory.value,
            acceptances: &mut active.memory.acceptances,
            mint_permit: &mut active.mint_permit,
            publishing_turn: &mut active.publishing_turn,
        })
    }

    /// The next journal entry of `rotation`.
    pub(super) fn entry(&self, rotation: &Rotation, event: Event) -> Result<PendingEntry, ReconcileError> {
        PendingEntry::of(rotation, event, self.context.now())
    }

    pub(super) fn policy(&self) -> Option<&Credential> {
        let name = &self.record.credential;
        if self.work.is_idle() { self.context.credential(name) } else { self.context.of_rotation(name) }
    }
}

/// When an effect that has failed is tried again, and in which lane.
struct Pace<'r> {
    lane: Lane,
    tried_at: Timestamp,
    /// An effect of safety is tried more often than is worth a journal entry each: until then a failure that is as the
    /// last one was is not journalled.
    told_at: Timestamp,
    last: Option<&'r Failure>,
    failed_at: Timestamp,
    /// What failed may work again for another credential before.
    is_shared: bool,
}

impl<'r> Pace<'r> {
    fn of(effect: Effect, rotation: &'r Rotation, leaked_new_key: bool, failed_at: Timestamp) -> Self {
        let is_of_safety = effect::is_of_safety(effect, rotation, leaked_new_key);
        let lane = if is_of_safety { Lane::Safety } else { Lane::Ordinary };
        let Some(last_failure) = rotation.last_failure.as_ref().filter(|_| effect != Effect::Mint) else {
            return Self {
                lane,
                tried_at: failed_at,
                told_at: failed_at,
                last: None,
                failed_at,
                is_shared: false,
            };
        };
        let LastFailure { effect: failed, failures, last, .. } = last_failure;
        let seed = &rotation.plan.credential;
        let after = |wait| later(failed_at, wait);
        let (tried_at, told_at) = if !is_of_safety {
            let at = after(backoff::CALLS.wait(*failures, last.retry_after, seed));
            (at, at)
        } else if *failed == EffectName::Mint {
            // Each attempt costs a part of the mint budget.
            let at = after(backoff::CALLS.wait(*failures, None, seed));
            (at, at)
        } else {
            let tried_at = after(backoff::SAFETY.wait(*failures, None, seed));
            (tried_at, after(backoff::CALLS.wait(*failures, None, seed)))
        };
        let is_asked_to_wait = last.kind == Kind::Throttled || last.retry_after.is_some();
        let is_shared = *failed == effect.name() && !is_of_safety && !is_asked_to_wait;
        Self { lane, tried_at, told_at, last: Some(last), failed_at, is_shared }
    }

    /// When it is time to try, or to ask again; `None` if it is time now: the back-off is over, or what failed works again, or
    /// nobody has tried it for almost a minute.
    fn waits_until(&self, context: &Context, shared: &SharedState, cause: &Cause) -> Option<Timestamp> {
        let now = context.now();
        if now >= self.tried_at {
            return None;
        }
        if !self.is_shared {
            return Some(self.tried_at);
        }
        let uptime = context.uptime();
        let ago = Duration::try_from(now.duration_since(self.failed_at)).unwrap_or_default();
        let recoveries = &shared.recoveries;
        if recoveries.may_try(cause, uptime.saturating_sub(ago), uptime) {
            return None;
        }
        let early =
            SignedDuration::try_from(recoveries.next_try(cause, uptime)).unwrap_or(SignedDuration::MAX);
        Some(self.tried_at.min(later(now, early)))
    }

    fn is_the_same(&self, failure: &Failure) -> bool {
        self.last.is_some_and(|last| last.kind == failure.kind && last.certainty == failure.certainty)
    }
}
