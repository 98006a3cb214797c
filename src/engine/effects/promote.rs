//! Making the new key current, one destination at a time, each read back by fingerprint.

use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::rotation::ParkReason;
use crate::domain::successor::{PlacementState, Served};
use crate::engine::effects::{Acted, Outcome, park, serving};
use crate::engine::reconciler::Reconciler;

impl Reconciler {
    pub(super) async fn promote(&mut self, index: usize) -> Acted {
        let (destination, placement, store) = self.place(index)?;
        let PlacementState::Staged { version, over } = &placement.progress else {
            return Err(Failure::rejected(Kind::Invalid, format!("`{destination}` has nothing staged")));
        };
        let new = &self.successor()?.fingerprint;
        let promoted = store.promote(destination, version, over.as_ref()).await;
        match &promoted {
            Err(failure) if !matches!(failure.kind, Kind::Conflict | Kind::NotFound) => {
                return Err(failure.clone());
            }
            Ok(()) | Err(_) => {}
        }
        let served = serving(store, destination).await?;
        if served.fingerprint.as_ref() == Some(new) {
            return Ok(Outcome::Happened(Event::Promoted { destination: index, displaced: over.clone() }));
        }
        match promoted {
            Ok(()) => Err(Failure::rejected(
                Kind::Conflict,
                format!("`{destination}` does not serve yet what was made current there"),
            )),
            // Another field of the same secret was changed by somebody else, or the pending version was removed:
            // merge and stage again.
            Err(_) if served.fingerprint == placement.before.fingerprint => {
                Ok(Outcome::Happened(Event::DestinationChanged { destination: index }))
            }
            Err(_) => park(
                ParkReason::ForeignValue,
                format!(
                    "`{destination}` was given another value while the rotation ran; find out by whom, then `retry --overwrite` or roll back"
                ),
            ),
        }
    }

    /// The destinations that do not serve the new key, with what they serve.
    pub(in crate::engine) async fn unlike_the_successor(&self) -> Result<Vec<(usize, Served)>, Failure> {
        let new = &self.successor()?.fingerprint;
        let mut unlike = Vec::new();
        for index in 0..self.plan()?.destinations.len() {
            let (destination, placement, store) = self.place(index)?;
            let served = serving(store, destination).await?;
            // What was given back is published anew, whoever put the new key there meanwhile.
            let given_back = matches!(placement.progress, PlacementState::Restored { .. });
            if given_back || served.fingerprint.as_ref() != Some(new) {
                unlike.push((index, served));
            }
        }
        Ok(unlike)
    }
}
