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
use crate::engine::effects::late_reads::RESTAGE_AFTER;
use crate::engine::effects::{EffectOutcome, EffectResult, NewKeyEffects, not_listed_yet, park};
use crate::ports::secret_store::{SecretStore, StoredVersion, VersionRef};

/// The old key cannot be used, so that the rollback has nothing to return to.
pub(super) fn nowhere_to_return() -> EffectResult {
    park(
        ParkReason::OldKeyUnusable,
        "the old key is gone, disabled or expired: the new one is kept; enable the old one and `retry`, or `abort` goes on with the new key",
    )
}

/// Restored copies of an old value take their version tokens from here on, apart from those of stagings.
const RESTORE_TOKENS: u32 = 1000;

/// The version that the new key's displaced or is to displace, and the new key's.
fn moved(progress: &PlacementState) -> Option<(&VersionId, &VersionId)> {
    let (displaced, promoted) = match progress {
        PlacementState::Staged { version, over } => (over.as_ref()?, version),
        PlacementState::Current { version, displaced } => (displaced.as_ref()?, version),
        PlacementState::Absent | PlacementState::Restored { .. } => return None,
    };
    (displaced != promoted).then_some((displaced, promoted))
}

impl NewKeyEffects<'_> {
    /// The key was never published: pending versions are removed, then it is deleted.
    pub(super) async fn discard(&mut self) -> EffectResult {
        self.remove_all_pending().await?;
        self.delete_successor().await?;
        Ok(EffectOutcome::Happened(Event::Discarded))
    }

    async fn remove_all_pending(&self) -> Result<(), Failure> {
        for index in 0..self.plan().destinations.len() {
            self.remove_pending(index).await?;
        }
        Ok(())
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
        // Taken if it is free: nobody waits for another credential on the way back.
        drop(self.waits_for_turn());
        let (destination, placement, store) = self.place(index)?;
        let version = match self.move_back(index).await? {
            Some(displaced) => displaced,
            None => match self.put_back(index).await? {
                Ok(version) => version,
                Err(parked) => return Ok(EffectOutcome::Happened(parked)),
            },
        };
        self.read_back(destination, store, &placement.before).await?;
        // The new key's version stays: until the key is deleted, the way back can be given up.
        Ok(EffectOutcome::Happened(Event::Restored { destination: index, version }))
    }

    /// Moves back to the version that the new key's displaced, if nothing was changed since. The move tells what is
    /// current where a read may give an old answer. `None` if neither of the two is.
    async fn move_back(&self, index: usize) -> Result<Option<VersionId>, Failure> {
        let (destination, placement, store) = self.place(index)?;
        let Some((displaced, promoted)) = moved(&placement.progress) else { return Ok(None) };
        let held = store.read(destination, VersionRef::Version(displaced)).await?;
        if StoredVersion::served(held.as_ref()).fingerprint != placement.before.fingerprint {
            return Ok(None);
        }
        match store.promote(destination, displaced, Some(promoted)).await {
            Ok(()) => {
                self.has_displaced(destination, Some(promoted));
                Ok(Some(displaced.clone()))
            }
            Err(failure) if matches!(failure.kind, Kind::Conflict | Kind::NotFound) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Restores a destination that was changed since the new key was published there; or why that needs an operator.
    async fn put_back(&self, index: usize) -> Result<Result<VersionId, Event>, Failure> {
        let (destination, placement, store) = self.place(index)?;
        let new = &self.successor.fingerprint;
        let moved = moved(&placement.progress);
        let is_old_answer = |served: &Served| {
            let version = served.version.as_ref();
            moved.is_some_and(|(displaced, promoted)| version == Some(displaced) || version == Some(promoted))
        };
        let is_of_neither = |served: &Served| {
            served.fingerprint != placement.before.fingerprint && served.fingerprint.as_ref() != Some(new)
        };
        let doubtful = |served: &Served| is_old_answer(served) || is_of_neither(served);
        let served = self.serving_at_last(store, destination, doubtful).await?;
        if served.fingerprint == placement.before.fingerprint {
            return Ok(Ok(served.version.unwrap_or_else(|| self.token(0))));
        }
        if is_of_neither(&served) && !self.may_overwrite() {
            let detail = format!(
                "`{destination}` serves neither the old key nor the new one; `retry --overwrite` puts the old one there"
            );
            return Ok(Err(Event::Parked { reason: ParkReason::ForeignValue, detail }));
        }
        let Some(value) = self.old_value(placement.before.fingerprint.as_ref()).await? else {
            let detail = format!(
                "the old value of `{destination}` is in no destination any more; put it there by hand and `retry`, or `abort` to go on with the new key"
            );
            return Ok(Err(Event::Parked { reason: ParkReason::CannotRollBack, detail }));
        };
        self.restore_by_copy(destination, &value, store).await.map(Ok)
    }

    fn may_overwrite(&self) -> bool {
        matches!(self.rotation.phase, Phase::RollingBack { overwrite: true, .. })
    }

    /// Another field was changed since: moving back to the old version would undo that, so the old value is merged into
    /// the current content. A further version is written only where an earlier one was made over what is not current any
    /// more.
    async fn restore_by_copy(
        &self,
        destination: &Destination,
        value: &SecretValue,
        store: &dyn SecretStore,
    ) -> Result<VersionId, Failure> {
        let tries = self.rotation.last_failure.as_ref().map_or(0, |last_failure| last_failure.failures);
        let mut refused = None;
        for attempt in 0..=tries {
            let version = self.token(RESTORE_TOKENS + attempt);
            let over = match store.stage(destination, &version, value).await {
                Ok(staged) => staged.over,
                Err(failure) if failure.kind == Kind::Conflict => {
                    refused = Some(failure);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            match store.promote(destination, &version, over.as_ref()).await {
                Ok(()) => {
                    self.has_displaced(destination, over.as_ref());
                    return Ok(version);
                }
                Err(failure) if failure.kind == Kind::Conflict => refused = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        let unexpected = || Failure::rejected(Kind::Conflict, format!("`{destination}` was not written"));
        let retry_after = (tries > 0).then_some(RESTAGE_AFTER);
        Err(Failure { retry_after, ..refused.unwrap_or_else(unexpected) })
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
        let is_late = |served: &Served| served.fingerprint != before.fingerprint;
        if !is_late(&self.serving_at_last(store, destination, is_late).await?) {
            return Ok(());
        }
        Err(Failure::rejected(
            Kind::Conflict,
            format!("`{destination}` does not serve the old key again yet"),
        ))
    }

    /// Only when no destination serves the new key and the old one is accepted; unless neither is of use.
    pub(super) async fn delete_new(&mut self) -> EffectResult {
        if let Some(until) = self.frozen_until() {
            return Ok(EffectOutcome::Wait(self.soon(until)));
        }
        let cause = self.rotation.phase.rollback_cause();
        let no_key_left = cause == Some(RollbackCause::NoKeyLeft);
        // A rollback to a leaked key that was not given up had no value to publish again: no consumer can use the new key.
        let old_leaked = self.plan().old.as_ref().is_some_and(|old| self.record.leak_of(old).is_some());
        let at_once = old_leaked || no_key_left || cause == Some(RollbackCause::Leak);
        if !at_once && let Some(until) = self.waits_for_the_return().await? {
            return Ok(EffectOutcome::Wait(self.soon(until)));
        }
        let serves_nobody = no_key_left && self.new_key_is_dead(self.listed().await?.as_ref());
        if !serves_nobody && let Some(parked) = self.serves_the_new_key().await? {
            return Ok(parked);
        }
        let inventory = self.listed().await?;
        if !at_once {
            self.check_clock(&inventory)?;
        }
        if !old_leaked && !no_key_left && !self.may_return(&inventory) {
            return nowhere_to_return();
        }
        self.delete_successor().await?;
        self.remove_all_pending().await?;
        Ok(EffectOutcome::Happened(Event::NewKeyGone))
    }

    /// Parks the rotation if some destination serves the new key that is about to be deleted.
    async fn serves_the_new_key(&self) -> Result<Option<EffectOutcome>, Failure> {
        let new = &self.successor.fingerprint;
        for index in 0..self.plan().destinations.len() {
            let (destination, _, store) = self.place(index)?;
            let serves_new = |served: &Served| served.fingerprint.as_ref() == Some(new);
            if serves_new(&self.serving_at_last(store, destination, serves_new).await?) {
                let detail = format!(
                    "`{destination}` serves the new key again; find out why, then `retry --overwrite` puts the old one there"
                );
                return park(ParkReason::ForeignValue, detail).map(Some);
            }
        }
        Ok(None)
    }

    pub(in crate::engine) fn has_been_published(&self) -> bool {
        self.successor.promotion_begun
    }

    /// Whether the provider does not list the new key as one that works.
    pub(in crate::engine) fn new_key_is_dead(&self, inventory: &Inventory) -> bool {
        inventory.key(&self.successor.key).is_none_or(|new| !self.is_alive(new, inventory))
    }

    /// Whether nobody may return to the old key: it does not work, or it leaked.
    pub(in crate::engine) fn old_key_is_lost(&self, inventory: &Inventory) -> bool {
        let has_leaked = |old: &Key| self.record.leak_of(&old.id).is_some();
        self.old_key(inventory).is_none_or(|old| !self.is_alive(old, inventory) || has_leaked(old))
    }

    /// Whether the old key works, as far as a listing tells.
    pub(super) fn may_return(&self, inventory: &Inventory) -> bool {
        self.old_key(inventory).is_some_and(|old| self.is_alive(old, inventory))
    }
}
