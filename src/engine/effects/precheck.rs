//! The last look before something is taken out of service: nothing that was true once is taken on trust.

use std::sync::Arc;

use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::key::{DisableReason, Inventory};
use crate::domain::rotation::ParkReason;
use crate::engine::effects::Outcome;
use crate::engine::reconciler::Reconciler;

/// What the last look found.
pub(super) enum Precheck {
    /// Everything is as it should be, by this listing.
    Clear(Arc<Inventory>),
    Stopped(Outcome),
}

impl Reconciler {
    /// Before the old key is touched: no freeze, no hold, clocks agree, the new key is whole and every destination serves it.
    pub(super) async fn precheck(&self) -> Result<Precheck, Failure> {
        if let Some(until) = self.frozen_until() {
            // It may last, and the old key is to outlast it: an expiry that was set is moved on.
            if self.rotating()?.dead_man.is_some()
                && let Some(event) = self.tend_expiry().await?
            {
                return Ok(Precheck::Stopped(Outcome::Happened(event)));
            }
            return Ok(Precheck::Stopped(Outcome::Wait(self.soon(until))));
        }
        if let Some(overwritten) = self.overwritten().await? {
            return Ok(Precheck::Stopped(Outcome::Happened(overwritten)));
        }
        let successor = self.successor()?;
        let inventory = self.listed().await?;
        if !self.plan()?.emergency {
            self.context.check_clock(&inventory)?;
        }
        let id = &successor.key;
        let Some(key) = inventory.key(id) else {
            let detail = format!("the new key `{id}` is gone, and nobody here deleted it; roll back");
            return Ok(parked(ParkReason::NewKeyUnusable, detail));
        };
        let leaked =
            self.record.leak_of(id).is_some() || key.disable_reason.as_ref().is_some_and(is_of_a_leak);
        if leaked && self.plan()?.emergency {
            // It is replaced next; that is no reason to keep the other one that leaked.
            return Ok(Precheck::Clear(inventory));
        }
        if !key.is_alive(self.context.now()) {
            let detail =
                format!("the new key `{id}` is disabled or expired; enable it and `retry`, or roll back");
            return Ok(parked(ParkReason::NewKeyUnusable, detail));
        }
        let differences = successor.request.attributes.differences(&key.attributes);
        if self.plan()?.old.is_some() && !differences.is_empty() {
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
        let unlike = self.unlike_the_successor().await?;
        let Some((index, _)) = unlike.first() else { return Ok(None) };
        let (destination, ..) = self.place(*index)?;
        let detail = format!(
            "`{destination}` no longer serves the new key {}; find out why, then `retry --overwrite` publishes it again, or roll back",
            self.successor()?.fingerprint
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
    Precheck::Stopped(Outcome::Happened(Event::Parked { reason, detail }))
}
