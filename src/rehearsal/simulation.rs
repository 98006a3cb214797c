//! Plays a whole policy over many days: the real engine, with all credentials at once, in an imagined world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::adapters::memory::journal::MemoryJournal;
use crate::domain::ids::{ConsumerName, CredentialName, StoreName, WorkspaceName};
use crate::domain::policy::{Mode, Policy};
use crate::domain::time::later;
use crate::engine::{Context, Controller, ControllerError, Handle, Timing, WorkspaceClient};
use crate::ports::clock::Clock;
use crate::ports::prober::Prober;
use crate::ports::secret_store::SecretStore;
use crate::ports::store_kind::VersionQuota;
use crate::rehearsal::clock::VirtualClock;
use crate::rehearsal::confirmed_at_once;
use crate::rehearsal::consumers::Consumers;
use crate::rehearsal::dry_run::{Given, Past, journal};
use crate::rehearsal::hooks::Recorder;
use crate::rehearsal::simulation::report::SimulationReport;
use crate::rehearsal::simulation::score::Score;
use crate::rehearsal::snapshot::{self, Snapshot};
use crate::rehearsal::store::Store;
use crate::rehearsal::workspace::Workspace;

mod late;
mod promises;
mod quotas;
pub mod report;
mod score;

/// A policy with more rotations than that is changed rather than played to its end.
const ROTATIONS_MAX: usize = 5000;
/// After so many more the journal is rid of what nobody asks for any more.
const FORGET_AFTER: usize = 500;
/// Longer than the mint budget looks back.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(2);
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(15);
/// At least so often it is looked at what has become of everybody.
const ROUND: SignedDuration = SignedDuration::from_hours(1);
/// A rotation that is stuck has no end to wait for.
const PLAY_OUT_MAX: SignedDuration = SignedDuration::from_hours(60 * 24);
/// Until a process that crashed is there again.
const RESTART: SignedDuration = SignedDuration::from_secs(30);

/// How the imagined world behaves, and how much of it is played.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// When consumers take up a key that is new, and say so.
    pub acks_after: SignedDuration,
    /// Those that never do.
    pub never: BTreeSet<ConsumerName>,
    /// The process dies in the middle of a call, so often.
    pub crash_every: Option<SignedDuration>,
    /// So many rotations are played, and no more.
    pub rotations_max: usize,
    /// Rotations that began in time are played to their end.
    pub play_out: bool,
}

impl Conditions {
    /// Nothing goes wrong, and consumers switch within minutes.
    #[must_use]
    pub fn fair() -> Self {
        Self {
            acks_after: SignedDuration::from_mins(5),
            never: BTreeSet::new(),
            crash_every: None,
            rotations_max: ROTATIONS_MAX,
            play_out: true,
        }
    }
}

/// Plays the policy from `from` to `until`, beginning with what the journal knows of each credential; `seen` hears how
/// far it is.
///
/// # Errors
/// Why it cannot be played, for an operator.
pub fn play(
    given: &Given<'_>,
    pasts: &BTreeMap<CredentialName, Past>,
    conditions: &Conditions,
    from: Timestamp,
    until: Timestamp,
    seen: impl Fn(Timestamp),
) -> Result<SimulationReport, String> {
    let clock = VirtualClock::new(from);
    let runtime = clock.runtime();
    let runtime = runtime.map_err(|error| format!("cannot start the asynchronous runtime: {error}"))?;
    runtime.block_on(async {
        let world = World::build(given, pasts, conditions, &clock)?;
        world.live(pasts, conditions, until, seen).await
    })
}

struct World {
    recorder: Recorder,
    journal: MemoryJournal,
    stores: BTreeMap<StoreName, Arc<Store>>,
    consumers: Arc<Consumers>,
    workspaces: BTreeMap<WorkspaceName, Arc<WorkspaceClient>>,
    policy: Policy,
    quotas: BTreeMap<StoreName, VersionQuota>,
    timing: Timing,
}

