//! A whole policy over many days: the real engine, with everything that it does for all credentials at once, in an
//! imagined world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::adapters::memory::journal::MemoryJournal;
use crate::domain::forecast::quotas::VersionQuota;
use crate::domain::ids::{ConsumerName, StoreName, WorkspaceName};
use crate::domain::policy::Policy;
use crate::domain::record::Record;
use crate::domain::time::later;
use crate::engine::{Context, Controller, Handle, Stopped, Timing, WorkspaceClient};
use crate::ports::clock::Clock;
use crate::ports::journal::Entry;
use crate::ports::prober::Prober;
use crate::ports::secret_store::SecretStore;
use crate::rehearsal::call_log::CallLog;
use crate::rehearsal::clock::VirtualClock;
use crate::rehearsal::consumers::Consumers;
use crate::rehearsal::crash::Fuse;
use crate::rehearsal::dry_run::Given;
use crate::rehearsal::shelf::Shelf;
use crate::rehearsal::simulation::score::{Score, Told};
use crate::rehearsal::snapshot::{self, Furniture};
use crate::rehearsal::workspace::Workspace;

mod promises;
pub mod score;

/// A policy with more rotations than that is one to be mended, not to be played to its end.
pub const ROTATIONS_MAX: usize = 20_000;
/// After so many more the journal is rid of what nobody asks for any more.
const FORGET_AFTER: usize = 500;
/// Longer than the mint budget looks back.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(2);
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(15);
/// At least so often it is looked at what has become of everybody.
const ROUND: SignedDuration = SignedDuration::from_hours(1);
/// Until a process that crashed is there again.
const RESTART: SignedDuration = SignedDuration::from_secs(30);

/// How the imagined world behaves.
#[derive(Debug, Clone)]
pub struct Weather {
    /// When consumers take up a key that is new, and say so.
    pub acks_after: SignedDuration,
    /// Those that never do.
    pub never: BTreeSet<ConsumerName>,
    /// The process dies in the middle of a call, so often.
    pub crash_every: Option<SignedDuration>,
    /// So many rotations are played, and no more.
    pub rotations_max: usize,
}

/// Plays the policy from `from` to `until`; `seen` hears how far it is.
///
/// # Errors
/// Why it cannot be played, for a person.
pub fn play(
    given: &Given<'_>,
    weather: &Weather,
    from: Timestamp,
    until: Timestamp,
    seen: impl Fn(Timestamp),
) -> Result<Told, String> {
    let clock = VirtualClock::new(from);
    let runtime = clock.runtime();
    let runtime = runtime.map_err(|error| format!("cannot start the asynchronous runtime: {error}"))?;
    runtime.block_on(async {
        let world = World::build(given, weather, &clock)?;
        world.live(weather, until, seen).await
    })
}

struct World {
    clock: VirtualClock,
    ledger: CallLog,
    fuse: Fuse,
    changed: Arc<Notify>,
    journal: MemoryJournal,
    shelves: BTreeMap<StoreName, Arc<Shelf>>,
    consumers: Arc<Consumers>,
    workspaces: BTreeMap<WorkspaceName, Arc<WorkspaceClient>>,
    policy: Policy,
    quotas: BTreeMap<StoreName, VersionQuota>,
    timing: Timing,
}

impl World {
    /// Everything as on the first day: service accounts with one key each, or none where the policy makes the first.
    fn build(given: &Given<'_>, weather: &Weather, clock: &VirtualClock) -> Result<Self, String> {
        let (ledger, fuse, changed) = (CallLog::default(), Fuse::default(), Arc::new(Notify::new()));
        let policy = given.policy.clone();
        let admin_key = snapshot::admin_key(None).ok_or("the admin key cannot be imagined")?;
        let workspace = |name: &WorkspaceName| {
            Workspace::new(name.clone(), clock.clone(), ledger.clone(), fuse.clone(), Arc::clone(&admin_key))
        };
        let workspaces: BTreeMap<_, _> =
            policy.workspaces.keys().map(|name| (name.clone(), Arc::new(workspace(name)))).collect();
        let shelf =
            |kind| Shelf::new(kind, clock.clone(), ledger.clone(), fuse.clone(), Arc::clone(&changed));
        let shelves: BTreeMap<_, _> =
            given.stores.iter().map(|(name, kind)| (name.clone(), Arc::new(shelf(kind)))).collect();
        let mut at_work = BTreeMap::new();
        for credential in policy.credentials.values() {
            let record = Record::new(credential.name.clone());
            let furniture = Furniture { credential, record: &record, rotation: None, now: clock.now() };
            let unfit = || format!("`{}` cannot be imagined", credential.name);
            let workspace = workspaces.get(&credential.workspace).ok_or_else(unfit)?;
            furniture.furnish_workspace(workspace).ok_or_else(unfit)?;
            for (place, destination) in credential.destinations.iter().enumerate() {
                let shelf = shelves.get(&destination.store).ok_or_else(unfit)?;
                furniture.furnish_shelf(place, destination, shelf).ok_or_else(unfit)?;
            }
            at_work.insert(credential.name.clone(), Arc::clone(workspace));
        }
        let lag = |name: Option<&ConsumerName>| {
            let never = name.is_some_and(|name| weather.never.contains(name));
            (!never).then_some(weather.acks_after)
        };
        let consumers = Consumers::of(&policy, lag, clock.clone(), ledger.clone(), shelves.clone(), at_work);
        let notes = ledger.clone();
        let journal = MemoryJournal::watched(Arc::new(move |entry: &Entry| notes.journalled(entry)));
        let workspaces = given.workspaces(&workspaces);
        let timing = Timing { look_again: LOOK_AGAIN, ..given.timing };
        let (clock, consumers) = (clock.clone(), Arc::new(consumers));
        let quotas = given.stores.iter().filter_map(|(name, kind)| Some((name.clone(), kind.version_quota?)));
        let quotas = quotas.collect();
        Ok(Self {
            clock,
            ledger,
            fuse,
            changed,
            journal,
            shelves,
            consumers,
            workspaces,
            policy,
            quotas,
            timing,
        })
    }

