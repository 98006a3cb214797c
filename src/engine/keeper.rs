//! The owner of what is known of every credential: decides who is visited when, and takes back what visits bring.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::domain::audit::Actor;
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::instant::later;
use crate::domain::record::Record;
use crate::domain::report::remark::Orphan;
use crate::domain::rotation::Rotation;
use crate::domain::secret::SecretValue;
use crate::engine::agenda::Agenda;
use crate::engine::breaker;
use crate::engine::commit::Halt;
use crate::engine::emergency::Clearance;
use crate::engine::handle::{COMMANDS_MAX, Command, Handle, Pulse};
use crate::engine::inspect::Hint;
use crate::engine::keeper::patrol::Served;
use crate::engine::orders::Order;
use crate::engine::restraints::Restraints;
use crate::engine::setup::Setup;
use crate::engine::sweep::{self, Swept};
use crate::engine::visit::{Ending, Visit};
use crate::ports::journal;
use crate::ports::meter::{Meter, Unmetered};

mod ending;
mod holding;
mod ordered;
mod patrol;

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
    Usurped(journal::Error),
    #[error("{0}")]
    Journal(#[from] journal::Error),
}

/// One credential, as the keeper knows it. While a visit is under way, what the visitor took along.
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
    orders: Vec<Order>,
    /// A listing showed something new: the next visit looks again.
    hint: Option<Hint>,
    /// The visit under way may begin an emergency.
    cleared: bool,
}

enum Finished {
    Visit(Box<Visit>, Ending),
    Listed {
        workspace: WorkspaceName,
        looked: Result<Swept, sweep::Error>,
        /// Whether orphans are to be looked for in it.
        orphans: bool,
    },
    /// What destinations serve.
    Read(Vec<Served>),
    OrphansDeleted(Vec<Orphan>),
    Holds(holding::Changed),
}

/// The engine. [`Keeper::run`] is its life.
pub struct Keeper {
    setup: Arc<Setup>,
    slots: BTreeMap<CredentialName, Slot>,
    agenda: Agenda,
    /// Credentials that are due while their workspace works on as many as it may.
    queues: BTreeMap<WorkspaceName, VecDeque<CredentialName>>,
    running: BTreeMap<WorkspaceName, usize>,
    tasks: JoinSet<Finished>,
    /// Which visit a task is, for those that end without bringing anything back.
    visitors: HashMap<task::Id, (CredentialName, WorkspaceName)>,
    commands: mpsc::Receiver<Command>,
    pulse: watch::Sender<Pulse>,
    published: watch::Sender<Arc<Setup>>,
    /// Wakes the loop: the scheduler's ticks.
    nudge: Arc<Notify>,
    quit: CancellationToken,
    restraints: Arc<Restraints>,
    meter: Arc<dyn Meter>,
    /// Pauses that are in force, and not answered before certain visits have come back.
    expected: Vec<holding::Expected>,
}

