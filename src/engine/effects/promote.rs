//! Makes the new key current in one destination after the other, and reads each back by fingerprint.

use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::phase::Phase;
use crate::domain::plan::Destination;
use crate::domain::successor::{PlacementState, Served};
use crate::engine::effects::{EffectOutcome, EffectResult, Effects, NewKeyEffects, serving};

impl NewKeyEffects<'_> {
    pub(super) async fn promote(&mut self, index: usize) -> EffectResult {
        if let Some(wait) = self.waits_for_turn() {
            return Ok(wait);
        }
        let (destination, placement, store) = self.place(index)?;
        let PlacementState::Staged { version, over } = &placement.progress else {
            return Err(Failure::rejected(Kind::Invalid, format!("`{destination}` has nothing staged")));
        };
        let new = &self.successor.fingerprint;
        let promoted = store.promote(destination, version, over.as_ref()).await;
        match &promoted {
            Err(failure) if !matches!(failure.kind, Kind::Conflict | Kind::NotFound) => {
                return Err(failure.clone());
            }
            Ok(()) => self.has_displaced(destination, over.as_ref()),
            Err(_) => {}
        }
        // A read may be older than the promotion, also than one whose reply was lost.
        let served = self
            .serving_at_last(store, destination, |served| served.fingerprint.as_ref() != Some(new))
            .await?;
        if served.fingerprint.as_ref() == Some(new) {
            self.has_displaced(destination, over.as_ref());
            return Ok(EffectOutcome::Happened(Event::Promoted {
                destination: index,
                displaced: over.clone(),
            }));
        }
        match promoted {
            Ok(()) => Err(Failure::rejected(
                Kind::Conflict,
                format!("`{destination}` does not serve yet what was made current there"),
            )),
            // Another field of the same secret was changed out of band, or the pending version was removed: merge and
            // stage again.
            Err(_)
                if served.fingerprint == placement.before.fingerprint
                    || self.is_former(served.fingerprint.as_ref()) =>
            {
                self.changed(index)
            }
            Err(_) => self.foreign_value(destination, "roll back"),
        }
    }

    /// A promotion of ours displaced the version.
    pub(super) fn has_displaced(&self, destination: &Destination, version: Option<&VersionId>) {
        self.shared.publishing_turns.displaced(destination, version, self.context.now());
    }

    /// The destinations that do not serve the new key, with the version that each serves.
    pub(in crate::engine) async fn lagging_destinations(&self) -> Result<Vec<(usize, Served)>, Failure> {
        let new = &self.successor.fingerprint;
        let mut lagging = Vec::new();
        for index in 0..self.plan().destinations.len() {
            let (destination, placement, store) = self.place(index)?;
            let served = serving(store, destination).await?;
            // A restored destination is published anew, even if the new key was put there out of band meanwhile.
            let restored = matches!(placement.progress, PlacementState::Restored { .. });
            if restored || served.fingerprint.as_ref() != Some(new) {
                lagging.push((index, served));
            }
        }
        Ok(lagging)
    }
}

impl Effects<'_> {
    /// The destinations whose value an operator's `retry --overwrite` replaces: on the way back with the old key, before
    /// there is a new one with that.
    pub(in crate::engine) async fn to_overwrite(&self) -> Result<Vec<usize>, Failure> {
        let is_back =
            matches!(self.rotation.phase.underlying(), Phase::Returning { .. } | Phase::Withdrawing { .. });
        let mut foreign = Vec::new();
        for (index, destination) in self.plan().destinations.iter().enumerate() {
            let served = serving(self.context.store(&destination.store)?, destination).await?;
            let new = self.rotation.successor();
            let placement = new.and_then(|successor| successor.placements.get(index));
            let is_new = new.is_some_and(|new| served.fingerprint.as_ref() == Some(&new.fingerprint));
            let replaced = match placement {
                Some(_) if is_back => is_new,
                Some(placement) => !is_new && served.fingerprint != placement.before.fingerprint,
                None => self.foreign(destination, &served).is_some(),
            };
            if replaced {
                foreign.push(index);
            }
        }
        Ok(foreign)
    }

    /// The destinations that do not serve the new key; `None` if no destination has its value any more.
    pub(in crate::engine) async fn destinations_to_publish_again(
        &mut self,
    ) -> Result<Option<Vec<(usize, Served)>>, Failure> {
        let mut new_key = self.new_key()?;
        match new_key.value().await? {
            Some(_) => new_key.lagging_destinations().await.map(Some),
            None => Ok(None),
        }
    }
}
