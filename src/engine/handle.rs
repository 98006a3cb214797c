//! How the rest of the program speaks to the engine. Cheap to clone; never blocks the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::ack::Ack;
use crate::domain::hold::{Held, Holds, Scope};
use crate::domain::ids::CredentialName;
use crate::domain::report::remark::Orphan;
use crate::domain::rotation::Rotation;
use crate::domain::secret::Fingerprint;
use crate::engine::orders::{Order, Wish};
use crate::engine::restraints::Restraints;
use crate::engine::setup::Setup;
use crate::ports::journal::{self, Journal, Known};

/// Enough for every operator and consumer of a fleet to speak at once; more have to wait their turn.
pub(super) const COMMANDS_MAX: usize = 256;

/// Enough to see whose they are; the audit log has all of them.
const ORPHANS_KEPT: usize = 5;

pub(super) enum Command {
    Order {
        credential: CredentialName,
        order: Order,
    },
    /// Something happened that may open a gate.
    Look {
        credential: CredentialName,
    },
    Reload(Arc<Setup>),
    /// Look for keys that nobody answers for.
    Sweep,
    /// Look for keys that are not as they should be.
    Inspect,
    Holds(Pause),
}

/// What is to be held back from now on, or not any longer.
pub(super) struct Pause {
    pub(super) scope: Scope,
    pub(super) only: Option<Held>,
    pub(super) why: String,
    pub(super) by: String,
    pub(super) lift: bool,
    pub(super) answer: oneshot::Sender<Result<String, String>>,
}

/// A sign of life of the engine's loop.
#[derive(Debug, Clone, Default)]
pub struct Pulse {
    /// When the loop last went round.
    pub beat: Option<Timestamp>,
    /// When the scheduler last woke it.
    pub tick: Option<Timestamp>,
    pub credentials: usize,
    /// Visits under way.
    pub visits: usize,
    /// Credentials whose journal is damaged: they are left alone.
    pub damaged: Vec<(CredentialName, String)>,
    /// Keys found by the sweeps of this process with a nonce of ours that no rotation owned any more, and deleted.
    pub orphans_deleted: u64,
    /// The newest of them, the newest last.
    pub orphans: Vec<Orphan>,
}

impl Pulse {
    pub(super) fn tell_of(&mut self, orphans: Vec<Orphan>) {
        self.orphans_deleted += u64::try_from(orphans.len()).unwrap_or(u64::MAX);
        self.orphans.extend(orphans);
        self.orphans.drain(..self.orphans.len().saturating_sub(ORPHANS_KEPT));
    }
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not possible now, or not with this credential: the text says why.
    #[error("{0}")]
    Because(String),
    #[error("rekeyd is stopping")]
    Stopping,
}

/// What a report of a leak meant for one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeakAnswer {
    pub credential: CredentialName,
    /// The key is dead already; otherwise it is being replaced.
    pub answered: bool,
    pub message: String,
}

/// Why a report of a leak was not kept.
#[derive(Debug, thiserror::Error)]
pub enum LeakUnanswered {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Refused(#[from] Refused),
}

#[derive(Clone)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) pulse: watch::Receiver<Pulse>,
    pub(super) setup: watch::Receiver<Arc<Setup>>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) restraints: Arc<Restraints>,
}

impl Handle {
    /// Asks for something and waits until it is journalled. `by` says who, for the journal.
    ///
    /// # Errors
    /// Nothing was done. If the caller goes away meanwhile, the order is carried out all the same.
    pub async fn order(&self, credential: CredentialName, wish: Wish, by: String) -> Result<String, Refused> {
        let (answer, answered) = oneshot::channel();
        let order = Order { wish, by, answer };
        self.commands.send(Command::Order { credential, order }).await.map_err(|_| Refused::Stopping)?;
        answered.await.map_err(|_| Refused::Stopping)?.map_err(Refused::Because)
    }

    /// Keeps an acknowledgement and lets the credential's gates be judged again.
    ///
    /// # Errors
    /// The journal could not be written: the consumer has to say it again.
    pub async fn acknowledge(&self, credential: CredentialName, ack: Ack) -> Result<(), journal::Error> {
        self.journal.acknowledge(&credential, &ack).await?;
        // A stopping engine needs no waking: what is journalled is seen at the next start.
        drop(self.commands.send(Command::Look { credential }).await);
        Ok(())
    }

