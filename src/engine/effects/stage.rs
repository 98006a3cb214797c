//! Writes the new value as a pending version, and finds it again after a crash.

use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::rotation::ParkReason;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;
use crate::engine::effects::late_reads::Doubt;
use crate::engine::effects::{EffectOutcome, EffectResult, NewKeyEffects, park};
use crate::ports::secret_store::{StoredVersion, VersionRef};

impl NewKeyEffects<'_> {
    pub(super) async fn stage(&mut self, index: usize) -> EffectResult {
        let Some(value) = self.value().await? else { return self.value_lost() };
        let (destination, placement, store) = self.place(index)?;
        // A value that only memory has is written at once: a crash would cost the key.
        let waits = self.waits_for_turn().filter(|_| index > 0 || placement.restaged > 0);
        if let Some(wait) = waits {
            return Ok(wait);
        }
        if placement.restaged >= self.rotation.restaged_max {
            return park(
                ParkReason::ForeignValue,
                format!(
                    "`{destination}` is changed out of band again and again; find out by whom, then `retry --overwrite`, or `abort`"
                ),
            );
        }
        if placement.restaged > 0 {
            let serves = self
                .serving_at_last(store, destination, |served| self.is_old_answer(destination, served))
                .await?;
            if let (Some(version), true) =
                (serves.version, serves.fingerprint.as_ref() == Some(&self.successor.fingerprint))
            {
                // It has what would be staged: a further version would change nothing.
                let over = Some(version.clone());
                return Ok(EffectOutcome::Happened(Event::Staged {
                    destination: index,
                    version,
                    over,
                    before: None,
                }));
            }
        }
        let version = self.token(placement.restaged);
        let mut doubt = Doubt::default();
        let staged = loop {
            match store.stage(destination, &version, &value).await {
                Ok(staged) => break staged,
                Err(failure) if failure.kind == Kind::Conflict => {
                    if !self.reads_again(&mut doubt).await {
                        return self.changed(index);
                    }
                }
                Err(failure) => return Err(failure),
            }
        };
        let before = match self.replaced(index, &version, staged.over.as_ref()).await? {
            Replaced::AsBefore => None,
            Replaced::Ours(before) => Some(before),
            Replaced::Outdated => return self.changed(index),
            Replaced::Foreign => return self.foreign_value(destination, "`abort`"),
        };
        Ok(EffectOutcome::Happened(Event::Staged { destination: index, version, over: staged.over, before }))
    }

    /// What a staged version will replace must hold what was there when the rotation began, or what rekeyd put there.
    async fn replaced(
        &self,
        index: usize,
        staged: &VersionId,
        over: Option<&VersionId>,
    ) -> Result<Replaced, Failure> {
        let (destination, placement, store) = self.place(index)?;
        let is_known =
            |over: &&VersionId| placement.before.version.as_ref() == Some(*over) || *over == staged;
        let Some(over) = over.filter(|over| !is_known(over)) else { return Ok(Replaced::AsBefore) };
        // A version never changes, so that this read cannot be an old answer.
        let replaced = store.read(destination, VersionRef::Version(over)).await?;
        let replaced = StoredVersion::served(replaced.as_ref());
        let fingerprint = replaced.fingerprint.as_ref();
        if fingerprint == placement.before.fingerprint.as_ref()
            || fingerprint == Some(&self.successor.fingerprint)
        {
            return Ok(Replaced::AsBefore);
        }
        if self.is_former(fingerprint) {
            // The preflight's read was an old answer.
            return Ok(Replaced::Ours(replaced));
        }
        // It may be the other way round: it was staged over an old answer, and cannot be promoted.
        let is_known = |served: &Served| {
            let fingerprint = served.fingerprint.as_ref();
            fingerprint == placement.before.fingerprint.as_ref() || self.is_former(fingerprint)
        };
        let served = self.serving_at_last(store, destination, |served| !is_known(served)).await?;
        Ok(if is_known(&served) { Replaced::Outdated } else { Replaced::Foreign })
    }

    /// The new key's value: from memory, or after a crash from wherever it has been staged.
    pub(in crate::engine) async fn value(&mut self) -> Result<Option<SecretValue>, Failure> {
        let wanted = &self.successor.fingerprint;
        if self.value.as_ref().is_none_or(|value| value.fingerprint() != *wanted) {
            *self.value = self.recover_value().await?;
        }
        Ok((*self.value).clone())
    }

    async fn recover_value(&self) -> Result<Option<SecretValue>, Failure> {
        let fingerprint = &self.successor.fingerprint;
        for index in 0..self.plan().destinations.len() {
            let (destination, placement, store) = self.place(index)?;
            let mut tokens = Vec::new();
            for restaged in 0..=placement.restaged {
                tokens.push(self.token(restaged));
            }
            let places = tokens.iter().rev().map(VersionRef::Version).chain([VersionRef::Current]);
            for which in places {
                let value = store.read(destination, which).await?.and_then(|version| version.value);
                if let Some(value) = value.filter(|value| value.fingerprint() == *fingerprint) {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn value_lost(&self) -> EffectResult {
        if self.successor.promotion_begun {
            return park(
                ParkReason::NewKeyUnusable,
                "the new key's value is in no destination any more; roll back",
            );
        }
        Ok(EffectOutcome::Happened(Event::ValueLost))
    }
}

/// What a staged version will replace.
enum Replaced {
    AsBefore,
    /// What rekeyd published there last, and the preflight did not see yet.
    Ours(Served),
    /// What is not current any more.
    Outdated,
    Foreign,
}
