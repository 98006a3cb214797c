//! One workspace as the engine uses it: its issuer, its shared inventory, its mint budget and its health.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::OwnedMutexGuard;

use crate::call_context::{self, Lane};
use crate::domain::failure::Failure;
use crate::domain::ids::{CredentialName, ServiceAccountId, WorkspaceName};
use crate::domain::key::Inventory;
use crate::domain::mint_budget::{self, ROOM_AFTER};
use crate::domain::policy::WorkspaceLimits;
use crate::domain::time::{earlier, later};
use crate::domain::usage::Reading;
use crate::engine::shared_inventory::SharedInventory;
use crate::engine::shared_usage::{SharedUsage, UsageQuestion};
use crate::ports::clock::Clock;
use crate::ports::issuer::{AdminKey, Issuer};
use crate::ports::journal::{self, WorkspaceActivity};
use crate::ports::usage::UsageSource;
use crate::ports::workspace_log::WorkspaceLog;

/// What the mint budget is counted over.
pub const BUDGET_PERIOD: SignedDuration = mint_budget::PERIOD;

/// A workspace's issuer with what all its rotations share.
pub struct WorkspaceClient {
    pub(super) name: WorkspaceName,
    pub(super) issuer: Arc<dyn Issuer>,
    /// The evidence of its keys' use, if it has any.
    pub(super) usage: Option<Arc<dyn UsageSource>>,
    shared_usage: SharedUsage,
    log: Option<Arc<dyn WorkspaceLog>>,
    pub(super) limits: WorkspaceLimits,
    /// The admin key, where it is itself rotated: the key of this credential.
    rotated_admin_key: Option<(CredentialName, Arc<AdminKey>)>,
    shared_inventory: SharedInventory,
    /// Of the safety lane: it does not wait for a listing that keeps silent.
    safety_inventory: SharedInventory,
    /// Held from counting the mints of the last hour until the next intent is journalled.
    mint_counter: Arc<tokio::sync::Mutex<RecentMints>>,
    /// Held from looking for an account's name until its creation has an outcome.
    account_creator: Arc<tokio::sync::Mutex<()>>,
    health: Mutex<WorkspaceHealth>,
}

/// The workspace's last answers, for readiness and metrics.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceHealth {
    pub last_answer: Option<Timestamp>,
    /// Set while the newest listing has failed.
    pub failing: Option<Failure>,
    /// When the first listing after the newest answer failed.
    pub failing_since: Option<Timestamp>,
    pub clock_skew_seconds: Option<i64>,
    /// Keys of service accounts in the policy that neither the journal nor a nonce explains.
    pub foreign_keys: Option<usize>,
    /// The names of the service accounts, by the newest listing.
    pub accounts: Arc<BTreeMap<ServiceAccountId, String>>,
    /// Until when the provider wants no calls but those of the safety lane.
    pub silent_until: Option<Timestamp>,
}

/// The answer of the mint budget: permission to journal one intent to mint, or when to ask again.
pub(super) enum MintPermit {
    Granted(OwnedMutexGuard<RecentMints>),
    NotBefore(Timestamp),
}

impl WorkspaceClient {
    #[must_use]
    pub fn new(name: WorkspaceName, issuer: Arc<dyn Issuer>, limits: WorkspaceLimits) -> Self {
        Self {
            name,
            issuer,
            usage: None,
            shared_usage: SharedUsage::default(),
            log: None,
            limits,
            rotated_admin_key: None,
            shared_inventory: SharedInventory::default(),
            safety_inventory: SharedInventory::default(),
            mint_counter: Arc::default(),
            account_creator: Arc::default(),
            health: Mutex::default(),
        }
    }

    /// With evidence of use.
    #[must_use]
    pub fn watched_by(mut self, usage: Arc<dyn UsageSource>) -> Self {
        self.usage = Some(usage);
        self
    }

    /// With its own audit log.
    #[must_use]
    pub fn logged_by(mut self, log: Arc<dyn WorkspaceLog>) -> Self {
        self.log = Some(log);
        self
    }

    /// Its own audit log, if it may have one.
    #[must_use]
    pub fn log(&self) -> Option<&dyn WorkspaceLog> {
        self.log.as_deref()
    }

    /// With an admin key that is itself rotated: the key of `credential`.
    #[must_use]
    pub fn administered_by(mut self, credential: CredentialName, admin_key: Arc<AdminKey>) -> Self {
        self.rotated_admin_key = Some((credential, admin_key));
        self
    }

    /// The admin key in use, if it is the key of `credential`.
    pub(super) fn admin_key_of(&self, credential: &CredentialName) -> Option<&AdminKey> {
        self.rotated_admin_key.as_ref().filter(|(name, _)| name == credential).map(|(_, key)| key.as_ref())
    }

    /// Takes over from the same workspace before a reload: mints go on being counted, and accounts created, under one lock.
    pub fn succeed(&mut self, before: &Self) {
        self.mint_counter = Arc::clone(&before.mint_counter);
        self.account_creator = Arc::clone(&before.account_creator);
        // That it was listed stays true; whether it fails is found out anew.
        let known = before.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *self.health.get_mut().unwrap_or_else(PoisonError::into_inner) =
            WorkspaceHealth { failing: None, failing_since: None, ..known };
    }

