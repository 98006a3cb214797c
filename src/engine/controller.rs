//! Owns the state of every credential, decides which is reconciled when, and takes the results back.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::domain::audit::Actor;
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::record::Record;
use crate::domain::report::condition::Orphan;
use crate::engine::breaker;
use crate::engine::commit::ReconcileError;
use crate::engine::context::Context;
use crate::engine::controller::entry::CredentialEntry;
use crate::engine::controller::scan::ServedValues;
use crate::engine::controller::timer::Timer;
use crate::engine::emergency::EmergencyPermit;
use crate::engine::handle::{Handle, Heartbeat, MESSAGES_MAX, Message};
use crate::engine::look::Look;
use crate::engine::reconciler::{Action, Reconciler};
use crate::engine::shared_state::SharedState;
use crate::engine::sweep::{self, WorkspaceListing};
use crate::engine::work::Work;
use crate::engine::work_queue::WorkQueue;
use crate::ports::journal::{self, Journal};
use crate::ports::meter::{Meter, Unmetered};

mod commands;
mod entry;
mod hold_changes;
mod looks;
mod scan;
mod shutdown;
mod timer;

/// A reconciliation that panicked is not repeated at once.
const AFTER_PANIC: SignedDuration = SignedDuration::from_mins(1);

/// What a workspace fails to give, in the log.
const LISTING: &str = "listing";

/// The shortest time between two reconciliations without a command: a defect in a due time must not become a busy loop.
const REQUEUE_AFTER_MIN: SignedDuration = SignedDuration::from_millis(20);

/// A journal that cannot be read is not read again at once.
const AFTER_UNREADABLE: SignedDuration = SignedDuration::from_secs(10);

/// Why the engine stopped.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// Another process writes the same journal. Nothing in this process's memory can be trusted any more.
    #[error("{0}; another process writes the same journal")]
    LeaseLost(journal::Error),
    #[error("{0}")]
    Journal(#[from] journal::Error),
}

/// The result of one of the controller's tasks.
enum TaskResult {
    Reconciled(Box<Reconciler>, Result<Action, ReconcileError>),
    Listed {
        workspace: WorkspaceName,
        listing: Result<WorkspaceListing, sweep::Error>,
        /// Whether orphans are to be searched for in it.
        orphans: bool,
    },
    DestinationsRead(Vec<ServedValues>),
    Looked(WorkspaceName, Vec<(CredentialName, Look)>),
    OrphansDeleted(Vec<Orphan>),
    HoldsChanged(hold_changes::HoldOutcome),
    AccountRequested,
}

/// The engine. [`Controller::run`] is its loop.
pub struct Controller {
    context: Arc<Context>,
    entries: BTreeMap<CredentialName, CredentialEntry>,
    work_queue: WorkQueue,
    /// Credentials that are due while their workspace's reconcilers are all busy.
    backlog: BTreeMap<WorkspaceName, VecDeque<CredentialName>>,
    running: BTreeMap<WorkspaceName, usize>,
    tasks: JoinSet<TaskResult>,
    /// The credential of each reconciling task, for those that end in a panic, and the workspace in which it counts.
    reconcilers: HashMap<task::Id, (CredentialName, Option<WorkspaceName>)>,
    messages: mpsc::Receiver<Message>,
    heartbeat: watch::Sender<Heartbeat>,
    published: watch::Sender<Arc<Context>>,
    /// Wakes the loop: the ticker's ticks.
    tick: Arc<Notify>,
    quit: CancellationToken,
    shared: Arc<SharedState>,
    meter: Arc<dyn Meter>,
    /// Pauses that are in force, and answered when certain reconciliations have ended.
    pending_pauses: Vec<hold_changes::PendingPause>,
    /// Workspaces whose credentials are being looked at.
    looking: BTreeSet<WorkspaceName>,
    timer: Timer,
}

