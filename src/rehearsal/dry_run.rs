//! Plays the next rotation of one credential in an imagined world, and lists its steps with the calls that they made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::adapters::memory::journal::MemoryJournal;
use crate::adapters::memory::store::MemoryStore;
use crate::config::Config;
use crate::config::components::WorkspaceConfig;
use crate::domain::ids::{CredentialName, StoreName, WorkspaceName};
use crate::domain::links::Links;
use crate::domain::phase::{Phase, PhaseName};
use crate::domain::plan::Reason;
use crate::domain::policy::{Credential, Mode, Policy};
use crate::domain::record::Record;
use crate::domain::rotation::{ParkReason, Rotation};
use crate::domain::schedule::StartDecision;
use crate::domain::secret::Fingerprint;
use crate::engine::{Context, Periods, SingleRun, Timing, WorkspaceClient};
use crate::ports::clock::Clock;
use crate::ports::issuer::Issuer;
use crate::ports::journal::{Acknowledgements as _, CredentialState, Entry, Records as _};
use crate::ports::prober::Prober;
use crate::ports::secret_store::SecretStore;
use crate::ports::store_kind::StoreKind;
use crate::rehearsal::call_log::CallLog;
use crate::rehearsal::clock::VirtualClock;
use crate::rehearsal::consumers::Consumers;
use crate::rehearsal::dry_run::assumptions::assumed;
use crate::rehearsal::dry_run::steps::{Step, Steps};
use crate::rehearsal::hooks::Recorder;
use crate::rehearsal::snapshot::{self, Snapshot};
use crate::rehearsal::store::{Store, first_version};
use crate::rehearsal::workspace::Workspace;
use crate::rehearsal::workspace::client::Client;
use crate::rehearsal::{Stores, confirmed_at_once};

mod assumptions;
pub mod steps;

/// How far ahead a beginning, or an end, is looked for.
const HORIZON: SignedDuration = SignedDuration::from_hours(400 * 24);
/// A defect must not become a loop without an end.
const RECONCILES_MAX: u32 = 200_000;
/// In the imagined world nothing happens between looks; gates that gather evidence look more often.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// What is played.
pub struct Given<'a> {
    pub policy: &'a Policy,
    pub stores: Stores,
    /// The credentials that are workspaces' admin keys.
    pub admins: BTreeMap<WorkspaceName, CredentialName>,
    pub timing: Timing,
}

impl<'a> Given<'a> {
    #[must_use]
    pub fn of(config: &'a Config) -> Self {
        let admin = |(name, workspace): (&WorkspaceName, &WorkspaceConfig)| {
            Some((name.clone(), workspace.admin_key.published.clone()?))
        };
        let daemon = &config.daemon;
        Self {
            policy: &config.policy,
            stores: config.stores.iter().map(|(name, store)| (name.clone(), store.kind())).collect(),
            admins: config.workspaces.iter().filter_map(admin).collect(),
            timing: Timing {
                settle: daemon.settle,
                activation_deadline: daemon.activation_deadline,
                acceptances: daemon.acceptances,
                clock_skew_max: daemon.clock_skew_max,
                look_again: LOOK_AGAIN,
                periods: Periods::NEVER,
            },
        }
    }

    /// Every workspace as the engine uses it.
    pub(super) fn workspaces(
        &self,
        workspaces: &BTreeMap<WorkspaceName, Arc<Workspace>>,
        recorder: &Recorder,
    ) -> BTreeMap<WorkspaceName, Arc<WorkspaceClient>> {
        let client = |(name, workspace): (&WorkspaceName, &Arc<Workspace>)| {
            let limits = self.policy.workspaces.get(name).copied().unwrap_or_default();
            let admin_key = workspace.admin_key();
            let client = Arc::new(Client::new(Arc::clone(workspace), Arc::new(recorder.clone())));
            let workspace =
                WorkspaceClient::new(name.clone(), Arc::clone(&client) as Arc<dyn Issuer>, limits);
            let workspace = workspace.watched_by(client);
            let workspace = match self.admins.get(name) {
                Some(admin) => workspace.administered_by(admin.clone(), admin_key),
                None => workspace,
            };
            (name.clone(), Arc::new(workspace))
        };
        workspaces.iter().map(client).collect()
    }

    /// Every store, empty.
    pub(super) fn empty_stores(&self, recorder: &Recorder) -> BTreeMap<StoreName, Arc<Store>> {
        let store = |(name, kind): (&StoreName, &&'static StoreKind)| {
            let memory = Arc::new(MemoryStore::new(first_version(kind)));
            (name.clone(), Arc::new(Store::new(memory, kind, Arc::new(recorder.clone()))))
        };
        self.stores.iter().map(store).collect()
    }
}

/// What the journal has of the credential.
#[derive(Default)]
pub struct Past {
    pub known: Option<CredentialState>,
    /// Of the rotation under way.
    pub entries: Vec<Entry>,
}

