//! What an operator wants of a credential, and whether that is possible now.

use tokio::sync::oneshot;

use crate::domain::audit::Actor;
use crate::domain::event::Event;
use crate::domain::hold::HoldKind;
use crate::domain::phase::{Alarm, AlarmKind, Phase};
use crate::domain::rotation::{ParkReason, RollbackCause, Rotation};
use crate::domain::secret::Fingerprint;
use crate::engine::commit::ReconcileError;
use crate::engine::reconciler::Reconciler;

/// What an operator can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Rotate now, whatever the schedule and the window say.
    Rotate,
    /// Let a parked rotation go on; `overwrite` lets it replace foreign values in its destinations.
    Retry { overwrite: bool },
    /// Give up a rotation whose key has not been promoted anywhere.
    Abort,
    /// Make the old key the credential's key again.
    RollBack,
    /// Have the disabled old key enabled again at once, and wait for a person.
    Reinstate,
    /// Replace the key with nothing waited for; a rotation under way is an emergency from here on.
    Emergency,
    /// Take what is there for what is wanted.
    Accept,
    /// Make a damaged record anew from the events of the credential's rotations.
    Repair,
    /// Not an operator's, but a report's: the value with this fingerprint is in wrong hands.
    Leaked(Fingerprint),
}

/// A command with who has it and where to answer: what was done, or why not.
pub(super) struct CommandRequest {
    pub(super) command: Command,
    pub(super) by: String,
    pub(super) answer: oneshot::Sender<Result<String, String>>,
}

impl CommandRequest {
    /// Who it is by, for the audit log.
    pub(super) fn actor(&self) -> Actor {
        let by = self.by.clone();
        match self.command {
            Command::Leaked(_) => Actor::Reporter(by),
            Command::Rotate
            | Command::Retry { .. }
            | Command::Abort
            | Command::RollBack
            | Command::Reinstate
            | Command::Emergency
            | Command::Accept
            | Command::Repair => Actor::Operator(by),
        }
    }
}

impl Reconciler {
    /// Carries out an request: its answer is sent when it is journalled. Nobody may be left to hear the answer.
    pub(super) async fn carry_out(&mut self, request: CommandRequest) -> Result<(), ReconcileError> {
        let outcome = match request.command {
            Command::Reinstate => {
                let alarm = Alarm { kind: AlarmKind::Operator, detail: format!("asked by {}", request.by) };
                self.steer(Event::Alarmed { alarm }, "has its old key enabled again").await?
            }
            Command::Rotate => self.ask().await?,
            Command::Emergency => self.hurry(&request.by).await?,
            Command::Accept => self.accept().await?,
            Command::Repair => Ok(format!("the rows of `{}` are sound", self.record.credential)),
            Command::Leaked(print) => self.take_report(&print, &request.by).await?,
            Command::Retry { overwrite } => self.retry(overwrite).await?,
            Command::Abort => self.abort(request.by).await?,
            Command::RollBack => self.roll_back(request.by).await?,
        };
        drop(request.answer.send(outcome));
        Ok(())
    }

    /// Before the new key is in service anywhere, to go back is to abort.
    async fn roll_back(&mut self, by: String) -> Result<Result<String, String>, ReconcileError> {
        let begun = self.rotation.as_ref().and_then(Rotation::successor).is_some_and(|it| it.promotion_begun);
        if self.rotation.is_some() && !begun {
            return self.abort(by).await;
        }
        let event = Event::RollbackBegun { cause: RollbackCause::Operator };
        self.steer(event, "is being rolled back").await
    }

    fn phase(&self) -> Option<&Phase> {
        self.rotation.as_ref().map(|rotation| &rotation.phase)
    }

    async fn ask(&mut self) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        if let Some(rotation) = &self.rotation {
            return Ok(Err(format!(
                "a rotation of `{name}` is under way already, in phase `{}`",
                rotation.phase.name().label()
            )));
        }
        self.save(self.record.ask()).await?;
        if let Some(hold) = self.held(HoldKind::Minting, false) {
            return Ok(Ok(format!(
                "a rotation of `{name}` begins when `{}` lifts this: {hold}",
                hold.way_out()
            )));
        }
        let frozen = self.policy().and_then(|credential| credential.schedule.freeze(self.context.now()));
        Ok(Ok(match frozen {
            Some(freeze) => format!(
                "a rotation of `{name}` begins at {}, when the freeze `{}` ends; to begin now, take the freeze out of the policy and reload",
                freeze.until, freeze.name
            ),
            None if self.is_crowded() => format!(
                "a rotation of `{name}` begins as soon as one of those under way in its workspace is over: the policy's `overlaps_at_once` allows no more"
            ),
            None => format!("a rotation of `{name}` begins now"),
        }))
    }

    async fn retry(&mut self, overwrite: bool) -> Result<Result<String, String>, ReconcileError> {
        let Some(Phase::Parked { reason, was, .. }) = self.phase() else {
            return Ok(Err(format!("`{}` has no parked rotation", self.record.credential)));
        };
        let rolling_back = was.is_rollback();
        let publish_again = overwrite && *reason == ParkReason::ForeignValue && was.row().may_publish_again;
        if publish_again && !rolling_back {
            return self.publish_again().await;
        }
        self.steer(Event::Retried { overwrite }, "goes on").await
    }

    /// A rollback is given up by going forward again.
    async fn abort(&mut self, by: String) -> Result<Result<String, String>, ReconcileError> {
        if self.phase().is_some_and(Phase::is_rollback) {
            return self.publish_again().await;
        }
        self.steer(Event::AbortRequested { by }, "is being aborted").await
    }

    pub(super) async fn publish_again(&mut self) -> Result<Result<String, String>, ReconcileError> {
        let way_back = self.phase().is_some_and(Phase::is_rollback);
        if way_back && matches!(self.value().await, Ok(None)) {
            return Ok(Err(format!(
                "the rollback of `{}` cannot be given up: the new key's value is in no destination any more; if the old key is in wrong hands, report it to `POST /v1/leaks`: then the rollback ends at once and the key is replaced",
                self.record.credential
            )));
        }
        match self.unlike_the_successor().await {
            Ok(destinations) => {
                self.steer(Event::OverwriteRequested { destinations }, "goes on with the new key").await
            }
            Err(failure) => Ok(Err(format!("the destinations could not be read: {failure}"))),
        }
    }

    pub(super) async fn steer(
        &mut self,
        event: Event,
        doing: &str,
    ) -> Result<Result<String, String>, ReconcileError> {
        let Some(rotation) = &self.rotation else {
            return Ok(Err(format!("no rotation of `{}` is under way", self.record.credential)));
        };
        if let Err(illegal) = crate::domain::step::step(rotation, &event, self.context.now()) {
            let because = illegal.because.unwrap_or("that is not possible now");
            return Ok(Err(format!(
                "`{}` is in phase `{}`: {because}",
                self.record.credential,
                illegal.phase.label()
            )));
        }
        let id = rotation.plan.rotation;
        self.commit(event).await?;
        Ok(Ok(format!("rotation {id} of `{}` {doing}", self.record.credential)))
    }
}
