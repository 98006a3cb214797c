//! The handle by which the rest of the program uses the engine. Cheap to clone; never blocks the engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::finding::Finding;
use crate::domain::hold::{HoldKind, Holds, Scope};
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::report::condition::Orphan;
use crate::domain::rotation::Rotation;
use crate::domain::secret::Fingerprint;
use crate::domain::sharing::SharingGroups;
use crate::engine::accounts::AccountRequest;
use crate::engine::commands::{Command, CommandRequest};
use crate::engine::context::{Context, Periods, Timing};
use crate::engine::shared_state::SharedState;
use crate::ports::journal::{self, CredentialState, Journal};

/// Enough for every operator and consumer of a fleet at once; further requests wait.
pub(super) const MESSAGES_MAX: usize = 256;

/// Enough to see which credentials they belong to; the audit log has all of them.
const ORPHANS_KEPT: usize = 5;

pub(super) enum Message {
    Command {
        credential: CredentialName,
        request: CommandRequest,
    },
    /// Something happened that may satisfy a gate.
    Requeue {
        credential: CredentialName,
    },
    Reload(Arc<Context>),
    /// Search for orphans, and read the destinations.
    Sweep,
    /// Search for keys that were changed out of band.
    Inspect,
    ChangeHolds(HoldChange),
    CreateAccount(AccountRequest),
}

/// A hold to put in force, or to lift.
pub(super) struct HoldChange {
    pub(super) scope: Scope,
    pub(super) only: Option<HoldKind>,
    pub(super) why: String,
    pub(super) by: String,
    pub(super) lift: bool,
    pub(super) answer: oneshot::Sender<Result<String, String>>,
}

/// A sign of life of the engine's loop.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat {
    /// When the loop last ran.
    pub beat: Option<Timestamp>,
    /// When the ticker last woke it.
    pub tick: Option<Timestamp>,
    /// When it last did what, by the clock's uptime; `None` before it runs.
    pub looks: Option<Looks>,
    pub credentials: usize,
    /// Credentials that are being reconciled.
    pub reconciling: usize,
    /// Credentials whose journal is damaged: they are left alone.
    pub damaged: Vec<(CredentialName, String)>,
    /// Keys found by the sweeps of this process with a nonce of ours that no rotation owned any more, and deleted.
    pub orphans_deleted: u64,
    /// The newest of them, the newest last.
    pub orphans: Vec<Orphan>,
}

/// When the loop last ran, and last began to search for orphans and for out-of-band changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    pub ran: Duration,
    pub swept: Duration,
    pub inspected: Duration,
}

/// This many periods without a look, and the loop is stalled.
const MISSED_MAX: u32 = 3;

impl Looks {
    /// Whether every loop has looked within three of its periods.
    #[must_use]
    pub fn are_recent(&self, timing: &Timing, uptime: Duration) -> bool {
        let Periods { sweep, inspect, wake: _ } = timing.periods;
        let looks = [(self.ran, timing.look_again), (self.swept, sweep), (self.inspected, inspect)];
        looks.iter().all(|(at, period)| {
            uptime.saturating_sub(*at) <= period.unsigned_abs().saturating_mul(MISSED_MAX)
        })
    }
}

impl Heartbeat {
    /// Whether every loop of the engine has looked lately. One that has not begun yet is not late.
    #[must_use]
    pub fn is_alive(&self, timing: &Timing, uptime: Duration) -> bool {
        self.looks.is_none_or(|looks| looks.are_recent(timing, uptime))
    }

    pub(super) fn count_orphans(&mut self, orphans: Vec<Orphan>) {
        self.orphans_deleted += u64::try_from(orphans.len()).unwrap_or(u64::MAX);
        self.orphans.extend(orphans);
        self.orphans.drain(..self.orphans.len().saturating_sub(ORPHANS_KEPT));
    }
}

/// Why a command was not executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Not possible now, or not with this credential: the text says why.
    #[error("{0}")]
    Because(String),
    #[error("rekeyd is stopping")]
    Stopping,
}

/// The outcome of a leak report for one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeakReportOutcome {
    pub credential: CredentialName,
    /// The key is dead already; otherwise it is being replaced.
    pub answered: bool,
    pub message: String,
}