impl Past {
    /// The fingerprint of a credential's key, where that is a workspace's admin key.
    pub(super) fn admin_key(&self) -> Option<&Fingerprint> {
        let known = self.known.as_ref()?;
        let of_the_old = known.record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
        let rotation = known.rotation.as_ref().filter(|it| it.phase.needs_the_old_key());
        let of_the_new = rotation.and_then(Rotation::successor).map(|successor| &successor.fingerprint);
        of_the_new.or(of_the_old)
    }
}

/// A rotation to come, or the rest of one under way.
#[derive(Debug, Clone, Serialize)]
pub struct Prediction {
    /// When the first reason applies; `None` for a rotation under way, and if there is none within 400 days.
    pub due: Option<Timestamp>,
    pub reason: Option<Reason>,
    /// When it begins, or began.
    pub begins: Option<Timestamp>,
    /// What it waits for from `due` to `begins`.
    pub held_by: Option<String>,
    pub steps: Vec<Step>,
    pub end: End,
    pub ends_at: Option<Timestamp>,
    /// What is not known, and was taken to be so.
    pub assumes: Vec<String>,
}

/// How it ends, if all goes as assumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum End {
    /// Nothing is due within the horizon.
    NothingDue,
    Ended {
        phase: PhaseName,
    },
    /// A person has to decide.
    Parked {
        reason: ParkReason,
        detail: String,
    },
    /// None can begin.
    Blocked {
        detail: String,
    },
    /// It is not over within the horizon.
    Unfinished,
}

/// Plays `name` forward from `now`.
///
/// # Errors
/// Why it cannot be played, for a person.
pub async fn foresee(
    given: &Given<'_>,
    name: &CredentialName,
    past: &Past,
    now: Timestamp,
) -> Result<Prediction, String> {
    let credential = given.policy.credentials.get(name);
    let credential = credential.ok_or_else(|| format!("`{name}` is not in the policy"))?;
    let clock = VirtualClock::new(now);
    let world = World::build(given, credential, past, &clock)?;
    let known = world.known().await?;
    let under_way = known.rotation.clone();
    let mut solo = SingleRun::take(world.context, known).await.map_err(|error| error.to_string())?;
    let mut progress = Progress { credential, due: None, under_way: under_way.clone() };
    let mut steps = Steps::new(under_way.clone());
    let end = loop {
        if let Some(end) = progress.end(&solo, &steps, clock.now(), now) {
            break end;
        }
        let wake = solo.go().await.map_err(|error| error.to_string())?;
        steps.read(world.log.take());
        let (acks, next) = world.consumers.look(|_| solo.rotation().is_some());
        let spoke = !acks.is_empty();
        for (credential, ack) in acks {
            world.journal.acknowledge(&credential, &ack).await.map_err(|error| error.to_string())?;
        }
        if spoke && solo.rotation().is_some() {
            continue;
        }
        match wake.into_iter().chain(next).min() {
            Some(at) => clock.move_to(at.max(clock.now())),
            None if solo.rotation().is_none() && !steps.has_begun() => break End::NothingDue,
            None => break progress.end(&solo, &steps, Timestamp::MAX, now).unwrap_or(End::Unfinished),
        }
    };
    let begins = steps.begun_at().or_else(|| under_way.as_ref().map(|it| it.plan.begun_at));
    let (due, reason) = progress.due.unzip();
    let reason = under_way.as_ref().map(|it| it.plan.reason).or_else(|| steps.reason()).or(reason);
    let held_by = due.filter(|due| begins.is_some_and(|begins| begins > *due));
    Ok(Prediction {
        due,
        reason,
        begins,
        held_by: held_by.and_then(|due| held_by_at(credential, due)),
        ends_at: (end != End::NothingDue).then(|| steps.last_at().unwrap_or_else(|| clock.now())),
        end,
        steps: steps.finish(),
        assumes: assumed(credential, past),
    })
}

/// How far the play has come.
struct Progress<'a> {
    credential: &'a Credential,
    due: Option<(Timestamp, Reason)>,
    under_way: Option<Rotation>,
}

impl Progress<'_> {
    /// Notes when it became due, and says whether the play is over.
    fn end(&mut self, solo: &SingleRun, steps: &Steps, at: Timestamp, from: Timestamp) -> Option<End> {
        if self.due.is_none() && self.under_way.is_none() {
            self.due = solo.record().why_now(self.credential, at).map(|reason| (at, reason));
        }
        match solo.rotation().map(|rotation| &rotation.phase) {
            Some(Phase::Parked { reason, detail, .. }) => {
                return Some(End::Parked { reason: *reason, detail: detail.clone() });
            }
            Some(_) => {}
            None if steps.has_begun() || self.under_way.is_some() => {
                let last = solo.record().last.as_ref();
                return last.map(|last| End::Ended { phase: last.outcome });
            }
            None => {
                if let Some(obstacle) = &solo.record().obstacle {
                    return Some(End::Blocked { detail: obstacle.detail.clone() });
                }
            }
        }
        let too_far = at.duration_since(from) > HORIZON || steps.reconciles() > RECONCILES_MAX;
        let has_begun = steps.has_begun() || self.under_way.is_some();
        too_far.then_some(if has_begun { End::Unfinished } else { End::NothingDue })
    }
}