impl World {
    /// A credential that the journal does not know is as on its first day: a service account with one key, or with none
    /// where the policy creates the first.
    fn build(
        given: &Given<'_>,
        pasts: &BTreeMap<CredentialName, Past>,
        conditions: &Conditions,
        clock: &VirtualClock,
    ) -> Result<Self, String> {
        let recorder = Recorder::new(clock);
        let mut policy = given.policy.clone();
        policy.credentials = std::mem::take(&mut policy.credentials)
            .into_iter()
            .filter(|(_, credential)| credential.mode == Mode::Rotate)
            .map(|(name, credential)| (name, confirmed_at_once(credential)))
            .collect();
        let workspace = |name: &WorkspaceName| {
            let admin = given.admins.get(name).and_then(|name| pasts.get(name)?.admin_key());
            let workspace = Workspace::new(name.clone(), clock.clone(), snapshot::admin_key(admin)?);
            Some((name.clone(), Arc::new(workspace)))
        };
        let workspaces = policy.workspaces.keys().map(workspace).collect::<Option<BTreeMap<_, _>>>();
        let workspaces = workspaces.ok_or("an admin key cannot be imagined")?;
        let stores = given.empty_stores(&recorder);
        let mut at_work = BTreeMap::new();
        for credential in policy.credentials.values() {
            let known = pasts.get(&credential.name).and_then(|past| past.known.as_ref());
            let snapshot = Snapshot::new(credential, known, clock.now());
            let workspace = snapshot.furnish(&workspaces, &stores)?;
            at_work.insert(credential.name.clone(), workspace);
        }
        let lag = |name: Option<&ConsumerName>| {
            let never = name.is_some_and(|name| conditions.never.contains(name));
            (!never).then_some(conditions.acks_after)
        };
        let consumers = Consumers::of(&policy, lag, recorder.clone(), stores.clone(), at_work);
        let in_policy = pasts.iter().filter(|(name, _)| policy.credentials.contains_key(*name));
        let journal = journal(in_policy.map(|(_, past)| past), &recorder.log)
            .ok_or("the journal cannot be imagined")?;
        let workspaces = given.workspaces(&workspaces, &recorder);
        let timing = Timing { look_again: LOOK_AGAIN, ..given.timing };
        let consumers = Arc::new(consumers);
        let quotas = given.stores.iter().filter_map(|(name, kind)| Some((name.clone(), kind.version_quota?)));
        let quotas = quotas.collect();
        Ok(Self { recorder, journal, stores, consumers, workspaces, policy, quotas, timing })
    }

    fn context(&self) -> Context {
        let store = |(name, store): (&StoreName, &Arc<Store>)| {
            (name.clone(), Arc::clone(store) as Arc<dyn SecretStore>)
        };
        Context {
            policy: self.policy.clone(),
            workspaces: self.workspaces.clone(),
            stores: self.stores.iter().map(store).collect(),
            journal: Arc::new(self.journal.clone()),
            prober: Arc::clone(&self.consumers) as Arc<dyn Prober>,
            clock: Arc::new(self.recorder.clock.clone()),
            timing: self.timing,
            seed: [0; 16],
        }
    }

    async fn live(
        self,
        pasts: &BTreeMap<CredentialName, Past>,
        conditions: &Conditions,
        until: Timestamp,
        seen: impl Fn(Timestamp),
    ) -> Result<SimulationReport, String> {
        let mut score = Score::new(&self.policy, &self.quotas, pasts, self.recorder.clock.now(), until);
        let mut life = self.begin(conditions).await?;
        let mut forgotten = 0;
        loop {
            let (acks, next) = self.consumers.look(|name| score.is_rotating(name));
            for (credential, ack) in acks {
                let said = life.handle.acknowledge(credential, ack).await;
                said.map_err(|error| error.to_string())?;
            }
            let now = self.recorder.clock.now();
            score.read(self.recorder.log.take());
            score.judge(&self.journal, &self.consumers, now).await?;
            seen(now);
            let plays_out =
                conditions.play_out && score.is_any_under_way() && now < later(until, PLAY_OUT_MAX);
            if now >= until && !plays_out || score.begun() >= conditions.rotations_max {
                break;
            }
            if score.begun() >= forgotten + FORGET_AFTER {
                forgotten = score.begun();
                self.journal.forget(now.saturating_sub(self.remembered()).unwrap_or(now));
            }
            let round = later(now, ROUND);
            let round = if now < until { round.min(until) } else { round };
            let wake = next.map_or(round, |next| next.min(round));
            tokio::select! {
                biased;
                () = self.recorder.crash_point.reached() => {
                    drop(life);
                    score.crashed();
                    self.recorder.clock.sleep(RESTART).await;
                    life = self.begin(conditions).await?;
                }
                Some(ended) = life.tasks.join_next() => return Err(how(ended)),
                () = self.recorder.changed.notified() => {}
                () = self.recorder.clock.wait(wake) => {}
            }
        }
        life.stop.cancel();
        let now = self.recorder.clock.now();
        Ok(score.finish(now, now >= until))
    }

    /// How far back budgets and breakers look.
    fn remembered(&self) -> SignedDuration {
        let within = self.policy.workspaces.values().map(|limits| limits.breaker.within);
        within.fold(REMEMBERED, SignedDuration::max)
    }

    /// One process, from its start. Dropped, it has crashed.
    async fn begin(&self, conditions: &Conditions) -> Result<Life, String> {
        let (controller, handle) = Controller::load(self.context(), Arc::new(Notify::new()))
            .await
            .map_err(|error| error.to_string())?;
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(controller.run(stop.clone(), Duration::from_secs(1)));
        if let Some(every) = conditions.crash_every {
            self.recorder.crash_point.arm(later(self.recorder.clock.now(), every));
        }
        Ok(Life { handle, stop, tasks })
    }
}

struct Life {
    handle: Handle,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), ControllerError>>,
}

fn how(ended: Result<Result<(), ControllerError>, tokio::task::JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "the engine ended by itself".to_owned(),
        Ok(Err(stopped)) => stopped.to_string(),
        Err(error) => format!("the engine broke down: {error}"),
    }
}
