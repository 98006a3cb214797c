//! Stores may answer late: a read may be older than what rekeyd itself has just written. What a read contradicts is
//! read again, after growing pauses, before it is believed.

use jiff::SignedDuration;

use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::plan::Destination;
use crate::domain::rotation::ParkReason;
use crate::domain::secret::Fingerprint;
use crate::domain::successor::Served;
use crate::domain::time::later;
use crate::engine::effects::{EffectOutcome, EffectResult, Effects, NewKeyEffects, park, serving};
use crate::ports::secret_store::SecretStore;

/// Between the reads. Together they are longer than the answers of any store lag behind its writes.
const PAUSES: [SignedDuration; 3] =
    [SignedDuration::from_secs(1), SignedDuration::from_secs(2), SignedDuration::from_secs(4)];

/// Between two stagings of one destination that others keep changing.
pub(super) const RESTAGE_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// While another credential publishes to the same secret.
const NEXT_TURN: SignedDuration = SignedDuration::from_secs(1);

/// How often a contradiction has been read again.
#[derive(Default)]
pub(super) struct Doubt(usize);

impl Effects<'_> {
    /// Pauses before the next read; `false` if it was read often enough to be believed.
    pub(super) async fn reads_again(&self, doubt: &mut Doubt) -> bool {
        let Some(pause) = PAUSES.get(doubt.0) else { return false };
        doubt.0 += 1;
        self.context.clock.sleep(*pause).await;
        true
    }

    /// What the destination serves, once it contradicts nothing any more, or goes on to.
    pub(super) async fn serving_at_last(
        &self,
        store: &dyn SecretStore,
        destination: &Destination,
        contradicts: impl Fn(&Served) -> bool,
    ) -> Result<Served, Failure> {
        let mut doubt = Doubt::default();
        loop {
            let served = serving(store, destination).await?;
            if !contradicts(&served) || !self.reads_again(&mut doubt).await {
                return Ok(served);
            }
        }
    }

    /// Whether the destination shows what a promotion of ours has displaced a moment ago.
    pub(super) fn is_old_answer(&self, destination: &Destination, served: &Served) -> bool {
        let turns = &self.shared.publishing_turns;
        turns.is_displaced(destination, served.version.as_ref(), self.context.now())
    }

    /// Takes the turn to publish to the rotation's secrets; `None` if it has it, otherwise when to ask again.
    pub(super) fn waits_for_turn(&mut self) -> Option<EffectOutcome> {
        let (plan, now) = (self.plan(), self.context.now());
        if self.publishing_turn.is_none() {
            let turns = &self.shared.publishing_turns;
            *self.publishing_turn = turns.take(&plan.credential, &plan.destinations, now);
        }
        self.publishing_turn.is_none().then_some(EffectOutcome::Wait(later(now, NEXT_TURN)))
    }

    /// Whether the fingerprint is of the key that this credential had until now.
    pub(super) fn is_former(&self, fingerprint: Option<&Fingerprint>) -> bool {
        let current = self.record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
        fingerprint.is_some() && fingerprint == current
    }
}

impl NewKeyEffects<'_> {
    /// What was staged cannot be promoted any more, because the destination was changed: it is staged again, at once the
    /// first time, and then at most twice a minute.
    pub(super) fn changed(&self, index: usize) -> EffectResult {
        let (destination, placement, _) = self.place(index)?;
        let now = self.context.now();
        let not_before = later(self.rotation.since, RESTAGE_AFTER);
        if placement.restaged > 0 && now < not_before {
            let failure = Failure::rejected(
                Kind::Conflict,
                format!(
                    "`{destination}` was changed by another writer again; it is staged again at {not_before:.0}"
                ),
            );
            return Err(Failure { retry_after: Some(not_before.duration_since(now)), ..failure });
        }
        Ok(EffectOutcome::Happened(Event::DestinationChanged { destination: index }))
    }

    /// The destination serves neither what was there when the rotation began nor the new key, and goes on to.
    pub(super) fn foreign_value(&self, destination: &Destination, way_out: &str) -> EffectResult {
        park(
            ParkReason::ForeignValue,
            format!(
                "`{destination}` was given another value while the rotation ran; find out by whom, then `retry --overwrite` or {way_out}"
            ),
        )
    }
}
