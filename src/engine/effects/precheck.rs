//! The check right before the old key is taken out of service: every precondition is verified again.

use std::sync::Arc;

use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::key::{DisableReason, Inventory};
use crate::domain::rotation::ParkReason;
use crate::engine::effects::late_reads::Doubt;
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
            if self.rotation.dead_man.is_some()
                && let Some(event) = self.tend_expiry().await?
            {
                return Ok(Precheck::Stopped(EffectOutcome::Happened(event)));
            }
            return Ok(Precheck::Stopped(EffectOutcome::Wait(self.soon(until))));
        }
        if let Some(overwritten) = self.overwritten().await? {
            return Ok(Precheck::Stopped(EffectOutcome::Happened(overwritten)));
        }
        let successor = self.successor;
        let inventory = self.listed().await?;
        if !self.plan().emergency {
            self.context.check_clock(&inventory)?;
        }
        let id = &successor.key;
        let Some(key) = inventory.key(id) else {
            let detail = format!("the new key `{id}` was deleted out of band; roll back");
            return Ok(parked(ParkReason::NewKeyUnusable, detail));
        };
        let leaked =
            self.record.leak_of(id).is_some() || key.disable_reason.as_ref().is_some_and(is_of_a_leak);
        if leaked && self.plan().emergency {
            // The new key is replaced next; that is no reason to keep the old one, which leaked too.
            return Ok(Precheck::Clear(inventory));
        }
        if !key.is_alive(self.context.now()) {
            let detail =
                format!("the new key `{id}` is disabled or expired; enable it and `retry`, or roll back");
            return Ok(parked(ParkReason::NewKeyUnusable, detail));
        }
        let differences = successor.request.attributes.differences(&key.attributes);
        if self.plan().old.is_some() && !differences.is_empty() {
            let detail = format!(
                "the new key `{id}` was changed in {}; undo that and `retry`, or roll back",
                differences.join(", ")
            );
            return Ok(parked(ParkReason::NewKeyUnusable, detail));
        }
        Ok(Precheck::Clear(inventory))
    }

    /// The event that parks the rotation if a destination does not serve the new key any more.
    pub(super) async fn overwritten(&self) -> Result<Option<Event>, Failure> {
        let mut doubt = Doubt::default();
        let index = loop {
            let Some((index, _)) = self.lagging_destinations().await?.into_iter().next() else {
                return Ok(None);
            };
            if !self.reads_again(&mut doubt).await {
                break index;
            }
        };
        let (destination, ..) = self.place(index)?;
        let detail = format!(
            "`{destination}` no longer serves the new key {}; find out why, then `retry --overwrite` publishes it again, or roll back",
            self.successor.fingerprint
        );
        Ok(Some(Event::Parked { reason: ParkReason::ForeignValue, detail }))
    }
}

fn is_of_a_leak(reason: &DisableReason) -> bool {
    match reason {
        DisableReason::ExposedPublicly | DisableReason::SelfDisabled => true,
        DisableReason::TrialEnded | DisableReason::SubscriptionDowngrade | DisableReason::Other(_) => false,
    }
}

fn parked(reason: ParkReason, detail: String) -> Precheck {
    Precheck::Stopped(EffectOutcome::Happened(Event::Parked { reason, detail }))
}
