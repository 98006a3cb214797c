//! Between rotations: finds the credential's key, computes when it is due, and begins a rotation.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::call_context::{self, Lane};
use crate::domain::adoption;
use crate::domain::backoff;
use crate::domain::failure::Failure;
use crate::domain::ids::{KeyId, RotationId};
use crate::domain::key::Inventory;
use crate::domain::plan::{Plan, Reason};
use crate::domain::policy::{Credential, Mode};
use crate::domain::record::{Obstacle, ObstacleKind, Record};
use crate::domain::schedule::StartDecision;
use crate::domain::time::later;
use crate::engine::commit::ReconcileError;
use crate::engine::reconciler::{Action, Reconciler};
use crate::engine::renamed::Renamed;

/// How soon a credential that cannot be rotated is checked again.
const OBSTACLE_RETRY: SignedDuration = SignedDuration::from_mins(1);

impl Reconciler {
    /// One step of a credential that is not being rotated. `None` if something was journalled: there may be more to do.
    pub(super) async fn idle(&mut self) -> Result<Option<Action>, ReconcileError> {
        if self.note_left().await? {
            return Ok(None);
        }
        let Some(credential) = self.policy().cloned() else {
            self.release_slot();
            return Ok(Some(Action::AwaitChange));
        };
        match self.take_over_renamed().await? {
            Renamed::No => {}
            Renamed::TakenOver => return Ok(None),
            Renamed::Wait(action) => {
                self.release_slot();
                return Ok(Some(action));
            }
        }
        self.switch_admin_key_when_idle(&credential).await;
        if let Some(planned) = self.record.plan_next(&credential) {
            self.save(planned).await?;
            return Ok(None);
        }
        if self.correct_the_record(&credential).await? {
            return Ok(None);
        }
        let (now, steps) = (self.context.now(), self.context.clock.steps());
        let record = self.as_read_now(&self.record);
        let Some(reason) = record.why_now(&credential, now) else {
            self.release_slot();
            if credential.mode == Mode::Observe {
                return self.observe(&credential).await;
            }
            return Ok(Some(record.next_look(&credential, now).into()));
        };
        if let Some(until) = self.emergency_waits_until(&credential, reason).await? {
            self.release_slot();
            return Ok(Some(Action::RequeueAt(until)));
        }
        if let Some(until) = self.closed_until(&credential, reason, now) {
            self.release_slot();
            // A key that expires before that does not wait for its window.
            let expiry = self.record.expiry_deadline(&credential).filter(|deadline| *deadline > now);
            return Ok(Some(Action::RequeueAt(expiry.map_or(until, |deadline| deadline.min(until)))));
        }
        match self.wait_for_admission(&credential, reason).await? {
            Some(action) => Ok(Some(action)),
            None => Box::pin(self.find_key_and_begin(&credential, reason, now, steps)).await,
        }
    }

    /// Begins a rotation of the key that the provider lists now, unless that has to wait. `steps` are the clock's when
    /// `now` was read.
    async fn find_key_and_begin(
        &mut self,
        credential: &Credential,
        reason: Reason,
        now: Timestamp,
        steps: u64,
    ) -> Result<Option<Action>, ReconcileError> {
        let is_urgent = self.record.urgency(credential).is_some();
        let lane = if is_urgent { Lane::Safety } else { Lane::Ordinary };
        let listed = call_context::in_lane(lane, Box::pin(self.inventory(credential))).await;
        if reason.is_due_by_time() && self.is_clock_in_doubt(listed.as_deref().ok(), steps) {
            if self.is_news("clock", "") {
                tracing::warn!(credential = %credential.name, "no rotation begins: this machine's clock and the provider's do not agree");
            }
            self.release_slot();
            return Ok(Some(Action::RequeueAt(later(now, OBSTACLE_RETRY))));
        }
        match call_context::in_lane(lane, Box::pin(self.find_key(credential, listed))).await? {
            Ok(found) if found != self.record => self.save(found).await?,
            // Checked again: other rotations may have begun while the workspace was listed.
            Ok(_) => match self.wait_for_admission(credential, reason).await? {
                Some(action) => return Ok(Some(action)),
                None => Box::pin(self.begin(credential, reason)).await?,
            },
            Err(obstacle) => {
                if obstacle.kind == ObstacleKind::NoSuchAccount
                    && let Some(step) = Box::pin(self.create_missing_account(credential)).await?
                {
                    return Ok(step);
                }
                let is_passing = obstacle.kind == ObstacleKind::WorkspaceUnusable;
                let wait = if is_urgent && is_passing { backoff::SAFETY.cap } else { OBSTACLE_RETRY };
                self.report(obstacle, is_urgent).await?;
                self.release_slot();
                return Ok(Some(Action::RequeueAt(later(now, wait))));
            }
        }
        Ok(None)
    }