/// Why a leak report was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum LeakReportError {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Command(#[from] CommandError),
}

#[derive(Clone)]
pub struct Handle {
    pub(super) messages: mpsc::Sender<Message>,
    pub(super) heartbeat: watch::Receiver<Heartbeat>,
    pub(super) context: watch::Receiver<Arc<Context>>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) shared: Arc<SharedState>,
}

impl Handle {
    /// Sends a command and waits until it is journalled. `by` names the requester in the journal.
    ///
    /// # Errors
    /// Nothing was done. If the caller goes away meanwhile, the request is carried out all the same.
    pub async fn request(
        &self,
        credential: CredentialName,
        command: Command,
        by: String,
    ) -> Result<String, CommandError> {
        let (answer, answered) = oneshot::channel();
        let request = CommandRequest { command, by, answer };
        self.messages
            .send(Message::Command { credential, request })
            .await
            .map_err(|_| CommandError::Stopping)?;
        answered.await.map_err(|_| CommandError::Stopping)?.map_err(CommandError::Because)
    }

    /// Replaces the key with this fingerprint at once, if it is a credential's key; returns the credentials whose key it
    /// is, or was until it was replaced for that reason. Repeatable.
    ///
    /// # Errors
    /// The report was not recorded and has to be sent again.
    pub async fn report_leak(
        &self,
        print: &Fingerprint,
        by: &str,
    ) -> Result<Vec<LeakReportOutcome>, LeakReportError> {
        let mut answers = Vec::new();
        for (credential, known) in self.journal.load().await? {
            // A damaged credential is left alone, and says so in its status.
            let Ok(CredentialState { record, rotation }) = known else { continue };
            let current = record.current.and_then(|current| current.fingerprint);
            let new = rotation.as_ref().and_then(Rotation::successor).map(|new| &new.fingerprint);
            if current.as_ref() == Some(print) || new == Some(print) {
                let command = Command::Leaked(print.clone());
                let message = self.request(credential.clone(), command, by.to_owned()).await?;
                answers.push(LeakReportOutcome { credential, answered: false, message });
            } else if let Some(done) = record.answered.filter(|it| it.fingerprint.as_ref() == Some(print)) {
                let message = format!("the key was replaced in rotation {} at {}", done.rotation, done.at);
                answers.push(LeakReportOutcome { credential, answered: true, message });
            }
        }
        Ok(answers)
    }

    /// Puts another policy in force. Rotations under way keep their plan, with the new terms.
    ///
    /// # Errors
    /// Only when the engine is stopping.
    pub async fn reload(&self, context: Context) -> Result<(), CommandError> {
        self.messages.send(Message::Reload(Arc::new(context))).await.map_err(|_| CommandError::Stopping)
    }

    /// Searches for orphans now.
    ///
    /// # Errors
    /// Only when the engine is stopping.
    pub async fn sweep(&self) -> Result<(), CommandError> {
        self.messages.send(Message::Sweep).await.map_err(|_| CommandError::Stopping)
    }

    /// Inspects every workspace now.
    ///
    /// # Errors
    /// Only when the engine is stopping.
    pub async fn inspect(&self) -> Result<(), CommandError> {
        self.messages.send(Message::Inspect).await.map_err(|_| CommandError::Stopping)
    }

    /// Holds back `only` that kind of change, or every change. After `Ok` the hold is durable, no held change begins any
    /// more, and none that was under way goes on.
    ///
    /// # Errors
    /// Nothing is held by this command. If the caller goes away meanwhile, the hold is put all the same.
    pub async fn pause(
        &self,
        scope: Scope,
        only: Option<HoldKind>,
        why: String,
        by: String,
    ) -> Result<String, CommandError> {
        let (answer, answered) = oneshot::channel();
        self.change_holds(HoldChange { scope, only, why, by, lift: false, answer }, answered).await
    }

    /// Lifts the holds of just this scope: those on `only` that kind of change, or all of them.
    ///
    /// # Errors
    /// Nothing was held, or it could not be lifted.
    pub async fn resume(
        &self,
        scope: Scope,
        only: Option<HoldKind>,
        by: String,
    ) -> Result<String, CommandError> {
        let (answer, answered) = oneshot::channel();
        self.change_holds(HoldChange { scope, only, why: String::new(), by, lift: true, answer }, answered)
            .await
    }