    fn context(&self) -> Context {
        let store = |(name, shelf): (&StoreName, &Arc<Shelf>)| {
            (name.clone(), Arc::clone(shelf) as Arc<dyn SecretStore>)
        };
        Context {
            policy: self.policy.clone(),
            workspaces: self.workspaces.clone(),
            stores: self.shelves.iter().map(store).collect(),
            journal: Arc::new(self.journal.clone()),
            prober: Arc::clone(&self.consumers) as Arc<dyn Prober>,
            clock: Arc::new(self.clock.clone()),
            timing: self.timing,
            seed: [0; 16],
        }
    }

    async fn live(
        self,
        weather: &Weather,
        until: Timestamp,
        seen: impl Fn(Timestamp),
    ) -> Result<Told, String> {
        let mut score = Score::new(&self.policy, &self.quotas, self.clock.now());
        let mut life = self.begin(weather).await?;
        let mut forgotten = 0;
        loop {
            let (acks, next) = self.consumers.look();
            for (credential, ack) in acks {
                let said = life.handle.acknowledge(credential, ack).await;
                said.map_err(|error| error.to_string())?;
            }
            let now = self.clock.now();
            score.read(self.ledger.take());
            score.judge(&self.journal, &self.consumers, now).await?;
            seen(now);
            if now >= until || score.begun() >= weather.rotations_max {
                break;
            }
            if score.begun() >= forgotten + FORGET_AFTER {
                forgotten = score.begun();
                self.journal.forget(now.saturating_sub(self.remembered()).unwrap_or(now));
            }
            let round = now.saturating_add(ROUND).unwrap_or(until).min(until);
            let wake = next.map_or(round, |next| next.min(round));
            tokio::select! {
                biased;
                () = self.fuse.blown() => {
                    drop(life);
                    score.crashed();
                    self.clock.sleep_until(self.clock.now().saturating_add(RESTART).unwrap_or(until)).await;
                    life = self.begin(weather).await?;
                }
                Some(ended) = life.tasks.join_next() => return Err(how(ended)),
                () = self.changed.notified() => {}
                () = self.clock.sleep_until(wake) => {}
            }
        }
        life.stop.cancel();
        let now = self.clock.now();
        Ok(score.finish(now, now >= until))
    }

    /// How far back budgets and breakers look.
    fn remembered(&self) -> SignedDuration {
        let within = self.policy.workspaces.values().map(|limits| limits.breaker.within);
        within.fold(REMEMBERED, SignedDuration::max)
    }

    /// One process, from its start. Dropped, it has crashed.
    async fn begin(&self, weather: &Weather) -> Result<Life, String> {
        let (controller, handle) = Controller::load(self.context(), Arc::new(Notify::new()))
            .await
            .map_err(|error| error.to_string())?;
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(controller.run(stop.clone(), Duration::from_secs(1)));
        if let Some(every) = weather.crash_every {
            self.fuse.light(later(self.clock.now(), every));
        }
        Ok(Life { handle, stop, tasks })
    }
}

struct Life {
    handle: Handle,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), Stopped>>,
}

fn how(ended: Result<Result<(), Stopped>, tokio::task::JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "the engine ended by itself".to_owned(),
        Ok(Err(stopped)) => stopped.to_string(),
        Err(error) => format!("the engine broke down: {error}"),
    }
}