impl Keeper {
    /// Reads the journal and takes every credential of it and of the policy into care. Does nothing yet.
    ///
    /// # Errors
    /// The journal as a whole cannot be read. Damaged credentials are kept aside, not an error.
    pub async fn load(setup: Setup, nudge: Arc<Notify>) -> Result<(Self, Handle), Stopped> {
        let setup = Arc::new(setup);
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (pulse, pulses) = watch::channel(Pulse::default());
        let (published, setups) = watch::channel(Arc::clone(&setup));
        let journal = Arc::clone(&setup.journal);
        let restraints = Restraints::load(Arc::clone(&journal)).await?;
        breaker::consult_all(&setup, &restraints).await;
        let mut slots = BTreeMap::new();
        for (name, known) in journal.load().await? {
            let slot = match known {
                Ok(known) => {
                    if let Some(rotation) = &known.rotation {
                        restraints.turns.occupy(&rotation.plan.workspace, &name);
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
        let mut keeper = Self {
            setup,
            slots,
            agenda: Agenda::default(),
            queues: BTreeMap::new(),
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
            visitors: HashMap::new(),
            commands,
            pulse,
            published,
            nudge,
            quit: CancellationToken::new(),
            restraints: Arc::new(restraints),
            meter: Arc::new(Unmetered),
            expected: Vec::new(),
        };
        keeper.take_policy();
        keeper.beat();
        let restraints = Arc::clone(&keeper.restraints);
        Ok((keeper, Handle { commands: sender, pulse: pulses, setup: setups, journal, restraints }))
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
            let clock = Arc::clone(&self.setup.clock);
            let now = clock.now();
            let longest = later(now, self.setup.timing.look_again);
            let wake = self.agenda.next().map_or(longest, |next| next.min(longest));
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
        for name in self.setup.policy.credentials.keys() {
            if !self.slots.contains_key(name) {
                self.slots.insert(name.clone(), Slot::new(Record::new(name.clone())));
            }
        }
        let now = self.setup.now();
        for (name, slot) in &self.slots {
            if slot.damaged.is_none() {
                self.agenda.set(name, Some(now));
            }
        }
    }

    fn follow(&mut self, command: Command) {
        match command {
            Command::Order { credential, order } => self.take_order(&credential, order),
            Command::Look { credential } => self.look_at(&credential),
            Command::Reload(setup) => {
                self.setup = Arc::clone(&setup);
                self.published.send_replace(setup);
                // A visit under way goes by the policy before: it comes back and is sent again.
                for pause in self.slots.values().filter_map(|slot| slot.visit.as_ref()) {
                    pause.cancel();
                }
                self.take_policy();
                self.sweep();
            }
            Command::Sweep => self.sweep(),
            Command::Inspect => self.inspect(),
            Command::Holds(pause) => self.change_holds(pause),
        }
    }

    fn look_at(&mut self, name: &CredentialName) {
        let Some(slot) = self.slots.get(name).filter(|slot| slot.damaged.is_none()) else { return };
        // A visit under way may have judged already: it comes back and is sent again.
        if let Some(pause) = &slot.visit {
            pause.cancel();
        }
        self.agenda.set(name, Some(self.setup.now()));
    }

    fn start_due(&mut self) {
        let now = self.setup.now();
        while let Some(name) = self.agenda.pop_due(now) {
            self.start(name);
        }
    }

    /// Sends a visitor, or queues the credential if its workspace is busy. Orders and emergencies do not queue.
    fn start(&mut self, name: CredentialName) {
        let Some(slot) = self.slots.get(&name) else { return };
        if slot.visit.is_some() || slot.damaged.is_some() {
            return;
        }
        let Some((workspace, limit)) = self.place_of_work(&name, slot) else {
            self.restraints.turns.leave(&name);
            return self.refuse_orders(&name);
        };
        let running = self.running.entry(workspace.clone()).or_default();
        if *running >= limit && slot.orders.is_empty() && !slot.is_urgent() {
            let queue = self.queues.entry(workspace).or_default();
            if !queue.contains(&name) {
                queue.push_back(name);
            }
            return;
        }
        *running += 1;
        self.send_visitor(name, workspace);
    }

    /// The workspace that the credential's next visit works in; `None` if nothing is to be done for it any more.
    fn place_of_work(&self, name: &CredentialName, slot: &Slot) -> Option<(WorkspaceName, usize)> {
        let of_policy = || self.setup.credential(name).map(|credential| credential.workspace.clone());
        let of_rotation = slot.rotation.as_ref().map(|rotation| rotation.plan.workspace.clone());
        let workspace = of_rotation.or_else(of_policy)?;
        let limit = self.setup.desks.get(&workspace).map_or(1, |desk| desk.limits.rotations_at_once.max(1));
        Some((workspace, limit))
    }

    fn send_visitor(&mut self, name: CredentialName, workspace: WorkspaceName) {
        let Some(clearance) = self.slots.get(&name).map(|slot| self.clearance(slot)) else { return };
        let Some(slot) = self.slots.get_mut(&name) else { return };
        let pause = CancellationToken::new();
        slot.cleared = clearance == Clearance::Given;
        let visit = Visit {
            setup: Arc::clone(&self.setup),
            record: slot.record.clone(),
            rotation: slot.rotation.as_deref().cloned(),
            value: slot.value.take(),
            mint_permit: None,
            hint: slot.hint.take(),
            clearance,
            pause: pause.clone(),
            quit: self.quit.clone(),
            restraints: Arc::clone(&self.restraints),
            actor: Actor::default(),
            meter: Arc::clone(&self.meter),
        };
        slot.visit = Some(pause);
        let reread = std::mem::take(&mut slot.reread);
        let orders = std::mem::take(&mut slot.orders);
        let task = self.tasks.spawn(async move {
            let (visit, ending) = visit.run(reread, orders).await;
            Finished::Visit(Box::new(visit), ending)
        });
        self.visitors.insert(task.id(), (name, workspace));
    }

    fn take_back(&mut self, finished: Result<(task::Id, Finished), JoinError>) -> Result<(), Stopped> {
        match finished {
            Ok((id, Finished::Visit(visit, ending))) => {
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
                self.pulse.send_modify(|pulse| pulse.tell_of(deleted));
            }
            Err(error) => {
                // What the visitor took along is lost, the value included; the journal has the rest.
                let Some(name) = self.left(error.id()) else { return Ok(()) };
                tracing::error!(credential = %name, "a visit panicked; it is repeated from the journal");
                if let Some(slot) = self.slots.get_mut(&name) {
                    slot.visit = None;
                    slot.cleared = false;
                    slot.reread = true;
                    self.agenda.set(&name, self.setup.now().checked_add(AFTER_PANIC).ok());
                }
                self.came_back(&name);
            }
        }
        Ok(())
    }

    /// Frees the task's place in its workspace for the next in the queue.
    fn left(&mut self, id: task::Id) -> Option<CredentialName> {
        let (name, workspace) = self.visitors.remove(&id)?;
        if let Some(running) = self.running.get_mut(&workspace) {
            *running = running.saturating_sub(1);
        }
        // One that cannot be visited here any more must not keep the place from those behind it.
        while let Some(next) = self.queues.get_mut(&workspace).and_then(VecDeque::pop_front) {
            self.agenda.set(&next, Some(self.setup.now()));
            let slot = self.slots.get(&next).filter(|slot| slot.visit.is_none() && slot.damaged.is_none());
            if slot.and_then(|slot| self.place_of_work(&next, slot)).is_some_and(|(at, _)| at == workspace) {
                break;
            }
        }
        Some(name)
    }

    fn returned(&mut self, visit: Visit, ending: Ending) -> Result<(), Stopped> {
        let Visit { record, rotation, value, .. } = visit;
        let name = record.credential.clone();
        let Some(slot) = self.slots.get_mut(&name) else { return Ok(()) };
        let was_urgent = slot.is_in_an_emergency();
        // An order or a change that came while the visitor was away.
        let called_back =
            slot.visit.take().is_some_and(|pause| pause.is_cancelled()) || !slot.orders.is_empty();
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
                let now = self.setup.now();
                let soonest = now.checked_add(BREATH).unwrap_or(now);
                let wake = if called_back { Some(now) } else { wake.map(|wake| wake.max(soonest)) };
                self.agenda.set(&name, wake);
            }
            Ending::Halted(Halt::Damaged(error)) => {
                tracing::error!(credential = %name, %error, "left alone: its journal is damaged");
                slot.damaged = Some(error.to_string());
            }
            Ending::Halted(Halt::Unreadable(error)) => {
                tracing::error!(credential = %name, %error, "the journal cannot be read: waiting");
                slot.reread = true;
                self.agenda.set(&name, self.setup.now().checked_add(AFTER_UNREADABLE).ok());
            }
            Ending::Halted(Halt::Usurped(error)) => return Err(Stopped::Usurped(error)),
            Ending::Halted(Halt::Quit) => {}
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
            orders: Vec::new(),
            hint: None,
            cleared: false,
        }
    }
}