    /// Only one creates an account of the workspace at a time.
    pub(super) async fn account_turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.account_creator).lock_owned().await
    }

    #[must_use]
    pub fn health(&self) -> WorkspaceHealth {
        let silent_until = self.issuer.silent_until();
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        WorkspaceHealth { silent_until, ..health }
    }

    pub(super) fn found_foreign_keys(&self, count: usize) {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).foreign_keys = Some(count);
    }

    /// A listing that began after this call; shared by all reconcilers that ask meanwhile.
    ///
    /// # Errors
    /// As of [`Issuer::inventory`].
    pub(super) async fn inventory(&self, now: Timestamp) -> Result<Arc<Inventory>, Failure> {
        let shared = match call_context::lane() {
            Lane::Ordinary => &self.shared_inventory,
            Lane::Safety => &self.safety_inventory,
        };
        let outcome = shared.fresh(self.issuer.as_ref()).await;
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            Ok(inventory) => {
                health.last_answer = Some(now);
                (health.failing, health.failing_since) = (None, None);
                health.clock_skew_seconds = inventory.clock_skew_seconds;
                health.accounts = Arc::new(inventory.names());
            }
            Err(failure) => {
                health.failing = Some(failure.clone());
                health.failing_since.get_or_insert(now);
            }
        }
        outcome
    }

    /// What the workspace's sources say of the use of the question's keys, by answers that credentials share; nothing if it
    /// has no sources.
    pub(super) async fn usage_of(&self, clock: &dyn Clock, question: &UsageQuestion<'_>) -> Vec<Reading> {
        match &self.usage {
            Some(usage) => self.shared_usage.ask(usage.as_ref(), clock, question).await,
            None => Vec::new(),
        }
    }

    /// Takes a permit from the workspace's mint budget, a part of which is for emergencies only. It has to be held until
    /// the intent is journalled.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(super) async fn mint_permit(
        &self,
        journal: &dyn WorkspaceActivity,
        clock: &dyn Clock,
        emergency: bool,
    ) -> Result<MintPermit, journal::Error> {
        let mut guard = Arc::clone(&self.mint_counter).lock_owned().await;
        let now = clock.now();
        let by_the_journal = self.mints_used_up_until(journal, now, emergency).await?;
        let in_the_way = guard.in_the_way(mint_budget::limit(&self.limits, emergency), clock.uptime());
        let by_the_timer = in_the_way.map(|ago| later(earlier(now, ago), ROOM_AFTER));
        Ok(match by_the_journal.into_iter().chain(by_the_timer).max() {
            None => MintPermit::Granted(guard),
            Some(until) => MintPermit::NotBefore(until),
        })
    }

    /// Until when the mint budget is used up; `None` if it is not.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(super) async fn mints_used_up_until(
        &self,
        journal: &dyn WorkspaceActivity,
        now: Timestamp,
        emergency: bool,
    ) -> Result<Option<Timestamp>, journal::Error> {
        let since = now.saturating_sub(BUDGET_PERIOD).unwrap_or(Timestamp::MIN);
        let mints = journal.mints_since(&self.name, since).await?;
        Ok(mint_budget::used_up_until(&self.limits, &mints, emergency, now))
    }
}

/// The mints that this process intended in the last period, by the timer: a wall clock that is set forward does not make
/// the journal's mints older than they are.
#[derive(Debug, Default)]
pub(super) struct RecentMints(VecDeque<Duration>);

impl RecentMints {
    /// Counts one whose intent has just been journalled.
    pub(super) fn count(&mut self, uptime: Duration) {
        self.0.push_back(uptime);
    }

    /// How long ago the mint was made whose ageing out of the period makes room for one more within `limit`.
    fn in_the_way(&mut self, limit: usize, uptime: Duration) -> Option<SignedDuration> {
        let ago =
            |at: Duration| SignedDuration::try_from(uptime.saturating_sub(at)).unwrap_or(SignedDuration::MAX);
        while self.0.front().is_some_and(|first| ago(*first) > BUDGET_PERIOD) {
            self.0.pop_front();
        }
        self.0.len().checked_sub(limit).and_then(|index| self.0.get(index)).map(|at| ago(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mint_counts_for_an_hour_of_the_timer() {
        let (mut mints, minutes) = (RecentMints::default(), |count: u64| Duration::from_mins(count));
        let mut in_the_way = |limit, at| mints.in_the_way(limit, minutes(at));
        assert_eq!(in_the_way(1, 0), None);
        let mut mints = RecentMints::default();
        [0, 10, 20].into_iter().for_each(|at| mints.count(minutes(at)));
        let mut in_the_way = |limit, at| mints.in_the_way(limit, minutes(at));
        assert_eq!(in_the_way(4, 20), None);
        assert_eq!(in_the_way(3, 20), Some(SignedDuration::from_mins(20)), "the first makes room");
        assert_eq!(in_the_way(1, 20), Some(SignedDuration::ZERO), "only the last does");
        assert_eq!(in_the_way(3, 61), None);
        assert_eq!(in_the_way(2, 61), Some(SignedDuration::from_mins(51)));
    }
}
