//! An operator's commands about one credential, and whether each is possible now.

use tokio::sync::oneshot;

use crate::domain::audit::Actor;
use crate::domain::event::Event;
use crate::domain::finding::FindingKind;
use crate::domain::phase::{Alarm, AlarmKind, Phase};
use crate::domain::policy::Mode;
use crate::domain::rotation::{ParkReason, RollbackCause, Rotation};
use crate::domain::secret::Fingerprint;
use crate::domain::step;
use crate::engine::commit::ReconcileError;
use crate::engine::give_up::OldKeyToo;
use crate::engine::reconciler::Reconciler;

/// A command about one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Rotate now, whatever the schedule and the window say.
    Rotate,
    /// Resume a parked rotation, or end a wait after a failure; `overwrite` lets it replace foreign values in its destinations.
    Retry { overwrite: bool },
    /// Abort a rotation whose key has not been promoted anywhere.
    Abort,
    /// Make the old key the credential's key again.
    RollBack,
    /// Say that every consumer uses the new key.
    Confirm,
    /// Enable the disabled old key again at once, and wait for an operator.
    Reinstate,
    /// Replace the key with nothing waited for; a rotation under way is an emergency from here on.
    Emergency,
    /// Accept the key's current permissions, and the sharing groups and the other keys of its account.
    Accept,
    /// Rebuild a damaged record from the events of the credential's rotations.
    Repair,
    /// Name a destination that left the policy no longer.
    Forget(String),
    /// A leak report, not an operator's command: the value with this fingerprint has leaked.
    Leaked(Fingerprint),
}

impl Command {
    /// Whether it makes sense for a credential that has left the policy and has no rotation under way.
    pub(super) fn is_possible_without_a_policy(&self) -> bool {
        match self {
            Self::Forget(_) | Self::Leaked(_) => true,
            Self::Rotate
            | Self::Retry { .. }
            | Self::Abort
            | Self::RollBack
            | Self::Confirm
            | Self::Reinstate
            | Self::Emergency
            | Self::Accept
            | Self::Repair => false,
        }
    }
}

/// A command with the operator who gave it and the channel for its answer: what was done, or why not.
pub(super) struct CommandRequest {
    pub(super) command: Command,
    pub(super) by: String,
    pub(super) answer: oneshot::Sender<Result<String, String>>,
}

impl CommandRequest {
    /// The actor for the audit log.
    pub(super) fn actor(&self) -> Actor {
        let by = self.by.clone();
        match self.command {
            Command::Leaked(_) => Actor::Reporter(by),
            Command::Rotate
            | Command::Retry { .. }
            | Command::Abort
            | Command::RollBack
            | Command::Confirm
            | Command::Reinstate
            | Command::Emergency
            | Command::Accept
            | Command::Forget(_)
            | Command::Repair => Actor::Operator(by),
        }
    }
}

impl Reconciler {
    /// Executes a command. The answer is sent when the command is journalled; the requester may be gone by then.
    pub(super) async fn execute(&mut self, request: CommandRequest) -> Result<(), ReconcileError> {
        let outcome = match request.command {
            Command::Reinstate => {
                let alarm = Alarm { kind: AlarmKind::Operator, detail: format!("asked by {}", request.by) };
                self.steer(Event::Alarmed { alarm }, "has its old key enabled again").await?
            }
            Command::Confirm => self.confirm(request.by).await?,
            Command::Rotate => self.request_rotation().await?,
            Command::Emergency => self.begin_emergency(&request.by).await?,
            Command::Accept => self.accept().await?,
            Command::Repair => Ok(format!("the rows of `{}` are sound", self.record.credential)),
            Command::Forget(destination) => self.forget(&destination).await?,
            Command::Leaked(print) => self.report_leak(&print, &request.by).await?,
            Command::Retry { overwrite } => self.retry(overwrite).await?,
            Command::Abort => self.abort(request.by).await?,
            Command::RollBack => self.roll_back(request.by).await?,
        };
        drop(request.answer.send(outcome));
        Ok(())
    }

    /// Before the new key is in service anywhere, to go back is to abort.
    async fn roll_back(&mut self, by: String) -> Result<Result<String, String>, ReconcileError> {
        let begun = |rotation: &Rotation| rotation.successor().is_some_and(|it| it.promotion_begun);
        if self.work.rotation().is_some_and(|rotation| !begun(rotation)) {
            return self.abort(by).await;
        }
        let event = Event::RollbackBegun { cause: RollbackCause::Operator };
        self.steer(event, "is being rolled back").await
    }

    async fn confirm(&mut self, by: String) -> Result<Result<String, String>, ReconcileError> {
        let name = &self.record.credential;
        match self.phase() {
            Some(Phase::Overlap(_)) => {}
            Some(Phase::Parked { .. }) => {
                let text = format!("the rotation of `{name}` is parked: `rekeyd retry {name}`, then confirm");
                return Ok(Err(text));
            }
            Some(phase) => {
                let phase = phase.name().label();
                let text = format!("`{name}` is in phase `{phase}`: only an overlap can be confirmed");
                return Ok(Err(text));
            }
            None => return Ok(Err(format!("no rotation of `{name}` is under way"))),
        }
        let used = self.record.last_use.as_ref().filter(|_| self.record.is_new()).and_then(|used| {
            used.last.is_some().then(|| {
                format!(
                    "; the old key was last seen in use {}: make sure that this program has switched, or run `rekeyd rollback {name}`",
                    used.told(|at| format!("at {at:.0}"))
                )
            })
        });
        let doing = format!(
            "is confirmed: the old key goes when every other gate is satisfied{}",
            used.unwrap_or_default()
        );
        self.steer(Event::Confirmed { by }, &doing).await
    }

