//! Writes the new value as a pending version, and finds it again after a crash.

use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::rotation::ParkReason;
use crate::domain::secret::SecretValue;
use crate::engine::effects::{EffectOutcome, EffectResult, NewKeyEffects, park};
use crate::ports::secret_store::{StoredVersion, VersionRef};

/// How often a destination may be changed out of band in one rotation.
const RESTAGED_MAX: u32 = 20;

impl NewKeyEffects<'_> {
    pub(super) async fn stage(&mut self, index: usize) -> EffectResult {
        let Some(value) = self.value().await? else { return self.value_lost() };
        let (destination, placement, store) = self.place(index)?;
        if placement.restaged >= RESTAGED_MAX {
            return park(
                ParkReason::ForeignValue,
                format!("`{destination}` is changed out of band again and again"),
            );
        }
        let version = self.token(placement.restaged);
        let staged = match store.stage(destination, &version, &value).await {
            Ok(staged) => staged,
            Err(failure) if failure.kind == Kind::Conflict => {
                return Ok(EffectOutcome::Happened(Event::DestinationChanged { destination: index }));
            }
            Err(failure) => return Err(failure),
        };
        // What it will replace must still hold what was there when the rotation began.
        if let Some(over) = staged
            .over
            .as_ref()
            .filter(|over| placement.before.version.as_ref() != Some(*over) && **over != version)
        {
            let replaced = store.read(destination, VersionRef::Version(over)).await?;
            let served = StoredVersion::served(replaced.as_ref()).fingerprint;
            if served != placement.before.fingerprint {
                return park(
                    ParkReason::ForeignValue,
                    format!(
                        "`{destination}` was given another value while the rotation ran; find out by whom, then `retry --overwrite`, or `abort`"
                    ),
                );
            }
        }
        Ok(EffectOutcome::Happened(Event::Staged { destination: index, version, over: staged.over }))
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
