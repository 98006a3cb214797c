//! Makes the new key current in one destination after the other, and reads each back by fingerprint.

use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::rotation::ParkReason;
use crate::domain::successor::{PlacementState, Served};
use crate::engine::effects::{EffectOutcome, EffectResult, Effects, NewKeyEffects, park, serving};

impl NewKeyEffects<'_> {
    pub(super) async fn promote(&mut self, index: usize) -> EffectResult {
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
            Ok(()) | Err(_) => {}
        }
        let served = serving(store, destination).await?;
        if served.fingerprint.as_ref() == Some(new) {
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
            Err(_) if served.fingerprint == placement.before.fingerprint => {
                Ok(EffectOutcome::Happened(Event::DestinationChanged { destination: index }))
            }
            Err(_) => park(
                ParkReason::ForeignValue,
                format!(
                    "`{destination}` was given another value while the rotation ran; find out by whom, then `retry --overwrite` or roll back"
                ),
            ),
        }
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
