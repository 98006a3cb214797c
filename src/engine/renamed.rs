//! A credential under a new name: its rotation under way ends under the old name and by the new policy, then the new name takes
//! the record over in one write. Nothing of the old name is changed, so that a crash in between repeats nothing.

use jiff::SignedDuration;
use serde_json::json;

use crate::domain::audit::{Act, changes};
use crate::domain::policy::Credential;
use crate::domain::time::later;
use crate::engine::commit::ReconcileError;
use crate::engine::context::Context;
use crate::engine::reconciler::{Action, Reconciler};

/// How soon the rotation of the old name is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// What becomes of a credential that may have had another name.
pub(super) enum Renamed {
    /// It has its own record.
    No,
    TakenOver,
    Wait(Action),
}

impl Reconciler {
    /// Takes the record of the old name over, if there is one and this name has no key yet.
    pub(super) async fn take_over_renamed(&mut self) -> Result<Renamed, ReconcileError> {
        let name = &self.record.credential;
        let Some(old) = self.context.policy.renames.get(name).filter(|_| self.record.current.is_none())
        else {
            return Ok(Renamed::No);
        };
        let known = self.context.journal.load_one(old).await.map_err(ReconcileError::reading_another)?;
        let Some(known) = known else { return Ok(Renamed::No) };
        if known.rotation.is_some() {
            let at = later(self.context.now(), LOOK_AGAIN.min(self.context.timing.look_again));
            return Ok(Renamed::Wait(Action::RequeueAt(at)));
        }
        let Some(current) = &known.record.current else { return Ok(Renamed::No) };
        let details = json!({ "from": old, "key": current.key });
        let act = Act::new(self.context.now(), self.actor.clone(), changes::RENAMED, details);
        tracing::info!(credential = %name, from = %old, key = %current.key, "renamed: it keeps its key");
        let act = Act { credential: Some(name.clone()), ..act };
        self.save_acting(known.record.renamed_to(&self.record), vec![act]).await?;
        Ok(Renamed::TakenOver)
    }
}

impl Context {
    /// The policy of a rotation under way, whose credential may have another name by now.
    pub(super) fn of_rotation(&self, name: &crate::domain::ids::CredentialName) -> Option<&Credential> {
        self.credential(name).or_else(|| self.credential(self.policy.renamed(name)?))
    }
}
