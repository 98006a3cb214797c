//! Undoes a rotation: discards a key that was never published, or makes the old one current again.

use crate::domain::dead_man::AHEAD_MIN;
use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::key::{Inventory, Key};
use crate::domain::phase::Phase;
use crate::domain::plan::Destination;
use crate::domain::rotation::{ParkReason, RollbackCause};
use crate::domain::secret::{Fingerprint, SecretValue};
use crate::domain::successor::{PlacementState, Served};
use crate::domain::time::later;
use crate::engine::effects::{EffectOutcome, EffectResult, NewKeyEffects, not_listed_yet, park, serving};
use crate::ports::secret_store::{SecretStore, VersionRef};

/// The old key cannot be used, so that the rollback has nothing to return to.
pub(super) fn nowhere_to_return() -> EffectResult {
    park(
        ParkReason::OldKeyUnusable,
        "the old key is gone, disabled or expired: the new one is kept; enable the old one and `retry`, or `abort` goes on with the new key",
    )
}

/// Restored copies of an old value take their version tokens from here on, apart from those of stagings.
const RESTORE_TOKENS: u32 = 1000;

impl NewKeyEffects<'_> {
    /// The key was never published: pending versions are removed, then it is deleted.
    pub(super) async fn discard(&mut self) -> EffectResult {
        for index in 0..self.plan().destinations.len() {
            self.remove_pending(index).await?;
        }
        self.delete_successor().await?;
        Ok(EffectOutcome::Happened(Event::Discarded))
    }

    async fn remove_pending(&self, index: usize) -> Result<(), Failure> {
        let (destination, placement, store) = self.place(index)?;
        for restaged in 0..=placement.restaged {
            store.discard(destination, &self.token(restaged)).await?;
        }
        Ok(())
    }

    /// Deletes the new key, by its id even if a lagging listing does not show it yet, and lists it as gone.
    async fn delete_successor(&self) -> Result<(), Failure> {
        self.has_another_admin_key()?;
        let workspace_client = self.workspace_client()?;
        let inventory = self.listed().await?;
        let successor = self.successor;
        match inventory.key(&successor.key) {
            Some(key) => workspace_client.issuer.delete(key).await?,
            None => workspace_client.issuer.delete(&self.unlisted()).await?,
        }
        if self.listed().await?.key(&successor.key).is_some() {
            return Err(not_listed_yet(&successor.key, "deleted"));
        }
        Ok(())
    }

    /// The new key as it was requested, where no listing shows it.
    fn unlisted(&self) -> Key {
        let (rotation, successor) = (self.rotation, self.successor);
        Key {
            id: successor.key.clone(),
            account: rotation.plan.account.clone(),
            name: rotation.nonce().key_name(&rotation.plan.credential),
            hint: String::new(),
            created_at: None,
            enabled: true,
            disable_reason: None,
            attributes: successor.request.attributes.clone(),
            expires_at: successor.request.expires_at,
            usage_hash: None,
            character_count: None,
        }
    }

    pub(super) async fn enable_old(&mut self) -> EffectResult {
        let inventory = self.listed().await?;
        let Some(old) = self.old_key(&inventory) else {
            return park(
                ParkReason::OldKeyUnusable,
                "the old key is gone: there is nothing to roll back to; `abort` goes on with the new key",
            );
        };
        if self.has_passed(old.expires_at, &inventory) {
            return park(
                ParkReason::OldKeyUnusable,
                "the old key has expired: it cannot be put back into service; `abort` goes on with the new key",
            );
        }
        if let Some(leak) = self.record.leak_of(&old.id) {
            let detail =
                format!("{}: it is not put back into service; `abort` goes on with the new key", leak.detail);
            return park(ParkReason::OldKeyUnusable, detail);
        }
        let dead_man = self.rotation.dead_man.filter(|dead_man| !dead_man.is_left());
        // Even if it is listed as enabled: the listing may be older than our own call that disabled it.
        self.workspace_client()?.issuer.enable(old).await?;
        if let Some(dead_man) = dead_man {
            // What it was before, unless that has come so near that the provider would refuse it.
            let soonest = later(self.context.now(), AHEAD_MIN);
            let original = dead_man.original.filter(|original| *original > soonest);
            self.workspace_client()?.issuer.set_expiry(old, original).await?;
        }
        let listed = self.listed().await?;
        let ours = |old: &Key| {
            dead_man.is_some_and(|dead_man| old.expires_at.is_some() && old.expires_at == Some(dead_man.at))
        };
        match self.old_key(&listed) {
            Some(old) if old.enabled && !ours(old) => Ok(EffectOutcome::Happened(Event::OldKeyEnabled)),
            Some(_) | None => Err(not_listed_yet(&old.id, "enabled")),
        }
    }

    /// Makes what the destination served before current again; other fields of a JSON secret stay as they are now.
    pub(super) async fn restore(&mut self, index: usize) -> EffectResult {
        let (destination, placement, store) = self.place(index)?;
        let (displaced, promoted) = match &placement.progress {
            PlacementState::Staged { version, over } => (over.clone(), Some(version)),
            PlacementState::Current { version, displaced } => (displaced.clone(), Some(version)),
            PlacementState::Absent => (placement.before.version.clone(), None),
            PlacementState::Restored { version } => (Some(version.clone()), None),
        };
        let served = serving(store, destination).await?;
        let new = &self.successor.fingerprint;
        let is_new = served.fingerprint.as_ref() == Some(new);
        let restored = if !is_new && served.fingerprint == placement.before.fingerprint {
            served.version.clone()
        } else if let (Some(displaced), true) = (&displaced, is_new && served.version.as_ref() == promoted) {
            store.promote(destination, displaced, promoted).await?;
            Some(displaced.clone())
        } else if is_new || self.may_overwrite() {
            let Some(value) = self.old_value(placement.before.fingerprint.as_ref()).await? else {
                return park(
                    ParkReason::CannotRollBack,
                    format!(
                        "the old value of `{destination}` is in no destination any more; put it there by hand and `retry`, or `abort` to go on with the new key"
                    ),
                );
            };
            Some(self.restore_by_copy(destination, &value, store).await?)
        } else {
            return park(
                ParkReason::ForeignValue,
                format!(
                    "`{destination}` serves neither the old key nor the new one; `retry --overwrite` puts the old one there"
                ),
            );
        };
        self.read_back(destination, store, &placement.before).await?;
        self.remove_pending(index).await?;
        let version = match restored {
            Some(version) => version,
            None => self.token(0),
        };
        Ok(EffectOutcome::Happened(Event::Restored { destination: index, version }))
    }

    fn may_overwrite(&self) -> bool {
        matches!(self.rotation.phase, Phase::RollingBack { overwrite: true, .. })
    }

    /// Another field was changed since: moving back to the old version would undo that, so the old value is merged into
    /// the current content. The token changes with each attempt, because the content may.
    async fn restore_by_copy(
        &self,
        destination: &Destination,
        value: &SecretValue,
        store: &dyn SecretStore,
    ) -> Result<VersionId, Failure> {
        let tries = self.rotation.last_failure.as_ref().map_or(0, |last_failure| last_failure.failures);
        let version = self.token(RESTORE_TOKENS + tries);
        let staged = store.stage(destination, &version, value).await?;
        store.promote(destination, &version, staged.over.as_ref()).await?;
        Ok(version)
    }

    /// The old key's value from any destination that still has it: in one of its old versions or as the current one.
    pub(super) async fn old_value(
        &self,
        wanted: Option<&Fingerprint>,
    ) -> Result<Option<SecretValue>, Failure> {
        let Some(wanted) = wanted else { return Ok(None) };
        for index in 0..self.plan().destinations.len() {
            let (destination, placement, store) = self.place(index)?;
            let displaced = match &placement.progress {
                PlacementState::Staged { over, .. } => over.as_ref(),
                PlacementState::Current { displaced, .. } => displaced.as_ref(),
                PlacementState::Absent | PlacementState::Restored { .. } => None,
            };
            let versions = displaced.into_iter().chain(&placement.before.version).map(VersionRef::Version);
            for which in versions.chain([VersionRef::Current]) {
                let value = store.read(destination, which).await?.and_then(|version| version.value);
                if let Some(value) = value.filter(|value| value.fingerprint() == *wanted) {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    async fn read_back(
        &self,
        destination: &Destination,
        store: &dyn SecretStore,
        before: &Served,
    ) -> Result<(), Failure> {
        if serving(store, destination).await?.fingerprint == before.fingerprint {
            return Ok(());
        }
        Err(Failure::rejected(
            Kind::Conflict,
            format!("`{destination}` does not serve the old key again yet"),
        ))
    }

    /// Only when no destination serves the new key and the old one is accepted.
    pub(super) async fn delete_new(&mut self) -> EffectResult {
        if let Some(until) = self.frozen_until() {
            return Ok(EffectOutcome::Wait(self.soon(until)));
        }
        // A rollback to a leaked key that was not given up had no value to publish again: no consumer can use the new key.
        let old_leaked = self.plan().old.as_ref().is_some_and(|old| self.record.leak_of(old).is_some());
        let leaked = old_leaked
            || matches!(self.rotation.phase, Phase::Withdrawing { cause: RollbackCause::Leak, .. });
        if !leaked && let Some(until) = self.waits_for_the_return().await? {
            return Ok(EffectOutcome::Wait(self.soon(until)));
        }
        let new = &self.successor.fingerprint;
        for index in 0..self.plan().destinations.len() {
            let (destination, _, store) = self.place(index)?;
            if serving(store, destination).await?.fingerprint.as_ref() == Some(new) {
                return park(
                    ParkReason::ForeignValue,
                    format!("`{destination}` serves the new key again; put the old one there and `retry`"),
                );
            }
        }
        let inventory = self.listed().await?;
        if !leaked {
            self.check_clock(&inventory)?;
        }
        if !old_leaked && !self.may_return(&inventory) {
            return nowhere_to_return();
        }
        self.delete_successor().await?;
        Ok(EffectOutcome::Happened(Event::NewKeyGone))
    }

    /// Whether the old key works, as far as a listing tells.
    pub(super) fn may_return(&self, inventory: &Inventory) -> bool {
        self.old_key(inventory).is_some_and(|old| self.is_alive(old, inventory))
    }
}