    /// Finds the key of an observed credential, so that scans can inspect it. Nothing is changed outside the journal.
    async fn observe(&mut self, credential: &Credential) -> Result<Option<Action>, ReconcileError> {
        if self.record.asked {
            self.save(Record { asked: false, ..self.record.clone() }).await?;
        }
        if self.record.current.is_some() {
            return Ok(Some(Action::AwaitChange));
        }
        let now = self.context.now();
        let listed = self.inventory(credential).await;
        match Box::pin(self.find_key(credential, listed)).await? {
            Ok(found) if found != self.record => self.save(found).await?,
            Ok(_) => {}
            Err(obstacle) => self.report(obstacle, false).await?,
        }
        if self.record.current.is_some() {
            return Ok(None);
        }
        Ok(Some(Action::RequeueAt(later(now, OBSTACLE_RETRY))))
    }

    /// Until when the window or a freeze keeps a rotation from beginning. A key that would expire in a freeze begins all the same:
    /// the freeze protects from change, and an expired key is the worse change.
    fn closed_until(&self, credential: &Credential, reason: Reason, now: Timestamp) -> Option<Timestamp> {
        if self.record.urgency(credential).is_some() {
            return None;
        }
        if !reason.keeps_to_the_window() {
            let freeze = credential.schedule.freeze(now)?;
            let expires_at = self.record.current.as_ref().and_then(|current| current.expires_at);
            if reason == Reason::Expiry && expires_at.is_some_and(|expiry| expiry <= freeze.until) {
                if self.is_news("freeze", &freeze.name) {
                    tracing::warn!(credential = %credential.name, freeze = %freeze.name, "rotating during a freeze: the key expires in it");
                }
                return None;
            }
            return Some(freeze.until);
        }
        match credential.schedule.admits(now) {
            StartDecision::Open => None,
            StartDecision::Closed { until, .. } => Some(until),
        }
    }

    /// Whether the provider contradicts our clock, or it was set since it stood at `steps`. A provider that does not answer
    /// contradicts nobody.
    fn is_clock_in_doubt(&self, listed: Option<&Inventory>, steps: u64) -> bool {
        let contradicted = listed.is_some_and(|inventory| self.context.check_clock(inventory).is_err());
        contradicted || self.context.clock.steps() != steps
    }

    /// Corrects what a wrong clock wrote into the record, once the provider agrees with our clock; whether anything was
    /// written. Without that, a key that became current in the future would never be due.
    async fn correct_the_record(&mut self, credential: &Credential) -> Result<bool, ReconcileError> {
        let (now, steps) = (self.context.now(), self.context.clock.steps());
        let Some(corrected) = self.record.corrected(now, self.context.timing.clock_skew_max) else {
            return Ok(false);
        };
        let Ok(inventory) = self.inventory(credential).await else { return Ok(false) };
        if self.is_clock_in_doubt(Some(&inventory), steps) {
            return Ok(false);
        }
        tracing::warn!(credential = %credential.name, "its record has instants that are still to come, from when this machine's clock was wrong; they count from now");
        self.save(corrected).await?;
        Ok(true)
    }

