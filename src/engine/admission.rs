//! What keeps a credential back that is not its own doing: holds, those that come before it, its place in line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use jiff::Timestamp;

use crate::domain::hold::{Hold, HoldKind};
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::plan::Reason;
use crate::domain::policy::Credential;
use crate::domain::rotation::Rotation;
use crate::domain::time::later;
use crate::domain::waves::{self, Waiting};
use crate::engine::commit::ReconcileError;
use crate::engine::context::Context;
use crate::engine::hold_cache::HoldCache;
use crate::engine::reconciler::{Reconciler, Rest};
use crate::engine::rotation_limiter::RotationLimiter;
use crate::ports::journal::{self, HoldRegister};

/// Outlives reloads of the policy.
pub(super) struct Admission {
    pub(super) board: HoldCache,
    pub(super) rotation_limiter: RotationLimiter,
    /// How many visits wait because the journal cannot be written.
    pub(super) stuck: Arc<AtomicUsize>,
}

impl Admission {
    /// # Errors
    /// As of [`HoldCache::load`].
    pub(super) async fn load(journal: Arc<dyn HoldRegister>) -> Result<Self, journal::Error> {
        Ok(Self {
            board: HoldCache::load(journal).await?,
            rotation_limiter: RotationLimiter::default(),
            stuck: Arc::default(),
        })
    }
}

impl Context {
    /// How many rotations of a workspace may be under way.
    pub(super) fn places(&self, workspace: &WorkspaceName) -> usize {
        self.workspaces
            .get(workspace)
            .map_or(1, |workspace_client| workspace_client.limits.overlaps_at_once.max(1))
    }
}

impl Reconciler {
    /// The hold that forbids to do `what` to this credential now, as part of the rotation that is under way or `urgent`.
    pub(super) fn held(&self, what: HoldKind, urgent: bool) -> Option<Hold> {
        let name = &self.record.credential;
        let of_plan = self.rotation.as_ref().map(|rotation| &rotation.plan);
        let workspace = of_plan.map(|plan| &plan.workspace);
        let workspace = workspace.or_else(|| self.policy().map(|credential| &credential.workspace));
        let emergency = self.rotation.as_ref().map_or(urgent, Rotation::is_urgent);
        self.admission.board.in_force().stops(what, workspace, name, emergency).cloned()
    }

    /// What keeps a rotation from beginning; if nothing does, it has its place among those under way.
    pub(super) async fn restrained(
        &self,
        credential: &Credential,
        reason: Reason,
    ) -> Result<Option<Rest>, ReconcileError> {
        let now = self.context.now();
        let soon = later(now, self.context.timing.look_again);
        let emergency = self.record.urgency(credential).is_some();
        if self.held(HoldKind::Minting, emergency).is_some() {
            self.step_aside();
            return Ok(Some(Rest::Until(Some(soon))));
        }
        if reason == Reason::Schedule
            && let Some(waiting) = self.waits_for(credential, now).await?
        {
            self.step_aside();
            return Ok(Some(Rest::Until(Some(waiting.until().map_or(soon, |until| until.min(soon))))));
        }
        let (rotation_limiter, name) = (&self.admission.rotation_limiter, &credential.name);
        if emergency || reason.is_urgent() {
            rotation_limiter.occupy(&credential.workspace, name);
            return Ok(None);
        }
        let due = self.record.due.as_ref().map_or(now, |due| due.at.min(now));
        // Whom an operator asked for comes first.
        let due = if reason == Reason::Manual { Timestamp::MIN } else { due };
        let has_place = rotation_limiter.take(
            &credential.workspace,
            self.context.places(&credential.workspace),
            name,
            due,
        );
        Ok((!has_place).then_some(Rest::Until(Some(soon))))
    }

    /// Gives up its place, or its place in line: nothing is to begin now.
    pub(super) fn step_aside(&self) {
        self.admission.rotation_limiter.leave(&self.record.credential);
    }

    /// Whether there is no place for one more rotation in the credential's workspace.
    pub(super) fn is_crowded(&self) -> bool {
        let workspace = self.policy().map(|credential| &credential.workspace);
        workspace.is_some_and(|at| self.admission.rotation_limiter.is_full(at, self.context.places(at)))
    }

    /// The journal is asked, not the controller: it knows what others have done a moment ago.
    async fn waits_for(
        &self,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Option<Waiting>, ReconcileError> {
        let mut records = BTreeMap::new();
        for name in &credential.after {
            let known = self.context.journal.load_one(name).await.map_err(ReconcileError::reading_another)?;
            records.extend(known.map(|known| (name.clone(), known.record)));
        }
        let record_of = |name: &CredentialName| records.get(name);
        Ok(waves::waits(&self.record, credential, record_of, now))
    }
}