impl Controller {
    /// Reads the journal and queues every credential of the journal and of the policy. Does nothing yet.
    ///
    /// # Errors
    /// The journal as a whole cannot be read. Damaged credentials are left alone and are no error.
    pub async fn load(context: Context, tick: Arc<Notify>) -> Result<(Self, Handle), ControllerError> {
        let context = Arc::new(context);
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        let (heartbeat, heartbeats) = watch::channel(Heartbeat::default());
        let (published, contexts) = watch::channel(Arc::clone(&context));
        let journal = Arc::clone(&context.journal);
        let shared = SharedState::load(Arc::<dyn Journal>::clone(&journal)).await?;
        breaker::consult_all(&context, &shared).await;
        let mut entries = BTreeMap::new();
        for (name, known) in journal.load().await? {
            let entry = match known {
                Ok(known) => {
                    if let Some(rotation) = &known.rotation {
                        shared.count(rotation);
                    }
                    shared.committed.update(&known.record, known.rotation.as_ref());
                    CredentialEntry {
                        rotation: known.rotation.map(Box::new),
                        ..CredentialEntry::new(known.record)
                    }
                }
                Err(error) => {
                    tracing::error!(credential = %name, %error, "left alone: its journal is damaged");
                    CredentialEntry {
                        damaged: Some(error.to_string()),
                        ..CredentialEntry::new(Record::new(name.clone()))
                    }
                }
            };
            entries.insert(name, entry);
        }
        let mut controller = Self {
            timer: Timer::start(context.clock.as_ref()),
            context,
            entries,
            work_queue: WorkQueue::default(),
            backlog: BTreeMap::new(),
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
            reconcilers: HashMap::new(),
            messages,
            heartbeat,
            published,
            tick,
            quit: CancellationToken::new(),
            shared: Arc::new(shared),
            meter: Arc::new(Unmetered),
            pending_pauses: Vec::new(),
            looking: BTreeSet::new(),
        };
        controller.requeue_all();
        controller.beat();
        let shared = Arc::clone(&controller.shared);
        Ok((
            controller,
            Handle { messages: sender, heartbeat: heartbeats, context: contexts, journal, shared },
        ))
    }

