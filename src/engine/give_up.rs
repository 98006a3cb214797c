//! The way out of a parked rotation whose keys are dead: it ends without putting anything back, and an emergency
//! replaces both.

use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::phase::Phase;
use crate::domain::rotation::RollbackCause;
use crate::engine::commit::ReconcileError;
use crate::engine::effects::NewKeyEffects;
use crate::engine::reconciler::Reconciler;

/// Whether a rotation is given up only if its old key is of no use either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OldKeyToo {
    Yes,
    No,
}

impl Reconciler {
    /// The answer to an operator who had it given up, or why that could not be looked at; `None` if a key is still of use,
    /// so that there is another way out.
    pub(super) async fn give_up_dead_keys(
        &mut self,
        old_too: OldKeyToo,
    ) -> Result<Option<Result<String, String>>, ReconcileError> {
        let name = self.record.credential.clone();
        let is_parked = |phase: &Phase| matches!(phase, Phase::Parked { .. });
        let Some(mut effects) = self.effects().filter(|effects| is_parked(&effects.rotation.phase)) else {
            return Ok(None);
        };
        let Ok(mut new_key) = effects.new_key() else { return Ok(None) };
        match new_key.is_beyond_use(old_too).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(failure) => {
                let why = format!("whether a key of `{name}` still works could not be looked at: {failure}");
                return Ok(Some(Err(why)));
            }
        }
        let event = Event::RollbackBegun { cause: RollbackCause::NoKeyLeft };
        let answer = self
            .steer(event, "is given up: no key of it is left to use; an emergency rotation replaces them")
            .await?;
        Ok(Some(answer))
    }
}

impl NewKeyEffects<'_> {
    /// Whether the new key, which was published, is dead or has its value nowhere, and the old one, where it counts, is
    /// dead or leaked. Changes nothing.
    async fn is_beyond_use(&mut self, old_too: OldKeyToo) -> Result<bool, Failure> {
        if !self.has_been_published() {
            return Ok(false);
        }
        let inventory = self.listed().await?;
        let old_is_lost = self.old_key_is_lost(&inventory);
        if old_too == OldKeyToo::Yes && !old_is_lost {
            return Ok(false);
        }
        Ok(self.new_key_is_dead(&inventory) || old_is_lost && self.value().await?.is_none())
    }
}
