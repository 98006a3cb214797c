//! The dead man's switch: the old key's expiry at the provider, set once and moved on for as long as the key is needed.

use jiff::Timestamp;

use crate::domain::dead_man::{self, DeadMan};
use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::key::Key;
use crate::domain::phase::Phase;
use crate::domain::time::later;
use crate::engine::effects::{EffectOutcome, EffectResult, Effects, not_listed_yet};

impl Effects<'_> {
    /// The event that plans or moves the old key's expiry, if it is time. The first one is an intent, because what a
    /// rollback has to restore must be known before anything is changed; moving it further needs none.
    pub(super) async fn tend_expiry(&self) -> Result<Option<Event>, Failure> {
        let now = self.context.now();
        let rotation = self.rotation;
        let Some(at) = dead_man::renewal(rotation, now) else { return Ok(None) };
        let inventory = self.listed().await?;
        self.check_clock(&inventory)?;
        let Some(old) = self.old_key(&inventory) else { return Ok(None) };
        if rotation.dead_man.is_some_and(DeadMan::is_in_force) {
            return self.expire(old, at).await.map(Some);
        }
        let original = DeadMan::original_of(rotation.dead_man, old.expires_at);
        Ok(Some(match original.filter(|original| *original <= at) {
            Some(original) => Event::ExpirySettled { at: original, in_force: false },
            None => Event::ExpiryIntended { at, original },
        }))
    }

    /// While the new key is published again, which may take as long as a store is down, the old one is needed too. A
    /// failure to move its expiry does not keep the new key from being published.
    pub(in crate::engine) async fn renew_expiry_while_publishing(&self) -> Option<Event> {
        let rotation = self.rotation;
        let publishing =
            matches!(rotation.phase, Phase::Staging(_) | Phase::Verifying(_) | Phase::Promoting(_));
        if !publishing || !rotation.keeps_the_old_key_alive() {
            return None;
        }
        self.tend_expiry().await.unwrap_or_default()
    }

    pub(super) async fn expire_old(&self) -> EffectResult {
        let now = self.context.now();
        let rotation = self.rotation;
        let inventory = self.listed().await?;
        self.check_clock(&inventory)?;
        let (Some(old), Some(margin)) = (self.old_key(&inventory), rotation.plan.expire_old_key) else {
            // A listing that lags may lack the key, whose expiry may be in force already.
            if let (Some(old), false) = (&rotation.plan.old, self.has_settled()) {
                return Err(not_listed_yet(old, "to expire"));
            }
            let at = rotation.dead_man.map_or(now, |dead_man| dead_man.at);
            return Ok(EffectOutcome::Happened(Event::ExpirySettled { at, in_force: false }));
        };
        // Time may have passed since it was intended.
        let at = dead_man::wanted(rotation, margin, now);
        Ok(EffectOutcome::Happened(self.expire(old, at).await?))
    }

    /// A parked rotation waits for an operator, and its old key may be in use all that time.
    pub(super) async fn keep_old(&self) -> EffectResult {
        if let Some(event) = self.tend_expiry().await? {
            return Ok(EffectOutcome::Happened(event));
        }
        let next = dead_man::next_renewal(self.rotation).unwrap_or(Timestamp::MAX);
        Ok(EffectOutcome::Wait(self.soon(next)))
    }

    /// Sets it and reads it back. A workspace that does not support expiry refuses it, or ignores it.
    async fn expire(&self, old: &Key, at: Timestamp) -> Result<Event, Failure> {
        match self.workspace_client()?.issuer.set_expiry(old, Some(at)).await {
            Ok(()) => {}
            Err(failure) if matches!(failure.kind, Kind::Invalid | Kind::Forbidden) => {
                tracing::warn!(key = %old.id, %failure, "the old key's expiry cannot be set here");
                return Ok(Event::ExpirySettled { at, in_force: false });
            }
            Err(failure) => return Err(failure),
        }
        let listed = self.listed().await?;
        let Some(read_back) = self.old_key(&listed) else {
            return Err(not_listed_yet(&old.id, "to expire"));
        };
        if read_back.expires_at == Some(at) {
            return Ok(Event::ExpirySettled { at, in_force: true });
        }
        let rotation = self.rotation;
        // A listing that lags shows what was there before; a workspace that once did it can do it.
        if !self.has_settled() || rotation.dead_man.is_some_and(DeadMan::is_in_force) {
            return Err(not_listed_yet(&old.id, "to expire"));
        }
        // It never shows: either expiry is unknown here, or it is set and hidden. An expiry that cannot be seen must not be.
        let original = rotation.dead_man.and_then(|dead_man| dead_man.original);
        self.workspace_client()?.issuer.set_expiry(old, original).await?;
        Ok(Event::ExpirySettled { at, in_force: false })
    }

    /// Whether the listing has had its time to show what was changed.
    fn has_settled(&self) -> bool {
        let now = self.context.now();
        let failure = self.rotation.last_failure.as_ref();
        let first = failure.map_or(now, |failure| self.since(failure.first_at));
        now >= later(first, self.context.timing.settle)
    }
}
