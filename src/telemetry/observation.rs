//! The observed state of the daemon, gathered from the journal, the engine and the workspaces. Metrics, readiness and
//! status share it, so that they cannot disagree (I9).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::domain::ack::Ack;
use crate::domain::gate::Evidence;
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::phase::Phase;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::report::condition::{Condition, workspaces_by};
use crate::domain::report::failing;
use crate::domain::report::held_back::WorkspaceState;
use crate::domain::report::holds::Around;
use crate::domain::report::{CredentialReport, Facts, StatusReport};
use crate::domain::rotation::Rotation;
use crate::engine::BUDGET_PERIOD;
use crate::engine::Context;
use crate::engine::Handle;
use crate::engine::Heartbeat;
use crate::engine::WorkspaceHealth;
use crate::ports::journal::{self, CredentialState};
use crate::telemetry::meter::Counts;

mod status;

pub use crate::telemetry::observation::status::{ChannelCounts, Detail, LogComparison, Status};

/// The shortest interval between two reads of the journal.
const CACHE_FOR: Duration = Duration::from_secs(1);

/// Of each workspace; `rekeyd audit compare` shows all of them.
const FOREIGN_SHOWN: usize = 5;

/// A workspace's mint budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub size: u32,
    /// Without the reserve for emergencies; `None` if the journal cannot be read.
    pub remaining: Option<u32>,
}

/// The state of the daemon at one instant.
#[derive(Debug, Clone)]
pub struct Observation {
    pub at: Timestamp,
    pub status: Status,
    pub heartbeat: Heartbeat,
    /// Whether every loop of the engine has looked lately.
    pub is_looking: bool,
    pub workspaces: BTreeMap<WorkspaceName, WorkspaceHealth>,
    /// Every credential of the journal and the policy, or the error of reading the journal.
    pub report: Result<StatusReport, String>,
    /// The conditions of the daemon; present even if the journal cannot be read.
    pub conditions: Vec<Condition>,
    /// Whether the journal is writable.
    pub is_journal_writable: bool,
    pub last_journal_write: Option<Timestamp>,
    pub budgets: BTreeMap<WorkspaceName, Budget>,
    pub clock_skew_max: SignedDuration,
    pub journal_bytes: Option<u64>,
    pub counts: Counts,
}

impl Observation {
    /// Whether the engine reconciles, sweeps and inspects. A draining daemon counts as alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.status.draining || self.is_looking
    }
}

/// Observes the state for all callers.
pub struct Observer {
    handle: Handle,
    status: watch::Receiver<Status>,
    last: Mutex<Option<(Instant, Arc<Observation>)>>,
}

impl Observer {
    #[must_use]
    pub fn new(handle: Handle, status: watch::Receiver<Status>) -> Self {
        Self { handle, status, last: Mutex::new(None) }
    }

    /// The current state, at most a second old. Concurrent callers share one observation.
    pub async fn observe(&self) -> Arc<Observation> {
        let mut last = self.last.lock().await;
        if let Some((_, observation)) = last.as_ref().filter(|(taken, _)| taken.elapsed() < CACHE_FOR) {
            return Arc::clone(observation);
        }
        let observation = Arc::new(self.observe_now().await);
        *last = Some((Instant::now(), Arc::clone(&observation)));
        observation
    }