    /// Creates a service account of a workspace, unless it is there already. The answer says what was found or done.
    ///
    /// # Errors
    /// It was not created, or that is in doubt. If the caller goes away meanwhile, the request is carried out all the same.
    pub async fn create_account(
        &self,
        workspace: WorkspaceName,
        name: String,
        groups: SharingGroups,
        by: String,
    ) -> Result<String, CommandError> {
        let (answer, answered) = oneshot::channel();
        let request = AccountRequest { workspace, name, groups, by, answer };
        self.messages.send(Message::CreateAccount(request)).await.map_err(|_| CommandError::Stopping)?;
        answered.await.map_err(|_| CommandError::Stopping)?.map_err(CommandError::Because)
    }

    /// Whether just this scope has a hold.
    #[must_use]
    pub fn is_held(&self, scope: &Scope) -> bool {
        self.holds().all().iter().any(|hold| hold.scope == *scope)
    }

    /// The holds in force.
    #[must_use]
    pub fn holds(&self) -> Arc<Holds> {
        self.shared.holds.in_force()
    }

    async fn change_holds(
        &self,
        change: HoldChange,
        answered: oneshot::Receiver<Result<String, String>>,
    ) -> Result<String, CommandError> {
        self.messages.send(Message::ChangeHolds(change)).await.map_err(|_| CommandError::Stopping)?;
        answered.await.map_err(|_| CommandError::Stopping)?.map_err(CommandError::Because)
    }

    /// Whether a reconciler waits because the journal cannot be written.
    pub(super) fn is_a_write_blocked(&self) -> bool {
        self.shared.blocked_writes.load(Relaxed) > 0
    }

    /// Findings that cannot be saved yet: all that there are of each of these credentials.
    #[must_use]
    pub fn unsaved_findings(&self) -> BTreeMap<CredentialName, Vec<Finding>> {
        self.shared.unsaved_findings.all()
    }

    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.borrow().clone()
    }

    /// Whether every loop of the engine has looked within three of its periods.
    #[must_use]
    pub fn is_looking(&self) -> bool {
        let context = self.context();
        self.heartbeat.borrow().is_alive(&context.timing, context.clock.uptime())
    }

    /// The policy in force.
    #[must_use]
    pub fn context(&self) -> Arc<Context> {
        Arc::clone(&self.context.borrow())
    }

    #[must_use]
    pub fn journal(&self) -> &dyn Journal {
        self.journal.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::acceptance::AcceptanceRule;

    #[test]
    fn a_loop_that_has_not_looked_for_three_of_its_periods_is_not_alive() {
        let minutes = |count: u64| Duration::from_mins(count);
        let of = |count: i64| SignedDuration::from_mins(count);
        let timing = Timing {
            settle: of(1),
            activation_deadline: of(1),
            acceptances: AcceptanceRule { count: 2, over: SignedDuration::ZERO },
            clock_skew_max: of(1),
            look_again: of(1),
            periods: Periods { wake: of(1), sweep: of(15), inspect: of(5) },
        };
        // When it last ran, swept and inspected, at an uptime of an hour; all in minutes.
        for (ran, swept, inspected, alive) in [
            (60, 60, 60, true),
            (57, 15, 45, true),
            (56, 60, 60, false),
            (60, 14, 60, false),
            (60, 60, 44, false),
        ] {
            let looks = Looks { ran: minutes(ran), swept: minutes(swept), inspected: minutes(inspected) };
            let heartbeat = Heartbeat { looks: Some(looks), ..Heartbeat::default() };
            assert_eq!(heartbeat.is_alive(&timing, minutes(60)), alive, "{looks:?}");
            let unprompted = Timing { periods: Periods::NEVER, ..timing };
            assert_eq!(heartbeat.is_alive(&unprompted, minutes(60)), ran >= 57, "{looks:?}");
        }
        assert!(Heartbeat::default().is_alive(&timing, minutes(60)), "it has not begun");
    }
}
