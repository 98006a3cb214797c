//! The owner of what is known of every credential: decides who is visited when, and takes back what visits bring.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::domain::audit::Actor;
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::record::Record;
use crate::domain::report::condition::Orphan;
use crate::domain::rotation::Rotation;
use crate::domain::secret::SecretValue;
use crate::domain::time::later;
use crate::engine::admission::Admission;
use crate::engine::breaker;
use crate::engine::commands::CommandRequest;
use crate::engine::commit::ReconcileError;
use crate::engine::context::Context;
use crate::engine::controller::scan::Served;
use crate::engine::emergency::EmergencyPermit;
use crate::engine::handle::{COMMANDS_MAX, Handle, Heartbeat, Message};
use crate::engine::inspect::InspectionHint;
use crate::engine::reconciler::{Ending, Reconciler};
use crate::engine::sweep::{self, Swept};
use crate::engine::work_queue::WorkQueue;
use crate::ports::journal::{self, Journal};
use crate::ports::meter::{Meter, Unmetered};

mod commands;
mod hold_changes;
mod scan;
mod shutdown;

/// A visit that panicked is not repeated at once.
const AFTER_PANIC: SignedDuration = SignedDuration::from_mins(1);

/// Between two visits that nobody asked for: a defect in what is due must not become a loop without a pause.
const BREATH: SignedDuration = SignedDuration::from_millis(20);

/// A journal that cannot be read is not asked again at once.
const AFTER_UNREADABLE: SignedDuration = SignedDuration::from_secs(10);

/// Why the engine stopped.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// Another process writes the same journal. Nothing that this one believes can be trusted any more.
    #[error("{0}; another process writes the same journal")]
    LeaseLost(journal::Error),
    #[error("{0}")]
    Journal(#[from] journal::Error),
}

/// One credential, as the controller knows it. While a visit is under way, what the visitor took along.
struct Slot {
    record: Record,
    /// Most credentials have none, and it is large.
    rotation: Option<Box<Rotation>>,
    value: Option<SecretValue>,
    /// The visit under way: its pause.
    visit: Option<CancellationToken>,
    /// What is known may be stale: the next visit reads the journal first.
    reread: bool,
    damaged: Option<String>,
    requests: Vec<CommandRequest>,
    /// A listing showed something new: the next visit looks again.
    hint: Option<InspectionHint>,
    /// The visit under way may begin an emergency.
    cleared: bool,
}

enum Finished {
    Reconciler(Box<Reconciler>, Ending),
    Listed {
        workspace: WorkspaceName,
        looked: Result<Swept, sweep::Error>,
        /// Whether orphans are to be looked for in it.
        orphans: bool,
    },
    /// What destinations serve.
    Read(Vec<Served>),
    OrphansDeleted(Vec<Orphan>),
    Holds(hold_changes::Changed),
}

/// The engine. [`Controller::run`] is its life.
pub struct Controller {
    context: Arc<Context>,
    slots: BTreeMap<CredentialName, Slot>,
    work_queue: WorkQueue,
    /// Credentials that are due while their workspace works on as many as it may.
    queues: BTreeMap<WorkspaceName, VecDeque<CredentialName>>,
    running: BTreeMap<WorkspaceName, usize>,
    tasks: JoinSet<Finished>,
    /// Which visit a task is, for those that end without bringing anything back.
    reconcilers: HashMap<task::Id, (CredentialName, WorkspaceName)>,
    commands: mpsc::Receiver<Message>,
    heartbeat: watch::Sender<Heartbeat>,
    published: watch::Sender<Arc<Context>>,
    /// Wakes the loop: the scheduler's ticks.
    nudge: Arc<Notify>,
    quit: CancellationToken,
    admission: Arc<Admission>,
    meter: Arc<dyn Meter>,
    /// Pauses that are in force, and not answered before certain visits have come back.
    expected: Vec<hold_changes::Expected>,
}

