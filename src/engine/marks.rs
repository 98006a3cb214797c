//! Whose a key with a rotation's mark is: this journal's, or another rekeyd's. ElevenLabs has no other place for a sign.

use crate::domain::adoption::Marked;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::{CredentialName, KeyId, Nonce};
use crate::domain::key::{Account, Inventory};
use crate::domain::policy::Credential;
use crate::engine::commit::ReconcileError;
use crate::engine::effects::Effects;
use crate::engine::reconciler::Reconciler;
use crate::ports::secret_store::VersionRef;

impl Reconciler {
    /// The account's keys that carry a mark. Of this journal's rotations none is adopted, whatever became of the rotation.
    pub(super) async fn marked(
        &self,
        credential: &Credential,
        account: &Account,
    ) -> Result<Marked, ReconcileError> {
        let mut marked = Marked::default();
        for key in &account.keys {
            let Some(nonce) = key.nonce() else { continue };
            let owner =
                self.context.journal.owner_of(nonce.rotation).await.map_err(ReconcileError::reading)?;
            let keys = match owner {
                Some(owner) if self.is_inherited(&key.id, &owner).await? => continue,
                Some(_) => &mut marked.leftovers,
                None if self.is_served(credential, nonce).await => &mut marked.served,
                None => &mut marked.foreign,
            };
            keys.insert(key.id.clone());
        }
        Ok(marked)
    }

    /// Whether it is the key of a credential that has left the policy: a renamed credential hands its key on.
    async fn is_inherited(&self, key: &KeyId, owner: &CredentialName) -> Result<bool, ReconcileError> {
        if self.context.credential(owner).is_some() {
            return Ok(false);
        }
        let known = self.context.journal.load_one(owner).await.map_err(ReconcileError::reading)?;
        Ok(known.is_some_and(|known| {
            known.rotation.is_none() && known.record.current.is_some_and(|current| current.key == *key)
        }))
    }

    /// Whether a destination serves the value that was staged with this mark. What cannot be read is not served: that an
    /// operator has to decide is the safer answer.
    async fn is_served(&self, credential: &Credential, nonce: Nonce) -> bool {
        for destination in &credential.destinations {
            let Ok(store) = self.context.store(&destination.store) else { continue };
            let Ok(Some(current)) = store.read(destination, VersionRef::Current).await else { continue };
            let Some(served) = &current.value else { continue };
            for version in nonce.versions() {
                if version == current.version {
                    return true;
                }
                // Somebody wrote another field of the secret since.
                if let Ok(Some(staged)) = store.read(destination, VersionRef::Version(&version)).await
                    && staged.value.is_some_and(|staged| staged.matches(served))
                {
                    return true;
                }
            }
        }
        false
    }
}

impl Effects<'_> {
    /// Refuses to revoke while another rekeyd has a key in the same service account: its consumers may use the old one.
    pub(super) async fn check_owner(&self, inventory: &Inventory) -> Result<(), Failure> {
        let account = inventory.account(&self.rotation.plan.account);
        let now = self.context.now();
        for key in account.into_iter().flat_map(|account| &account.keys) {
            let Some(nonce) = key.nonce().filter(|_| key.is_alive(now)) else { continue };
            // One that was adopted on an operator's word.
            if self.rotation.plan.old.as_ref() == Some(&key.id) {
                continue;
            }
            let owner = self.context.journal.owner_of(nonce.rotation).await;
            let unreadable =
                |error: crate::ports::journal::Error| Failure::rejected(Kind::LocalDisk, error.to_string());
            if owner.map_err(unreadable)?.is_none() {
                let (id, name) = (&key.id, &self.rotation.plan.credential);
                let message = format!(
                    "the service account has the key `{id}`, made by a rotation that is not in this journal: consumers of another rekeyd may use the old key; stop the other rekeyd, then delete its key in the dashboard; or `rekeyd rollback {name}`"
                );
                return Err(Failure::rejected(Kind::Conflict, message));
            }
        }
        Ok(())
    }
}