    /// Finds the service account, and the credential's key if that is not on record.
    async fn find_key(
        &mut self,
        credential: &Credential,
        listed: Result<Arc<Inventory>, Failure>,
    ) -> Result<Result<Record, Obstacle>, ReconcileError> {
        let now = self.context.now();
        let inventory = match listed {
            Ok(inventory) => inventory,
            Err(failure) => {
                let detail = format!("{failure}");
                return Ok(Err(Obstacle { kind: ObstacleKind::WorkspaceUnusable, detail, since: now }));
            }
        };
        let account = match adoption::find_account(credential, &inventory, now) {
            Ok(account) => account,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        if let Some(known) = self.record.account.as_ref().filter(|_| self.record.current.is_some())
            && let Err(obstacle) = adoption::check_account(known, account, now)
        {
            return Ok(Err(obstacle));
        }
        // A key that was deleted out of band is replaced by another one only when an operator requests a rotation.
        let gone = |key: &KeyId| inventory.key(key).is_none();
        let lost =
            self.record.asked && self.record.current.as_ref().is_some_and(|current| gone(&current.key));
        let mut record = Record { account: Some(account.id.clone()), obstacle: None, ..self.record.clone() };
        if self.record.account.as_ref() != Some(&account.id) {
            record.sharing_groups = None;
        }
        if let Some(creation) = record.account_creation.take().filter(|it| it.name == account.name) {
            record.sharing_groups.get_or_insert(creation.groups);
        }
        if record.current.is_none() || lost {
            if let Err(obstacle) = adoption::check_sharers(credential, account, &self.context.policy, now) {
                return Ok(Err(obstacle));
            }
            let marked = self.marked(credential, account).await?;
            match adoption::choose_key(credential, account, &marked, lost, now) {
                Ok(current) => {
                    record.adopted_at = current.as_ref().map(|_| now);
                    record.current = current;
                }
                Err(obstacle) => return Ok(Err(obstacle)),
            }
        }
        if let Some(obstacle) = self.shared_destination(now).await {
            return Ok(Err(obstacle));
        }
        Ok(Ok(record))
    }

    /// Whether what the credential waits for is to be logged.
    pub(super) fn is_news(&self, kind: &'static str, what: &str) -> bool {
        self.shared.is_news(&self.context, self.record.credential.as_str(), kind, what)
    }

    async fn inventory(&self, credential: &Credential) -> Result<Arc<Inventory>, Failure> {
        let inventory =
            self.context.workspace_client(&credential.workspace)?.inventory(self.context.now()).await?;
        Ok(inventory)
    }

    async fn report(&mut self, obstacle: Obstacle, is_urgent: bool) -> Result<(), ReconcileError> {
        let known = self.record.obstacle.as_ref();
        let is_known =
            known.is_some_and(|known| known.kind == obstacle.kind && known.detail == obstacle.detail);
        // In an emergency it is tried again every other second: the first of many failures is told, and when it changes.
        if is_known || is_urgent && known.is_some_and(|known| known.kind == obstacle.kind) {
            return Ok(());
        }
        tracing::warn!(credential = %self.record.credential, kind = obstacle.kind.label(), detail = %obstacle.detail, "cannot be rotated");
        let since =
            known.filter(|known| known.kind == obstacle.kind).map_or(obstacle.since, |known| known.since);
        self.save(Record { obstacle: Some(Obstacle { since, ..obstacle }), ..self.record.clone() }).await
    }

    async fn begin(&mut self, credential: &Credential, reason: Reason) -> Result<(), ReconcileError> {
        let Some(account) = self.record.account.clone() else { return Ok(()) };
        let now = self.context.now();
        if reason == Reason::Expiry {
            tracing::warn!(credential = %credential.name, "rotating outside the window if necessary: the key expires soon");
        }
        let urgency = self.record.urgency(credential).map(|(_, urgency)| urgency);
        let current = self.record.current.as_ref();
        // A key that is gone cannot be cloned or revoked; its permissions are on record.
        let recorded = current.and_then(|current| current.attributes.clone());
        let recorded = recorded.filter(|_| urgency.is_some() && self.record.vanished().is_some());
        let plan = Plan {
            rotation: self.new_rotation(now),
            credential: credential.name.clone(),
            workspace: credential.workspace.clone(),
            account,
            reason,
            begun_at: now,
            old: current.filter(|_| recorded.is_none()).map(|current| current.key.clone()),
            adopted: current.is_some_and(|current| current.fingerprint.is_none()),
            first: recorded.or_else(|| credential.first.clone()),
            key_lifetime: credential.key_lifetime,
            allow_unrestricted: credential.allow_unrestricted,
            destinations: credential.destinations.clone(),
            terms: credential.terms.clone(),
            expire_old_key: credential.expire_old_key,
            emergency: urgency.is_some(),
            urgency,
        };
        self.commit_beginning(plan).await
    }

    /// A UUIDv7 whose random bits come from the process's seed, so that a simulation can be repeated. The record's
    /// revision, guarded by compare-and-set, makes it unique within a process.
    fn new_rotation(&self, now: Timestamp) -> RotationId {
        let digest = Sha256::new()
            .chain_update(self.context.seed)
            .chain_update(self.record.credential.as_str())
            .chain_update(self.record.revision.to_be_bytes())
            .finalize();
        let mut random = [0u8; 10];
        random.copy_from_slice(digest.get(..10).unwrap_or(&[0; 10]));
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        RotationId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}
