//! Creates the new key: the one call that cannot be repeated, with a nonce by which a lost key is found.

use jiff::SignedDuration;

use crate::domain::event::Event;
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::domain::key::Key;
use crate::domain::phase::Phase;
use crate::domain::time::later;
use crate::engine::effects::{EffectOutcome, EffectResult, Effects};

/// Between two searches for a lost key.
const LOOK_FOR_LOST: SignedDuration = SignedDuration::from_secs(2);

impl Effects<'_> {
    /// Sent once. The value stays in memory; only its fingerprint is journalled.
    pub(super) async fn mint(&mut self) -> EffectResult {
        let rotation = self.rotation;
        let Phase::Minting { request, .. } = &rotation.phase else {
            return Err(Failure::rejected(Kind::Invalid, "no mint is intended"));
        };
        let name = rotation.nonce().key_name(&rotation.plan.credential);
        let minted = match self.workspace_client() {
            Ok(workspace_client) => {
                workspace_client.issuer.create(&rotation.plan.account, &name, request).await
            }
            Err(failure) => Err(failure),
        };
        Ok(EffectOutcome::Happened(match minted {
            Ok(minted) => {
                let fingerprint = minted.value.fingerprint();
                *self.value = Some(minted.value);
                Event::Minted { key: minted.key, fingerprint }
            }
            Err(failure) => match failure.certainty {
                Certainty::Rejected => Event::MintRefused { failure },
                Certainty::Unknown => Event::MintOutcomeUnknown { cause: failure.to_string() },
            },
        }))
    }

    /// Deletes the key with the nonce of a mint whose outcome is unknown: a rotation created it and its value is lost. That
    /// there is none counts only after the settling time, because a listing may lag.
    pub(super) async fn settle_lost_key(&mut self) -> EffectResult {
        let nonce = self.rotation.nonce();
        let is_lost = |key: &&Key| key.nonce() == Some(nonce);
        let workspace_client = self.workspace_client()?;
        let inventory = self.listed().await?;
        let mut deleted = Vec::new();
        for key in inventory.keys().filter(is_lost) {
            workspace_client.issuer.delete(key).await?;
            deleted.push(key.id.clone());
        }
        let now = self.context.now();
        let settled_at = later(self.since(self.rotation.since), self.context.timing.settle);
        if deleted.is_empty() && now < settled_at {
            return Ok(EffectOutcome::Wait(settled_at.min(later(now, LOOK_FOR_LOST))));
        }
        if !deleted.is_empty() && self.listed().await?.keys().any(|key| is_lost(&key)) {
            return Ok(EffectOutcome::Wait(later(now, LOOK_FOR_LOST)));
        }
        Ok(EffectOutcome::Happened(Event::LostKeySettled { deleted }))
    }
}