    /// As [`Observation::is_alive`], without reading the journal.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.status.borrow().draining || self.handle.is_looking()
    }

    /// The report of one credential, never cached; `None` if neither the journal nor the policy has it.
    ///
    /// # Errors
    /// The journal cannot be read. Damaged rows are a report.
    pub async fn credential_report(
        &self,
        name: &CredentialName,
    ) -> Result<Option<CredentialReport>, journal::Error> {
        let context = self.handle.context();
        let policy = context.policy.credentials.get(name);
        let now = context.clock.now();
        let mut records = BTreeMap::new();
        let report = match self.handle.journal().load_one(name).await {
            Ok(Some(mut known)) => {
                let mut unsaved = self.handle.unsaved_findings();
                known.record.findings = unsaved.remove(name).unwrap_or(known.record.findings);
                records = self.predecessors(policy).await?;
                records.insert(name.clone(), known.record.clone());
                let acks = if failing::applies(known.rotation.as_ref(), policy) {
                    self.handle.journal().acks(name).await
                } else {
                    Ok(Vec::new())
                };
                self.credential(&known, policy, acks, now).await
            }
            Ok(None) => Ok(match policy {
                Some(policy) => unrecorded(name, policy, now),
                None => return Ok(None),
            }),
            Err(error) => Err(error),
        };
        let holds = self.handle.holds();
        let workspaces = self.workspaces(&context).await;
        let around =
            Around { holds: &holds, policy: &context.policy, records: &records, workspaces: &workspaces };
        let report = report.map(|report| report.with_holds(&around, now));
        match report {
            Err(error @ journal::Error::Corrupt { .. }) => {
                Ok(Some(CredentialReport::damaged(name, error.to_string())))
            }
            report => report.map(Some),
        }
    }

    /// The current state, never cached.
    pub async fn observe_now(&self) -> Observation {
        let context = self.handle.context();
        let report = self.report(&context).await;
        let budgets = self.budgets(&context).await;
        let status = self.status.borrow().clone();
        let conditions = self.conditions();
        let failing = status.channels.values().filter_map(|tally| tally.failing.clone()).collect();
        let with_conditions =
            |report: StatusReport| report.with_failing_channels(failing).with_conditions(conditions.clone());
        Observation {
            at: context.clock.now(),
            budgets,
            clock_skew_max: context.timing.clock_skew_max,
            journal_bytes: status.journal.as_deref().and_then(bytes),
            counts: status.meter.read(),
            status,
            heartbeat: self.handle.heartbeat(),
            is_looking: self.handle.is_looking(),
            workspaces: context
                .workspaces
                .iter()
                .map(|(name, workspace_client)| (name.clone(), workspace_client.health()))
                .collect(),
            report: report.map_err(|error| error.to_string()).map(with_conditions),
            conditions,
            is_journal_writable: self.handle.is_journal_writable(),
            last_journal_write: self.handle.last_journal_write(),
        }
    }

    /// The conditions of the daemon, most severe first.
    #[must_use]
    pub fn conditions(&self) -> Vec<Condition> {
        let context = self.handle.context();
        let now = context.clock.now();
        let status = self.status.borrow();
        let directory = status.journal.as_deref().and_then(Path::parent);
        let directory = directory.map_or_else(|| ".".to_owned(), |it| it.display().to_string());
        let unwritable = !self.handle.is_journal_writable();
        let mut conditions = Vec::from_iter(unwritable.then(|| Condition::journal_unwritable(&directory)));
        for (credential, findings) in self.handle.unsaved_findings().iter().filter(|_| unwritable) {
            let leaks = findings.iter().filter(|finding| finding.kind.is_leak());
            conditions.extend(leaks.map(|it| Condition::finding_unsaved(credential, it, &directory)));
        }
        let failing = status.meter.failing_stores();
        conditions.extend(failing.iter().map(|(store, kind)| Condition::store_failing(store, *kind)));
        for (name, workspace_client) in &context.workspaces {
            conditions.extend(of_workspace(name, &workspace_client.health()));
        }
        let orphans = self.handle.heartbeat().orphans;
        conditions.extend(
            orphans.iter().rev().filter(|orphan| orphan.is_recent(now)).map(Condition::orphan_deleted),
        );
        let foreign =
            status.comparisons.values().flat_map(|compared| compared.reported(now).take(FOREIGN_SHOWN));
        conditions.extend(foreign.map(Condition::key_changed_by_others));
        conditions
    }

    async fn budgets(&self, context: &Context) -> BTreeMap<WorkspaceName, Budget> {
        let since = context.clock.now().saturating_sub(BUDGET_PERIOD).unwrap_or(Timestamp::MIN);
        let mut budgets = BTreeMap::new();
        for (name, limits) in &context.policy.workspaces {
            let size = limits.mints_per_hour;
            let spent = self.handle.journal().mints_since(name, since).await.ok();
            let spent = spent.map(|mints| u32::try_from(mints.len()).unwrap_or(u32::MAX));
            let remaining = spent.map(|spent| limits.ordinary_mints_per_hour().saturating_sub(spent));
            budgets.insert(name.clone(), Budget { size, remaining });
        }
        budgets
    }

    /// What workspaces hold back. A journal that cannot be read is told by everything else.
    async fn workspaces(&self, context: &Context) -> BTreeMap<WorkspaceName, WorkspaceState> {
        let mut workspaces = workspaces_by(&self.conditions());
        let now = context.clock.now();
        let since = now.saturating_sub(BUDGET_PERIOD).unwrap_or(Timestamp::MIN);
        for (name, limits) in &context.policy.workspaces {
            let Ok(mints) = self.handle.journal().mints_since(name, since).await else { continue };
            workspaces.entry(name.clone()).or_default().count_mints(limits, &mints, now);
        }
        workspaces
    }

    /// The records of the credentials in `after`. A damaged one is left out.
    async fn predecessors(
        &self,
        policy: Option<&Credential>,
    ) -> Result<BTreeMap<CredentialName, Record>, journal::Error> {
        let mut records = BTreeMap::new();
        for name in policy.iter().flat_map(|policy| &policy.after) {
            match self.handle.journal().load_one(name).await {
                Ok(known) => records.extend(known.map(|known| (name.clone(), known.record))),
                Err(journal::Error::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    async fn report(&self, context: &Context) -> Result<StatusReport, journal::Error> {
        let now = context.clock.now();
        let loaded = self.handle.journal().load().await?;
        let mut unsaved = self.handle.unsaved_findings();
        let mut acks = self.handle.journal().all_acks().await?;
        let mut missing: BTreeMap<&CredentialName, _> = context.policy.credentials.iter().collect();
        let mut reports = Vec::with_capacity(loaded.len());
        let mut records = BTreeMap::new();
        for (name, known) in loaded {
            let policy = missing.remove(&name);
            let report = match known {
                Ok(mut known) => {
                    // Not in the journal yet, and true all the same.
                    known.record.findings = unsaved.remove(&name).unwrap_or(known.record.findings);
                    let acks =
                        acks.remove(&name).filter(|_| failing::applies(known.rotation.as_ref(), policy));
                    let report =
                        self.credential(&known, policy, acks.unwrap_or_else(|| Ok(Vec::new())), now).await;
                    records.insert(name.clone(), known.record);
                    report
                }
                Err(error) => Err(error),
            };
            reports.push(report.unwrap_or_else(|error| CredentialReport::damaged(&name, error.to_string())));
        }
        reports.extend(missing.into_iter().map(|(name, policy)| unrecorded(name, policy, now)));
        let holds = self.handle.holds();
        let workspaces = self.workspaces(context).await;
        let around =
            Around { holds: &holds, policy: &context.policy, records: &records, workspaces: &workspaces };
        Ok(StatusReport::new(reports, now).with_holds(&around))
    }

    async fn credential(
        &self,
        known: &CredentialState,
        policy: Option<&Credential>,
        acks: Result<Vec<Ack>, journal::Error>,
        now: Timestamp,
    ) -> Result<CredentialReport, journal::Error> {
        let rotation = known.rotation.as_ref();
        let mut evidence = Evidence { acks: acks?, ..Evidence::default() };
        if let Some(rotation) = switching(known) {
            let (name, journal) = (&known.record.credential, self.handle.journal());
            let observed = journal.observed(name, rotation.plan.rotation).await?;
            evidence.observed = observed.unwrap_or_default();
        }
        let facts = Facts { record: &known.record, rotation, evidence: &evidence, policy };
        Ok(CredentialReport::new(facts, now))
    }
}

fn of_workspace(name: &WorkspaceName, health: &WorkspaceHealth) -> Vec<Condition> {
    let mut conditions = Vec::new();
    match (&health.failing, health.last_answer) {
        (Some(failure), _) => {
            conditions.push(Condition::workspace_failing(name, failure, health.failing_since));
        }
        (None, None) => conditions.push(Condition::workspace_unlisted(name)),
        (None, Some(_)) => {}
    }
    conditions.extend(health.silent_until.map(|until| Condition::workspace_silent(name, until)));
    conditions
}

/// Gates are evaluated while consumers switch only, there or back.
fn switching(known: &CredentialState) -> Option<&Rotation> {
    let switches = |phase: &Phase| matches!(phase, Phase::Overlap(_) | Phase::Returning { .. });
    known.rotation.as_ref().filter(|rotation| switches(&rotation.phase))
}

fn unrecorded(name: &CredentialName, policy: &Credential, now: Timestamp) -> CredentialReport {
    let record = Record::new(name.clone());
    CredentialReport::new(
        Facts { record: &record, rotation: None, evidence: &Evidence::default(), policy: Some(policy) },
        now,
    )
}

/// The size of the journal file and its write-ahead log.
fn bytes(journal: &Path) -> Option<u64> {
    let mut log = journal.as_os_str().to_owned();
    log.push("-wal");
    let log = fs::metadata(log).map_or(0, |log| log.len());
    Some(fs::metadata(journal).ok()?.len() + log)
}