fn held_by_at(credential: &Credential, due: Timestamp) -> Option<String> {
    match credential.schedule.admits(due) {
        StartDecision::Closed { why, .. } => Some(why),
        StartDecision::Open => None,
    }
}

/// The imagined world of one credential.
struct World {
    context: Context,
    journal: MemoryJournal,
    log: CallLog,
    consumers: Arc<Consumers>,
    name: CredentialName,
}

impl World {
    fn build(
        given: &Given<'_>,
        credential: &Credential,
        past: &Past,
        clock: &VirtualClock,
    ) -> Result<Self, String> {
        let recorder = Recorder::new(clock);
        let workspaces =
            workspaces(given, credential, past, clock).ok_or("an admin key cannot be imagined")?;
        let stores = given.empty_stores(&recorder);
        let snapshot = Snapshot::new(credential, past.known.as_ref(), clock.now());
        let workspace = snapshot.furnish(&workspaces, &stores)?;
        let unfit = || format!("the journal's `{}` cannot be imagined", credential.name);
        let journal = journal([past], &recorder.log).ok_or_else(unfit)?;
        let policy = alone(given.policy, credential);
        let at_work = BTreeMap::from([(credential.name.clone(), workspace)]);
        let at_once = |_: Option<&_>| Some(SignedDuration::ZERO);
        let consumers = Consumers::of(&policy, at_once, recorder.clone(), stores.clone(), at_work);
        consumers.settle();
        let consumers = Arc::new(consumers);
        let context = Context {
            workspaces: given.workspaces(&workspaces, &recorder),
            policy,
            stores: stores.into_iter().map(|(name, store)| (name, store as Arc<dyn SecretStore>)).collect(),
            journal: Arc::new(journal.clone()),
            prober: Arc::clone(&consumers) as Arc<dyn Prober>,
            clock: Arc::new(clock.clone()),
            timing: Timing { look_again: LOOK_AGAIN, ..given.timing },
            seed: [0; 16],
        };
        Ok(Self { context, journal, log: recorder.log, consumers, name: credential.name.clone() })
    }

    async fn known(&self) -> Result<CredentialState, String> {
        let known = self.journal.load_one(&self.name).await.map_err(|error| error.to_string())?;
        Ok(known
            .unwrap_or_else(|| CredentialState { record: Record::new(self.name.clone()), rotation: None }))
    }
}

/// With nobody to wait for: what a credential waits for others is told from the journal as it is. Of an observed credential
/// it is played what would happen if it were rotated.
fn alone(policy: &Policy, credential: &Credential) -> Policy {
    let credential = Credential { after: BTreeSet::new(), mode: Mode::Rotate, ..credential.clone() };
    let credential = confirmed_at_once(credential);
    // Field by field: a copy of everybody for each would make a plan of many cost their square.
    Policy {
        workspaces: policy.workspaces.clone(),
        credentials: BTreeMap::from([(credential.name.clone(), credential)]),
        emergencies_at_once: policy.emergencies_at_once,
        rivals: BTreeMap::new(),
        renames: BTreeMap::new(),
        consumers: policy.consumers.clone(),
        links: Links::default(),
    }
}

fn workspaces(
    given: &Given<'_>,
    credential: &Credential,
    past: &Past,
    clock: &VirtualClock,
) -> Option<BTreeMap<WorkspaceName, Arc<Workspace>>> {
    let make = |name: &WorkspaceName| {
        let is_its_own = given.admins.get(name) == Some(&credential.name);
        let admin_key = snapshot::admin_key(is_its_own.then(|| past.admin_key()).flatten())?;
        Some((name.clone(), Arc::new(Workspace::new(name.clone(), clock.clone(), admin_key))))
    };
    given.policy.workspaces.keys().map(make).collect()
}

/// With what is known of each credential; `None` if it cannot be imagined.
pub(super) fn journal<'p>(pasts: impl IntoIterator<Item = &'p Past>, log: &CallLog) -> Option<MemoryJournal> {
    let log = log.clone();
    let journal = MemoryJournal::watched(Arc::new(move |entry: &Entry| log.journalled(entry)));
    for past in pasts {
        if let Some(known) = &past.known {
            let entries = past.entries.iter().map(snapshot::entry).collect::<Option<Vec<Entry>>>()?;
            journal.put(&snapshot::imagined(&known.record)?, entries);
        }
    }
    Some(journal)
}
