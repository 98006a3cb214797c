//! A workspace's admin key that is itself a credential: which of its keys calls are made with, and when.
//!
//! The stores have it, so that a start finds it there. While the rotation runs: until every destination serves the new
//! key, the old one; from then on the new one; on the way back the old one again before the new one goes. A key is
//! disabled or deleted only with calls of the other, which have just been seen to work.

use crate::domain::failure::{Failure, Kind};
use crate::domain::phase::AdminKeySide;
use crate::domain::policy::Credential;
use crate::domain::secret::SecretValue;
use crate::engine::reconciler::Reconciler;
use crate::engine::workspace_client::WorkspaceClient;
use crate::ports::issuer::AdminKey;
use crate::ports::secret_store::VersionRef;

impl Reconciler {
    /// Whether the key that is being rotated is the workspace's admin key.
    pub(super) fn is_of_the_admin(&self) -> Result<bool, Failure> {
        let plan = self.plan()?;
        Ok(self.workspace_client()?.admin_key_of(&plan.credential).is_some())
    }

    /// Takes up the key that has to be in use in this phase. Where its value is not to be had, or it does not work,
    /// the one in use stays; whatever would then be wrong is for the guards to refuse.
    pub(super) async fn settle_admin_key(&mut self) -> Result<(), Failure> {
        let workspace_client = self.workspace_client()?;
        let Some(admin_key) = workspace_client.admin_key_of(&self.plan()?.credential) else { return Ok(()) };
        let (in_use, side) = (admin_key.fingerprint(), self.rotating()?.phase.row().admin_key);
        let is_new = self.rotating()?.successor().is_some_and(|successor| successor.fingerprint == in_use);
        let wanted = match side {
            AdminKeySide::New if !is_new => self.value().await?,
            AdminKeySide::Old if is_new => self.value_before().await?,
            AdminKeySide::Either | AdminKeySide::New | AdminKeySide::Old => None,
        };
        if let Some(value) = wanted
            && let Err(failure) = take_up(&workspace_client, admin_key, value).await
        {
            tracing::warn!(workspace = %workspace_client.name, %failure, "the admin key cannot be taken up yet");
        }
        Ok(())
    }

    /// What the first destination that had anything served before.
    async fn value_before(&self) -> Result<Option<SecretValue>, Failure> {
        let placements = &self.successor()?.placements;
        let before = placements.iter().find_map(|placement| placement.before.fingerprint.clone());
        self.old_value(before.as_ref()).await
    }

    /// Between rotations: the destination has the credential's key, and so does whoever starts anew.
    pub(in crate::engine) async fn settle_admin_key_at_rest(&self, credential: &Credential) {
        let Ok(workspace_client) = self.context.workspace_client(&credential.workspace) else { return };
        let print = self.record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
        let (Some(print), Some(admin_key)) = (print, workspace_client.admin_key_of(&credential.name)) else {
            return;
        };
        if admin_key.fingerprint() == *print {
            return;
        }
        for destination in &credential.destinations {
            let Ok(store) = self.context.store(&destination.store) else { continue };
            let Ok(Some(held)) = store.read(destination, VersionRef::Current).await else { continue };
            let Some(value) = held.value.filter(|value| value.fingerprint() == *print) else { continue };
            match take_up(workspace_client, admin_key, value).await {
                Ok(()) => return,
                Err(failure) => {
                    tracing::warn!(workspace = %workspace_client.name, %failure, "the admin key cannot be taken up yet");
                }
            }
        }
    }

    /// Before the old key is disabled or deleted: calls are made with the new one, and the listing just made was one.
    ///
    /// # Errors
    /// It is the admin key and the new one is not in use: it could be the last that works.
    pub(super) fn has_a_new_admin_key(&self) -> Result<(), Failure> {
        let workspace_client = self.workspace_client()?;
        let admin_key = workspace_client.admin_key_of(&self.plan()?.credential);
        let new = &self.successor()?.fingerprint;
        if admin_key.is_none_or(|admin_key| admin_key.fingerprint() == *new) {
            return Ok(());
        }
        Err(not_yet("the old admin key stays as long as the new one is not in use"))
    }

    /// Before the new key is deleted: calls are not made with it.
    ///
    /// # Errors
    /// It is the admin key in use.
    pub(super) fn has_another_admin_key(&self) -> Result<(), Failure> {
        let workspace_client = self.workspace_client()?;
        let admin_key = workspace_client.admin_key_of(&self.plan()?.credential);
        let new = &self.successor()?.fingerprint;
        if admin_key.is_none_or(|admin_key| admin_key.fingerprint() != *new) {
            return Ok(());
        }
        Err(not_yet("the new admin key stays as long as the old one is not in use again"))
    }
}

fn not_yet(why: &str) -> Failure {
    let advice = "see in the log why it cannot be taken up";
    Failure::rejected(Kind::Conflict, format!("{why}; {advice}"))
}

/// Makes calls with `value` from here on, after one that shows that they will work.
async fn take_up(
    workspace_client: &WorkspaceClient,
    admin_key: &AdminKey,
    value: SecretValue,
) -> Result<(), Failure> {
    workspace_client.issuer.prove_admin(&value).await?;
    let fingerprint = value.fingerprint();
    admin_key.exchange(value);
    tracing::info!(workspace = %workspace_client.name, %fingerprint, "another admin key is in use");
    Ok(())
}
