//! Takes the old key out of service: disables it, then deletes it.

use crate::call_context::{self, Lane};
use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::gate::{self, Verdict};
use crate::domain::phase::Phase;
use crate::domain::plan::{AfterDeadline, RevocationPolicy};
use crate::domain::time::later;
use crate::engine::effects::precheck::Precheck;
use crate::engine::effects::{EffectOutcome, EffectResult, NewKeyEffects, not_listed_yet};

impl NewKeyEffects<'_> {
    pub(super) async fn disable_old(&mut self) -> EffectResult {
        if !self.plan().emergency {
            let verdicts = self.judge().await?;
            let open = verdicts.iter().all(|verdict| verdict.satisfied);
            if !open && (gate::overrule_a_deadline(&verdicts) || !self.is_overdue()) {
                return self.withdraw_release(verdicts).await;
            }
        }
        let inventory = match self.precheck().await? {
            Precheck::Clear(inventory) => inventory,
            Precheck::Stopped(outcome) => return Ok(outcome),
        };
        self.has_a_new_admin_key()?;
        // Deleted out of band: what we wanted. A listing that shows it disabled may be older than our own call that enabled
        // it again.
        let Some(old) = self.old_key(&inventory) else {
            return Ok(EffectOutcome::Happened(Event::OldKeyDisabled));
        };
        match self.workspace_client()?.issuer.disable(old).await {
            Err(failure) if failure.kind != Kind::NotFound => return Err(failure),
            Ok(()) | Err(_) => {}
        }
        if self.old_key(self.listed().await?.as_ref()).is_some_and(|old| old.enabled) {
            return Err(not_listed_yet(&old.id, "disabled"));
        }
        Ok(EffectOutcome::Happened(Event::OldKeyDisabled))
    }

    /// An earlier attempt may have disabled the key, its answer lost and the listing not showing it yet: the overlap
    /// goes on only with a key that works.
    pub(super) async fn withdraw_release(&self, verdicts: Vec<Verdict>) -> EffectResult {
        call_context::in_lane(Lane::Safety, self.enable_what_may_be_disabled()).await?;
        Ok(EffectOutcome::Happened(Event::ReleaseWithdrawn { verdicts }))
    }

    async fn enable_what_may_be_disabled(&self) -> Result<(), Failure> {
        if let Some(old) = self.old_key(self.listed().await?.as_ref()) {
            match self.workspace_client()?.issuer.enable(old).await {
                Err(failure) if failure.kind != Kind::NotFound => return Err(failure),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Whether the policy's deadline overrules the gates: by the terms and the clock of now, not of when it was decided.
    fn is_overdue(&self) -> bool {
        let rotation = self.rotation;
        let RevocationPolicy { at_most, then, .. } = rotation.plan.terms;
        let forced = matches!(rotation.phase, Phase::Disabling { forced: true, .. });
        let overdue = self.context.now() >= later(self.lasting_since(rotation.overlap_since()), at_most);
        forced && overdue && then == AfterDeadline::Revoke
    }

    pub(super) async fn delete_old(&mut self) -> EffectResult {
        if !self.plan().emergency
            && let Some(outcome) = self.consumers_object().await?
        {
            return Ok(outcome);
        }
        let inventory = match self.precheck().await? {
            Precheck::Clear(inventory) => inventory,
            Precheck::Stopped(outcome) => return Ok(outcome),
        };
        // A freeze, or a failure, may have lain between the end of the quarantine and now.
        if !self.plan().emergency
            && let Some(outcome) = self.enabled_again(&inventory)?
        {
            return Ok(outcome);
        }
        self.has_a_new_admin_key()?;
        let Some(old) = self.old_key(&inventory) else {
            return Ok(EffectOutcome::Happened(Event::OldKeyGone));
        };
        self.workspace_client()?.issuer.delete(old).await?;
        if self.old_key(self.listed().await?.as_ref()).is_some() {
            return Err(not_listed_yet(&old.id, "deleted"));
        }
        Ok(EffectOutcome::Happened(Event::OldKeyGone))
    }
}
