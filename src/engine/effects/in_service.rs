//! Whether what the rotation put into service still is: every destination serves the new key, and the new key works.
//! Looked at with every inspection, and once more before the old key is disabled or deleted.

use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::key::{DisableReason, Inventory, Key};
use crate::domain::phase::{Alarm, AlarmKind, OldKey};
use crate::engine::effects::NewKeyEffects;
use crate::engine::effects::late_reads::Doubt;

impl NewKeyEffects<'_> {
    /// The event that stops the rotation, if a destination serves something else or the new key is of no use any more.
    /// `None` too where that is not this rotation's business: nothing is published yet, or it goes back. Changes nothing.
    pub(in crate::engine) async fn disturbed(&self) -> Result<Option<Event>, Failure> {
        if !self.rotation.phase.is_watched() {
            return Ok(None);
        }
        if let Some(overwritten) = self.overwritten().await? {
            return Ok(Some(overwritten));
        }
        let mut doubt = Doubt::default();
        loop {
            let inventory = self.listed().await?;
            let why = self.unusable(&inventory).filter(|_| !self.is_whole(&inventory));
            let Some(why) = why else { return Ok(None) };
            if !self.reads_again(&mut doubt).await {
                return Ok(Some(self.out_of_use(why).await));
            }
        }
    }

    /// The event that stops the rotation if a destination does not serve the new key any more.
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
        Ok(Some(self.stopped(AlarmKind::Overwritten, detail).await))
    }

    pub(super) async fn out_of_use(&self, why: String) -> Event {
        self.stopped(AlarmKind::NewKeyUnusable, why).await
    }

    /// A new key that leaked is answered as a leak.
    fn is_whole(&self, inventory: &Inventory) -> bool {
        let new = &self.successor.key;
        let leaked = self.record.leak_of(new).is_some()
            || inventory.key(new).and_then(|key| key.disable_reason.as_ref()).is_some_and(is_of_a_leak);
        leaked || self.unusable(inventory).is_none()
    }

    /// Why the new key cannot stay in service, and the fix.
    pub(super) fn unusable(&self, inventory: &Inventory) -> Option<String> {
        let successor = self.successor;
        let id = &successor.key;
        let Some(key) = inventory.key(id) else {
            return Some(format!("the new key `{id}` was deleted out of band; roll back"));
        };
        let leaked =
            self.record.leak_of(id).is_some() || key.disable_reason.as_ref().is_some_and(is_of_a_leak);
        if leaked && self.plan().emergency {
            // The new key is replaced next; that is no reason to keep the old one, which leaked too.
            return None;
        }
        if !self.is_alive(key, inventory) {
            return Some(format!(
                "the new key `{id}` is disabled or expired; enable it and `retry`, or roll back"
            ));
        }
        let differences = successor.request.attributes.differences(&key.attributes);
        // In an emergency the old key goes all the same; the change is a finding then.
        let keeps_the_old = self.plan().old.is_some() && !self.plan().emergency;
        (keeps_the_old && !differences.is_empty()).then(|| {
            format!(
                "the new key `{id}` was changed in {}; undo that and `retry`, or roll back",
                differences.join(", ")
            )
        })
    }

    /// The event that stops the rotation. An old key that is disabled, or may be, is enabled again first where it can be.
    async fn stopped(&self, kind: AlarmKind, detail: String) -> Event {
        if self.rotation.phase.old_key() == OldKey::Enabled || !self.may_enable_the_old_key().await {
            return Event::Parked { reason: kind.reason(), detail };
        }
        Event::Alarmed { alarm: Alarm { kind, detail } }
    }

    /// A provider that does not answer is asked again by the effect that enables the key.
    async fn may_enable_the_old_key(&self) -> bool {
        let can_be = |inventory: &Inventory, old: &Key| {
            !self.has_passed(old.expires_at, inventory) && self.record.leak_of(&old.id).is_none()
        };
        !self.plan().emergency
            && self
                .listed()
                .await
                .map_or(true, |inventory| self.old_key(&inventory).is_some_and(|old| can_be(&inventory, old)))
    }
}

fn is_of_a_leak(reason: &DisableReason) -> bool {
    match reason {
        DisableReason::ExposedPublicly | DisableReason::SelfDisabled => true,
        DisableReason::TrialEnded | DisableReason::SubscriptionDowngrade | DisableReason::Other(_) => false,
    }
}
