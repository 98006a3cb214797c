//! The check right before the old key is taken out of service: every precondition is verified again.

use std::sync::Arc;

use crate::domain::dead_man::DeadMan;
use crate::domain::failure::Failure;
use crate::domain::key::Inventory;
use crate::engine::effects::{EffectOutcome, NewKeyEffects};

/// The result of the check.
pub(super) enum Precheck {
    /// Every precondition holds, by this listing.
    Clear(Arc<Inventory>),
    Stopped(EffectOutcome),
}

impl NewKeyEffects<'_> {
    /// Before the old key is touched: no freeze, no hold, clocks agree, the new key is whole and every destination serves it.
    pub(super) async fn precheck(&self) -> Result<Precheck, Failure> {
        if let Some(until) = self.frozen_until() {
            // The freeze may last, and the old key has to outlast it: an expiry that was set is moved on.
            if self.rotation.dead_man.is_some_and(DeadMan::is_in_force)
                && let Some(event) = self.tend_expiry().await?
            {
                return Ok(Precheck::Stopped(EffectOutcome::Happened(event)));
            }
            return Ok(Precheck::Stopped(EffectOutcome::Wait(self.soon(until))));
        }
        if let Some(overwritten) = self.overwritten().await? {
            return Ok(Precheck::Stopped(EffectOutcome::Happened(overwritten)));
        }
        let inventory = self.listed().await?;
        if !self.plan().emergency {
            self.check_clock(&inventory)?;
            self.check_owner(&inventory).await?;
        }
        if let Some(why) = self.unusable(&inventory) {
            return Ok(Precheck::Stopped(EffectOutcome::Happened(self.out_of_use(why).await)));
        }
        Ok(Precheck::Clear(inventory))
    }
}
