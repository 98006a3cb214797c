//! Decides whether a credential may begin a rotation: holds, the credentials that come before it, and rotation slots.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::hold::{Hold, HoldKind};
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::plan::Reason;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::domain::time::later;
use crate::domain::waves::{self, Waiting};
use crate::engine::commit::ReconcileError;
use crate::engine::context::Context;
use crate::engine::reconciler::{Action, Reconciler};
use crate::engine::shared_state::SharedState;

impl SharedState {
    /// Counts a rotation that is under way.
    pub(super) fn count(&self, rotation: &Rotation) {
        let (workspace, name) = (&rotation.plan.workspace, &rotation.plan.credential);
        self.rotation_limiter.acquire_over_limit(workspace, name);
        if rotation.plan.reason.is_first() {
            self.first_limiter.acquire_over_limit(workspace, name);
        }
    }

    /// Releases the credential's slots, or its places in line.
    pub(super) fn release(&self, name: &CredentialName) {
        self.rotation_limiter.release(name);
        self.first_limiter.release(name);
    }

    /// The hold that forbids `what` for this credential now.
    pub(super) fn hold_on(
        &self,
        what: HoldKind,
        workspace: Option<&WorkspaceName>,
        name: &CredentialName,
        emergency: bool,
    ) -> Option<Hold> {
        self.holds.in_force().stops(what, workspace, name, emergency).cloned()
    }
}

impl Context {
    /// How many first rotations of a workspace may be under way at a time.
    pub(super) fn first_rotation_slots(&self, workspace: &WorkspaceName) -> usize {
        self.workspaces
            .get(workspace)
            .map_or(1, |workspace_client| workspace_client.limits.first_rotations_at_once.max(1))
    }

    /// How many rotations of a workspace may be under way at a time.
    pub(super) fn rotation_slots(&self, workspace: &WorkspaceName) -> usize {
        self.workspaces
            .get(workspace)
            .map_or(1, |workspace_client| workspace_client.limits.overlaps_at_once.max(1))
    }
}

impl Reconciler {
    /// The hold that keeps a rotation from beginning.
    pub(super) fn minting_hold(&self, emergency: bool) -> Option<Hold> {
        let workspace = self.policy().map(|credential| &credential.workspace);
        self.shared.hold_on(HoldKind::Minting, workspace, &self.record.credential, emergency)
    }

    /// What keeps a rotation from beginning. `None` if it is admitted: then it has a rotation slot.
    pub(super) async fn wait_for_admission(
        &self,
        credential: &Credential,
        reason: Reason,
    ) -> Result<Option<Action>, ReconcileError> {
        let now = self.context.now();
        let soon = later(now, self.context.timing.look_again);
        let emergency = self.record.urgency(credential).is_some();
        if self.minting_hold(emergency).is_some() {
            self.release_slot();
            return Ok(Some(Action::RequeueAt(soon)));
        }
        if reason == Reason::Schedule
            && let Some(waiting) = self.earlier_wave(credential, now).await?
        {
            self.release_slot();
            return Ok(Some(Action::RequeueAt(waiting.until().map_or(soon, |until| until.min(soon)))));
        }
        let (rotation_limiter, name) = (&self.shared.rotation_limiter, &credential.name);
        if emergency || reason.is_urgent() {
            rotation_limiter.acquire_over_limit(&credential.workspace, name);
            return Ok(None);
        }
        let due = self.record.due.as_ref().map_or(now, |due| due.at.min(now));
        // An operator's command comes first.
        let due = if reason == Reason::Manual { Timestamp::MIN } else { due };
        if reason.is_first() {
            let slots = self.context.first_rotation_slots(&credential.workspace);
            if !self.shared.first_limiter.acquire(&credential.workspace, slots, name, due) {
                return Ok(Some(Action::RequeueAt(soon)));
            }
        }
        let slots = self.context.rotation_slots(&credential.workspace);
        let has_slot = rotation_limiter.acquire(&credential.workspace, slots, name, due);
        Ok((!has_slot).then_some(Action::RequeueAt(soon)))
    }

    /// A record as its back-offs count: its last rotation did not end after now, whatever clock wrote that down.
    pub(super) fn as_read_now(&self, record: &Record) -> Record {
        let mut record = record.clone();
        let Record { credential, last, .. } = &mut record;
        if let Some(last) = last {
            last.at = self.shared.waits.since(self.context.clock.as_ref(), credential, last.at);
        }
        record
    }

    /// Releases the credential's rotation slot, or its place in line: nothing is to begin now.
    pub(super) fn release_slot(&self) {
        self.shared.release(&self.record.credential);
    }

    /// Whether every rotation slot of the credential's workspace is taken.
    pub(super) fn is_at_the_rotation_limit(&self) -> bool {
        let workspace = self.policy().map(|credential| &credential.workspace);
        workspace.is_some_and(|at| self.shared.rotation_limiter.is_full(at, self.context.rotation_slots(at)))
    }

    /// The wave that has to be done first. Read from the journal, not from the controller: the journal has what other
    /// reconcilers did a moment ago.
    async fn earlier_wave(
        &self,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Option<Waiting>, ReconcileError> {
        let mut records = BTreeMap::new();
        for name in &credential.after {
            let known = self.context.journal.load_one(name).await.map_err(ReconcileError::reading_another)?;
            records.extend(known.map(|known| (name.clone(), self.as_read_now(&known.record))));
        }
        let record_of = |name: &CredentialName| records.get(name);
        Ok(waves::waits(&self.record, credential, record_of, now))
    }
}