    /// Works until `shutdown`, then lets every reconciler reach its next journalled point, at most for `drain`. Those that
    /// have not ended by then are dropped, which is as safe as a crash.
    ///
    /// # Errors
    /// The journal belongs to another process.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        drain: std::time::Duration,
    ) -> Result<(), ControllerError> {
        self.sweep();
        loop {
            self.follow_the_clock();
            self.look_by_itself();
            self.start_due();
            self.beat();
            let clock = Arc::clone(&self.context.clock);
            let rest = self.rest();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(finished) = self.tasks.join_next_with_id() => self.on_task_result(finished)?,
                Some(message) = self.messages.recv() => self.on_message(message),
                () = self.tick.notified() => self.on_tick(),
                () = clock.sleep(rest) => {}
            }
        }
        self.drain(drain).await
    }

    /// Adds the credentials of the policy, and queues every credential now.
    fn requeue_all(&mut self) {
        for name in self.context.policy.credentials.keys() {
            if !self.entries.contains_key(name) {
                let entry = CredentialEntry::new(Record::new(name.clone()));
                self.shared.committed.update(&entry.record, None);
                self.entries.insert(name.clone(), entry);
            }
        }
        let now = self.context.uptime();
        for (name, entry) in &self.entries {
            if entry.damaged.is_none() {
                self.work_queue.set(name, Some(now));
            }
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Command { credential, request } => self.queue_request(&credential, request),
            Message::Requeue { credential } => self.requeue_now(&credential),
            Message::Reload(context) => {
                self.context = Arc::clone(&context);
                self.entries.values_mut().for_each(|entry| entry.looked = None);
                // A running reconciler has the policy before: it ends and is started again.
                for pause in self.entries.values().filter_map(|entry| entry.running.as_ref()) {
                    pause.cancel();
                }
                self.requeue_all();
                // Credentials that are new have a view before anyone can see the policy that names them.
                self.published.send_replace(context);
                self.sweep();
            }
            Message::Sweep => self.sweep(),
            Message::Inspect => self.inspect(),
            Message::ChangeHolds(change) => self.change_holds(change),
            Message::CreateAccount(request) => self.create_account(request),
        }
    }

    fn requeue_now(&mut self, name: &CredentialName) {
        let Some(entry) = self.entries.get(name).filter(|entry| entry.damaged.is_none()) else { return };
        // A running reconciler may be past the check already: it ends and is started again.
        if let Some(pause) = &entry.running {
            pause.cancel();
        }
        self.work_queue.set(name, Some(self.context.uptime()));
    }

    fn start_due(&mut self) {
        let now = self.context.uptime();
        while let Some(name) = self.work_queue.pop_due(now) {
            self.start(name);
        }
    }

    /// Starts a reconciler, or adds the credential to the backlog if its workspace is busy. Commands and emergencies do
    /// not wait.
    fn start(&mut self, name: CredentialName) {
        let Some(entry) = self.entries.get(&name) else { return };
        if entry.running.is_some() || entry.damaged.is_some() {
            return;
        }
        let Some((workspace, limit)) = self.workspace_of(&name, entry) else {
            self.shared.release(&name);
            return self.start_removed(name);
        };
        let running = self.running.entry(workspace.clone()).or_default();
        if *running >= limit && entry.requests.is_empty() && !entry.is_urgent() {
            let backlog = self.backlog.entry(workspace).or_default();
            if !backlog.contains(&name) {
                backlog.push_back(name);
            }
            return;
        }
        *running += 1;
        self.spawn_reconciler(name, Some(workspace));
    }

    /// The workspace of the credential's next reconciliation, and how many may run there; `None` if there is nothing left
    /// to do for the credential.
    fn workspace_of(&self, name: &CredentialName, entry: &CredentialEntry) -> Option<(WorkspaceName, usize)> {
        let of_policy = || self.context.credential(name).map(|credential| credential.workspace.clone());
        let of_rotation = entry.rotation.as_ref().map(|rotation| rotation.plan.workspace.clone());
        let workspace = of_rotation.or_else(of_policy)?;
        let limit = self
            .context
            .workspaces
            .get(&workspace)
            .map_or(1, |workspace_client| workspace_client.limits.rotations_at_once.max(1));
        Some((workspace, limit))
    }

    fn spawn_reconciler(&mut self, name: CredentialName, workspace: Option<WorkspaceName>) {
        let Some(permit) = self.entries.get(&name).map(|entry| self.permit(entry)) else { return };
        let Some(entry) = self.entries.get_mut(&name) else { return };
        let pause = CancellationToken::new();
        entry.may_begin_emergency = permit == EmergencyPermit::Given;
        let mut reconciler = Reconciler {
            context: Arc::clone(&self.context),
            record: entry.record.clone(),
            work: Work::new(entry.rotation.as_deref().cloned(), std::mem::take(&mut entry.memory)),
            hint: entry.hint.take(),
            look: entry.look.take(),
            inspects_in_service: std::mem::take(&mut entry.inspects_in_service),
            permit,
            interrupt: pause.clone(),
            quit: self.quit.clone(),
            shared: Arc::clone(&self.shared),
            actor: Actor::default(),
            hurried: false,
            meter: Arc::clone(&self.meter),
        };
        entry.running = Some(pause);
        let reread = std::mem::take(&mut entry.reread);
        let requests = std::mem::take(&mut entry.requests);
        let task = self.tasks.spawn(async move {
            let result = reconciler.reconcile(reread, requests).await;
            TaskResult::Reconciled(Box::new(reconciler), result)
        });
        self.reconcilers.insert(task.id(), (name, workspace));
    }

    fn on_task_result(
        &mut self,
        finished: Result<(task::Id, TaskResult), JoinError>,
    ) -> Result<(), ControllerError> {
        match finished {
            Ok((id, TaskResult::Reconciled(reconciler, result))) => {
                self.free_worker(id);
                let name = reconciler.record.credential.clone();
                if result.is_err() && reconciler.work.is_idle() {
                    reconciler.release_slot();
                }
                self.on_reconciled(*reconciler, result)?;
                self.answer_pauses(&name);
                self.requeue_waiting();
                self.requeue_recovered();
            }
            Ok((_, TaskResult::Listed { workspace, listing: Err(error), .. })) => {
                if self.shared.is_news(&self.context, workspace.as_str(), LISTING, error.label()) {
                    tracing::warn!(%workspace, %error, "the workspace could not be listed");
                }
            }
            Ok((_, TaskResult::Listed { workspace, listing: Ok(listing), orphans })) => {
                self.shared.waiting_log.is_over(workspace.as_str(), LISTING);
                self.inspect_listing(&workspace, &listing);
                if orphans {
                    self.delete_orphans(listing);
                }
            }
            Ok((_, TaskResult::DestinationsRead(served))) => self.compare_served(served),
            Ok((_, TaskResult::Looked(workspace, seen))) => self.take_looks(&workspace, seen),
            Ok((_, TaskResult::AccountRequested)) => {}
            Ok((_, TaskResult::HoldsChanged(outcome))) => self.on_holds_changed(outcome),
            Ok((_, TaskResult::OrphansDeleted(deleted))) => {
                self.heartbeat.send_modify(|heartbeat| heartbeat.count_orphans(deleted));
            }
            Err(error) => {
                // The reconciler's memory is lost, the new key's value included; the journal has the rest.
                let Some(name) = self.free_worker(error.id()) else { return Ok(()) };
                tracing::error!(credential = %name, "a reconciler panicked; it is started again from the journal");
                if let Some(entry) = self.entries.get_mut(&name) {
                    entry.running = None;
                    entry.may_begin_emergency = false;
                    entry.reread = true;
                    self.requeue_after(&name, AFTER_PANIC);
                }
                self.answer_pauses(&name);
            }
        }
        Ok(())
    }

    /// Frees the ended task's worker in its workspace for the next credential of the backlog.
    fn free_worker(&mut self, id: task::Id) -> Option<CredentialName> {
        let (name, workspace) = self.reconcilers.remove(&id)?;
        let Some(workspace) = workspace else { return Some(name) };
        if let Some(running) = self.running.get_mut(&workspace) {
            *running = running.saturating_sub(1);
        }
        // One that cannot be reconciled here any more must not keep the worker from those behind it.
        while let Some(next) = self.backlog.get_mut(&workspace).and_then(VecDeque::pop_front) {
            self.work_queue.set(&next, Some(self.context.uptime()));
            let entry =
                self.entries.get(&next).filter(|entry| entry.running.is_none() && entry.damaged.is_none());
            if entry.and_then(|entry| self.workspace_of(&next, entry)).is_some_and(|(at, _)| at == workspace)
            {
                break;
            }
        }
        Some(name)
    }

    fn on_reconciled(
        &mut self,
        reconciler: Reconciler,
        result: Result<Action, ReconcileError>,
    ) -> Result<(), ControllerError> {
        let Reconciler { record, work, .. } = reconciler;
        let (rotation, memory) = work.into_parts();
        let name = record.credential.clone();
        let Some(entry) = self.entries.get_mut(&name) else { return Ok(()) };
        let (was_urgent, had_a_key) = (entry.is_in_an_emergency(), entry.record.current.is_some());
        let was_published = entry.is_published();
        // A command or a change that arrived while the reconciler ran.
        let changed =
            entry.running.take().is_some_and(|pause| pause.is_cancelled()) || !entry.requests.is_empty();
        *entry = CredentialEntry {
            record,
            rotation: rotation.map(Box::new),
            memory,
            running: None,
            may_begin_emergency: false,
            ..std::mem::replace(entry, CredentialEntry::new(Record::new(name.clone())))
        };
        let is_over = was_urgent && !entry.is_in_an_emergency();
        let is_to_be_told_of =
            (!had_a_key && entry.record.current.is_some()) || (!was_published && entry.is_published());
        match result {
            Ok(_) if changed => self.requeue_after(&name, SignedDuration::ZERO),
            Ok(Action::RequeueAt(at)) => {
                let wait = at.duration_since(self.context.now());
                self.requeue_after(&name, wait.max(REQUEUE_AFTER_MIN));
            }
            Ok(Action::AwaitChange) => self.work_queue.set(&name, None),
            Err(ReconcileError::Damaged(error)) => {
                tracing::error!(credential = %name, %error, "left alone: its journal is damaged");
                entry.damaged = Some(error.to_string());
                self.shared.committed.remove(&name);
            }
            Err(ReconcileError::Unreadable(error)) => {
                tracing::error!(credential = %name, %error, "the journal cannot be read: waiting");
                entry.reread = true;
                self.requeue_after(&name, AFTER_UNREADABLE);
            }
            Err(ReconcileError::LeaseLost(error)) => return Err(ControllerError::LeaseLost(error)),
            Err(ReconcileError::Quit) => {}
        }
        if is_over {
            self.requeue_held_emergencies();
        }
        if is_to_be_told_of {
            self.look();
        }
        Ok(())
    }
}