    /// Has the key with this fingerprint replaced at once, if it is one of ours; says which credential's it is, or was
    /// until it was replaced for that. Repeatable.
    ///
    /// # Errors
    /// It was not kept: it has to be said again.
    pub async fn report_leak(
        &self,
        print: &Fingerprint,
        by: &str,
    ) -> Result<Vec<LeakAnswer>, LeakUnanswered> {
        let mut answers = Vec::new();
        for (credential, known) in self.journal.load().await? {
            // A damaged credential is left alone, and says so in its status.
            let Ok(Known { record, rotation }) = known else { continue };
            let current = record.current.and_then(|current| current.fingerprint);
            let new = rotation.as_ref().and_then(Rotation::successor).map(|new| &new.fingerprint);
            if current.as_ref() == Some(print) || new == Some(print) {
                let wish = Wish::Leaked(print.clone());
                let message = self.order(credential.clone(), wish, by.to_owned()).await?;
                answers.push(LeakAnswer { credential, answered: false, message });
            } else if let Some(done) = record.answered.filter(|it| it.fingerprint.as_ref() == Some(print)) {
                let message = format!("the key was replaced in rotation {} at {}", done.rotation, done.at);
                answers.push(LeakAnswer { credential, answered: true, message });
            }
        }
        Ok(answers)
    }

    /// Puts another policy in force. Rotations under way keep their plan, with the new terms.
    ///
    /// # Errors
    /// Only when the engine is stopping.
    pub async fn reload(&self, setup: Setup) -> Result<(), Refused> {
        self.commands.send(Command::Reload(Arc::new(setup))).await.map_err(|_| Refused::Stopping)
    }

    /// Looks for orphans now.
    ///
    /// # Errors
    /// Only when the engine is stopping.
    pub async fn sweep(&self) -> Result<(), Refused> {
        self.commands.send(Command::Sweep).await.map_err(|_| Refused::Stopping)
    }

    /// Looks through the listings now.
    ///
    /// # Errors
    /// Only when the engine is stopping.
    pub async fn inspect(&self) -> Result<(), Refused> {
        self.commands.send(Command::Inspect).await.map_err(|_| Refused::Stopping)
    }

    /// Holds `only` that, or everything, back. After `Ok` that is durable, nothing of it is begun any more, and nothing
    /// that was under way goes on: what an operator has been told not to happen does not happen.
    ///
    /// # Errors
    /// Nothing is held back by this. If the caller goes away meanwhile, it is held all the same.
    pub async fn pause(
        &self,
        scope: Scope,
        only: Option<Held>,
        why: String,
        by: String,
    ) -> Result<String, Refused> {
        let (answer, answered) = oneshot::channel();
        self.change_holds(Pause { scope, only, why, by, lift: false, answer }, answered).await
    }

    /// Lifts what holds `only` that back, or whatever is held for just this scope.
    ///
    /// # Errors
    /// Nothing was held, or it could not be lifted.
    pub async fn resume(&self, scope: Scope, only: Option<Held>, by: String) -> Result<String, Refused> {
        let (answer, answered) = oneshot::channel();
        self.change_holds(Pause { scope, only, why: String::new(), by, lift: true, answer }, answered).await
    }

    /// Whether anything is held for just this scope.
    #[must_use]
    pub fn is_held(&self, scope: &Scope) -> bool {
        self.holds().all().iter().any(|hold| hold.scope == *scope)
    }

    /// The holds in force.
    #[must_use]
    pub fn holds(&self) -> Arc<Holds> {
        self.restraints.board.in_force()
    }

    async fn change_holds(
        &self,
        pause: Pause,
        answered: oneshot::Receiver<Result<String, String>>,
    ) -> Result<String, Refused> {
        self.commands.send(Command::Holds(pause)).await.map_err(|_| Refused::Stopping)?;
        answered.await.map_err(|_| Refused::Stopping)?.map_err(Refused::Because)
    }

    /// Whether nothing waits because the journal cannot be written.
    #[must_use]
    pub fn is_journal_written(&self) -> bool {
        self.restraints.stuck.load(Relaxed) == 0
    }

    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.borrow().clone()
    }

    /// The policy in force.
    #[must_use]
    pub fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.borrow())
    }

    #[must_use]
    pub fn journal(&self) -> &dyn Journal {
        self.journal.as_ref()
    }
}