    fn phase(&self) -> Option<&Phase> {
        self.work.rotation().map(|rotation| &rotation.phase)
    }

    async fn request_rotation(&mut self) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        if let Some(rotation) = self.work.rotation() {
            return Ok(Err(format!(
                "a rotation of `{name}` is under way already, in phase `{}`",
                rotation.phase.name().label()
            )));
        }
        if self.policy().is_some_and(|credential| credential.mode == Mode::Observe) {
            return Ok(Err(format!(
                "`{name}` is only observed: set `mode = \"rotate\"` in `[credentials.{name}]`, run `rekeyd reload`, then `rekeyd rotate {name}`"
            )));
        }
        self.save(self.record.ask()).await?;
        let start = self.start_of_a_rotation(false).await;
        let vanished = self.record.findings.iter().any(|it| it.kind == FindingKind::KeyVanished);
        let vanished = if vanished {
            format!(
                "; its key was deleted: this begins with another key of the service account if that has one, and only \
                 `rekeyd rotate {name} --emergency` makes a key with the same permissions"
            )
        } else {
            String::new()
        };
        Ok(Ok(format!("a rotation of `{name}` {start}{vanished}")))
    }

    async fn retry(&mut self, overwrite: bool) -> Result<Result<String, String>, ReconcileError> {
        let Some(Phase::Parked { reason, was, .. }) = self.phase() else {
            return self.hurry().await;
        };
        let rolling_back = was.is_rollback();
        let publish_again = overwrite && *reason == ParkReason::ForeignValue && was.row().may_publish_again;
        if publish_again && !rolling_back {
            return self.publish_again().await;
        }
        let foreign = overwrite && *reason == ParkReason::ForeignValue;
        let back = matches!(**was, Phase::Returning { .. } | Phase::Withdrawing { .. });
        let Some(effects) = self.effects().filter(|_| foreign) else {
            return self.steer(Event::Retried { overwrite, restore: Vec::new() }, "goes on").await;
        };
        let (restore, doing) = match effects.to_overwrite().await {
            Ok(destinations) => {
                let doing = format!("goes on{}", overwriting(effects.rotation, &destinations));
                (if back { destinations } else { Vec::new() }, doing)
            }
            Err(failure) if back => {
                return Ok(Err(format!("the destinations could not be read: {failure}")));
            }
            Err(_) => (Vec::new(), "goes on, overwriting what its destinations serve".to_owned()),
        };
        self.steer(Event::Retried { overwrite, restore }, &doing).await
    }

    /// A rollback is given up by going forward again.
    async fn abort(&mut self, by: String) -> Result<Result<String, String>, ReconcileError> {
        let is_rollback = |phase: &Phase| phase.is_rollback() || phase.underlying().is_rollback();
        if self.phase().is_some_and(is_rollback) {
            return match self.give_up_dead_keys(OldKeyToo::Yes).await? {
                Some(answer) => Ok(answer),
                None => self.publish_again().await,
            };
        }
        self.steer(Event::AbortRequested { by }, "is being aborted").await
    }

    pub(super) async fn publish_again(&mut self) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        let Some(mut effects) = self.effects() else {
            return Ok(Err(format!("no rotation of `{name}` is under way")));
        };
        let lagging = match effects.new_key() {
            Ok(mut new_key) => {
                let way_back = new_key.rotation.phase.is_rollback();
                if way_back && matches!(new_key.value().await, Ok(None)) {
                    return Ok(Err(format!(
                        "the rollback of `{name}` cannot be given up: the new key's value is in no destination any more; if the old key is in wrong hands, report it to `POST /v1/leaks`: then the rollback ends at once and the key is replaced"
                    )));
                }
                new_key.lagging_destinations().await
            }
            Err(failure) => Err(failure),
        };
        match lagging {
            Ok(destinations) => {
                let indices: Vec<usize> = destinations.iter().map(|(index, _)| *index).collect();
                let doing = format!("goes on with the new key{}", overwriting(effects.rotation, &indices));
                self.steer(Event::OverwriteRequested { destinations }, &doing).await
            }
            Err(failure) => Ok(Err(format!("the destinations could not be read: {failure}"))),
        }
    }

    pub(super) async fn steer(
        &mut self,
        event: Event,
        doing: &str,
    ) -> Result<Result<String, String>, ReconcileError> {
        let Some(rotation) = self.work.rotation() else {
            return Ok(Err(format!("no rotation of `{}` is under way", self.record.credential)));
        };
        if let Err(illegal) = step::step(rotation, &event, self.context.now()) {
            let because = illegal.because.unwrap_or("that is not possible now");
            return Ok(Err(format!(
                "`{}` is in phase `{}`: {because}",
                self.record.credential,
                illegal.phase.label()
            )));
        }
        let id = rotation.plan.rotation;
        let entry = self.entry(rotation, event)?;
        self.commit(entry).await?;
        let prospect = match self.work.rotation() {
            Some(rotation) => self.prospect(rotation).await,
            None => String::new(),
        };
        Ok(Ok(format!("rotation {id} of `{}` {doing}{prospect}", self.record.credential)))
    }
}

/// Which destinations are overwritten, for an answer.
fn overwriting(rotation: &Rotation, destinations: &[usize]) -> String {
    let named = destinations.iter().filter_map(|index| rotation.plan.destinations.get(*index));
    let named: Vec<String> = named.map(|destination| format!("`{destination}`")).collect();
    if named.is_empty() { String::new() } else { format!(", overwriting {}", named.join(", ")) }
}