impl Controller {
    /// Reads the journal and takes every credential of it and of the policy into care. Does nothing yet.
    ///
    /// # Errors
    /// The journal as a whole cannot be read. Damaged credentials are kept aside, not an error.
    pub async fn load(context: Context, nudge: Arc<Notify>) -> Result<(Self, Handle), Stopped> {
        let context = Arc::new(context);
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (heartbeat, heartbeats) = watch::channel(Heartbeat::default());
        let (published, setups) = watch::channel(Arc::clone(&context));
        let journal = Arc::clone(&context.journal);
        let admission = Admission::load(Arc::<dyn Journal>::clone(&journal)).await?;
        breaker::consult_all(&context, &admission).await;
        let mut slots = BTreeMap::new();
        for (name, known) in journal.load().await? {
            let slot = match known {
                Ok(known) => {
                    if let Some(rotation) = &known.rotation {
                        admission.rotation_limiter.occupy(&rotation.plan.workspace, &name);
                    }
                    Slot { rotation: known.rotation.map(Box::new), ..Slot::new(known.record) }
                }
                Err(error) => {
                    tracing::error!(credential = %name, %error, "left alone: its journal is damaged");
                    Slot { damaged: Some(error.to_string()), ..Slot::new(Record::new(name.clone())) }
                }
            };
            slots.insert(name, slot);
        }
        let mut controller = Self {
            context,
            slots,
            work_queue: WorkQueue::default(),
            queues: BTreeMap::new(),
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
            reconcilers: HashMap::new(),
            commands,
            heartbeat,
            published,
            nudge,
            quit: CancellationToken::new(),
            admission: Arc::new(admission),
            meter: Arc::new(Unmetered),
            expected: Vec::new(),
        };
        controller.take_policy();
        controller.beat();
        let admission = Arc::clone(&controller.admission);
        Ok((
            controller,
            Handle { commands: sender, heartbeat: heartbeats, context: setups, journal, admission },
        ))
    }

    /// Works until `shutdown`, then lets every visit reach its next journalled point, at most for `drain`; what has
    /// not come back by then is dropped, which is as safe as a crash.
    ///
    /// # Errors
    /// The journal belongs to another process.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        drain: std::time::Duration,
    ) -> Result<(), Stopped> {
        self.sweep();
        loop {
            self.start_due();
            self.beat();
            let clock = Arc::clone(&self.context.clock);
            let now = clock.now();
            let longest = later(now, self.context.timing.look_again);
            let wake = self.work_queue.next().map_or(longest, |next| next.min(longest));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(finished) = self.tasks.join_next_with_id() => self.take_back(finished)?,
                Some(command) = self.commands.recv() => self.follow(command),
                () = self.nudge.notified() => self.tick(),
                () = clock.sleep_until(wake) => {}
            }
        }
        self.drain(drain).await
    }

    /// Takes the credentials of the policy into care and lets everyone be looked at.
    fn take_policy(&mut self) {
        for name in self.context.policy.credentials.keys() {
            if !self.slots.contains_key(name) {
                self.slots.insert(name.clone(), Slot::new(Record::new(name.clone())));
            }
        }
        let now = self.context.now();
        for (name, slot) in &self.slots {
            if slot.damaged.is_none() {
                self.work_queue.set(name, Some(now));
            }
        }
    }

    fn follow(&mut self, command: Message) {
        match command {
            Message::CommandRequest { credential, request } => self.take_request(&credential, request),
            Message::Look { credential } => self.look_at(&credential),
            Message::Reload(context) => {
                self.context = Arc::clone(&context);
                self.published.send_replace(context);
                // A visit under way goes by the policy before: it comes back and is sent again.
                for pause in self.slots.values().filter_map(|slot| slot.visit.as_ref()) {
                    pause.cancel();
                }
                self.take_policy();
                self.sweep();
            }
            Message::Sweep => self.sweep(),
            Message::Inspect => self.inspect(),
            Message::Holds(pause) => self.change_holds(pause),
        }
    }

    fn look_at(&mut self, name: &CredentialName) {
        let Some(slot) = self.slots.get(name).filter(|slot| slot.damaged.is_none()) else { return };
        // A visit under way may have judged already: it comes back and is sent again.
        if let Some(pause) = &slot.visit {
            pause.cancel();
        }
        self.work_queue.set(name, Some(self.context.now()));
    }

    fn start_due(&mut self) {
        let now = self.context.now();
        while let Some(name) = self.work_queue.pop_due(now) {
            self.start(name);
        }
    }

    /// Sends a visitor, or queues the credential if its workspace is busy. Orders and emergencies do not queue.
    fn start(&mut self, name: CredentialName) {
        let Some(slot) = self.slots.get(&name) else { return };
        if slot.visit.is_some() || slot.damaged.is_some() {
            return;
        }
        let Some((workspace, limit)) = self.workspace_of(&name, slot) else {
            self.admission.rotation_limiter.leave(&name);
            return self.refuse_requests(&name);
        };
        let running = self.running.entry(workspace.clone()).or_default();
        if *running >= limit && slot.requests.is_empty() && !slot.is_urgent() {
            let queue = self.queues.entry(workspace).or_default();
            if !queue.contains(&name) {
                queue.push_back(name);
            }
            return;
        }
        *running += 1;
        self.spawn_reconciler(name, workspace);
    }

    /// The workspace that the credential's next visit works in; `None` if nothing is to be done for it any more.
    fn workspace_of(&self, name: &CredentialName, slot: &Slot) -> Option<(WorkspaceName, usize)> {
        let of_policy = || self.context.credential(name).map(|credential| credential.workspace.clone());
        let of_rotation = slot.rotation.as_ref().map(|rotation| rotation.plan.workspace.clone());
        let workspace = of_rotation.or_else(of_policy)?;
        let limit = self
            .context
            .workspaces
            .get(&workspace)
            .map_or(1, |workspace_client| workspace_client.limits.rotations_at_once.max(1));
        Some((workspace, limit))
    }

    fn spawn_reconciler(&mut self, name: CredentialName, workspace: WorkspaceName) {
        let Some(permit) = self.slots.get(&name).map(|slot| self.permit(slot)) else { return };
        let Some(slot) = self.slots.get_mut(&name) else { return };
        let pause = CancellationToken::new();
        slot.cleared = permit == EmergencyPermit::Given;
        let visit = Reconciler {
            context: Arc::clone(&self.context),
            record: slot.record.clone(),
            rotation: slot.rotation.as_deref().cloned(),
            value: slot.value.take(),
            mint_permit: None,
            hint: slot.hint.take(),
            permit,
            pause: pause.clone(),
            quit: self.quit.clone(),
            admission: Arc::clone(&self.admission),
            actor: Actor::default(),
            meter: Arc::clone(&self.meter),
        };
        slot.visit = Some(pause);
        let reread = std::mem::take(&mut slot.reread);
        let requests = std::mem::take(&mut slot.requests);
        let task = self.tasks.spawn(async move {
            let (visit, ending) = visit.run(reread, requests).await;
            Finished::Reconciler(Box::new(visit), ending)
        });
        self.reconcilers.insert(task.id(), (name, workspace));
    }

    fn take_back(&mut self, finished: Result<(task::Id, Finished), JoinError>) -> Result<(), Stopped> {
        match finished {
            Ok((id, Finished::Reconciler(visit, ending))) => {
                self.left(id);
                let name = visit.record.credential.clone();
                if matches!(ending, Ending::Halted(_)) && visit.rotation.is_none() {
                    visit.step_aside();
                }
                self.returned(*visit, ending)?;
                self.came_back(&name);
                self.call_next();
            }
            Ok((_, Finished::Listed { workspace, looked: Err(error), .. })) => {
                tracing::warn!(%workspace, %error, "the workspace could not be looked through");
            }
            Ok((_, Finished::Listed { workspace, looked: Ok(swept), orphans })) => {
                self.judge_listing(&workspace, &swept);
                if orphans {
                    self.judge_orphans(swept);
                }
            }
            Ok((_, Finished::Read(read))) => self.judge_places(read),
            Ok((_, Finished::Holds(changed))) => self.holds_changed(changed),
            Ok((_, Finished::OrphansDeleted(deleted))) => {
                self.heartbeat.send_modify(|heartbeat| heartbeat.tell_of(deleted));
            }
            Err(error) => {
                // What the visitor took along is lost, the value included; the journal has the rest.
                let Some(name) = self.left(error.id()) else { return Ok(()) };
                tracing::error!(credential = %name, "a visit panicked; it is repeated from the journal");
                if let Some(slot) = self.slots.get_mut(&name) {
                    slot.visit = None;
                    slot.cleared = false;
                    slot.reread = true;
                    self.work_queue.set(&name, self.context.now().checked_add(AFTER_PANIC).ok());
                }
                self.came_back(&name);
            }
        }
        Ok(())
    }

    /// Frees the task's place in its workspace for the next in the queue.
    fn left(&mut self, id: task::Id) -> Option<CredentialName> {
        let (name, workspace) = self.reconcilers.remove(&id)?;
        if let Some(running) = self.running.get_mut(&workspace) {
            *running = running.saturating_sub(1);
        }
        // One that cannot be visited here any more must not keep the place from those behind it.
        while let Some(next) = self.queues.get_mut(&workspace).and_then(VecDeque::pop_front) {
            self.work_queue.set(&next, Some(self.context.now()));
            let slot = self.slots.get(&next).filter(|slot| slot.visit.is_none() && slot.damaged.is_none());
            if slot.and_then(|slot| self.workspace_of(&next, slot)).is_some_and(|(at, _)| at == workspace) {
                break;
            }
        }
        Some(name)
    }

    fn returned(&mut self, visit: Reconciler, ending: Ending) -> Result<(), Stopped> {
        let Reconciler { record, rotation, value, .. } = visit;
        let name = record.credential.clone();
        let Some(slot) = self.slots.get_mut(&name) else { return Ok(()) };
        let was_urgent = slot.is_in_an_emergency();
        // An request or a change that came while the visitor was away.
        let called_back =
            slot.visit.take().is_some_and(|pause| pause.is_cancelled()) || !slot.requests.is_empty();
        *slot = Slot {
            record,
            rotation: rotation.map(Box::new),
            value,
            visit: None,
            cleared: false,
            ..std::mem::replace(slot, Slot::new(Record::new(name.clone())))
        };
        let is_over = was_urgent && !slot.is_in_an_emergency();
        match ending {
            Ending::Rest { wake } => {
                let now = self.context.now();
                let soonest = now.checked_add(BREATH).unwrap_or(now);
                let wake = if called_back { Some(now) } else { wake.map(|wake| wake.max(soonest)) };
                self.work_queue.set(&name, wake);
            }
            Ending::Halted(ReconcileError::Damaged(error)) => {
                tracing::error!(credential = %name, %error, "left alone: its journal is damaged");
                slot.damaged = Some(error.to_string());
            }
            Ending::Halted(ReconcileError::Unreadable(error)) => {
                tracing::error!(credential = %name, %error, "the journal cannot be read: waiting");
                slot.reread = true;
                self.work_queue.set(&name, self.context.now().checked_add(AFTER_UNREADABLE).ok());
            }
            Ending::Halted(ReconcileError::LeaseLost(error)) => return Err(Stopped::LeaseLost(error)),
            Ending::Halted(ReconcileError::Quit) => {}
        }
        if is_over {
            self.wake_held();
        }
        Ok(())
    }
}

impl Slot {
    fn new(record: Record) -> Self {
        Self {
            record,
            rotation: None,
            value: None,
            visit: None,
            reread: false,
            damaged: None,
            requests: Vec::new(),
            hint: None,
            cleared: false,
        }
    }
}
