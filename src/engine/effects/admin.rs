//! A workspace's admin key that is itself a credential: which of its two keys signs the calls, and when.
//!
//! The stores hold it, so that a start finds it there. While the rotation runs: until every destination serves the new
//! key, the old one; from then on the new one; during a rollback the old one again before the new one is deleted. A key is
//! disabled or deleted only with calls of the other, which have just been seen to work.

use crate::domain::failure::{Failure, Kind};
use crate::domain::phase::Phase;
use crate::domain::policy::Credential;
use crate::domain::secret::SecretValue;
use crate::engine::effects::{Effects, NewKeyEffects};
use crate::engine::reconciler::Reconciler;
use crate::engine::workspace_client::WorkspaceClient;
use crate::ports::secret_store::VersionRef;

/// Which of a rotation's two keys calls have to be made with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Whichever is in use: both work, or there is only one.
    Either,
    Old,
    New,
}

impl Side {
    fn of(phase: &Phase) -> Self {
        match phase {
            Phase::Overlap(_)
            | Phase::Disabling { .. }
            | Phase::Quarantine(_)
            | Phase::Revoking(_)
            | Phase::Reinstating { .. } => Self::New,
            // Where it is not enabled again yet, it cannot be switched to, and the new one enables it.
            Phase::RollingBack { .. } | Phase::Returning { .. } | Phase::Withdrawing { .. } => Self::Old,
            Phase::Due { .. }
            | Phase::Minting { .. }
            | Phase::Staging(_)
            | Phase::Verifying(_)
            | Phase::Promoting(_)
            | Phase::Discarding { .. }
            | Phase::Parked { .. }
            | Phase::Done(_)
            | Phase::Aborted { .. }
            | Phase::RolledBack { .. } => Self::Either,
        }
    }
}

impl Effects<'_> {
    /// Whether the key that is being rotated is the workspace's admin key.
    pub(super) fn is_of_the_admin(&self) -> Result<bool, Failure> {
        Ok(self.workspace_client()?.admin.as_ref() == Some(&self.plan().credential))
    }

    /// Switches to the key that has to be in use in this phase. Where its value cannot be read, or it does not work, the
    /// one in use stays; the checks before each revocation refuse what would then be wrong.
    pub(super) async fn settle_admin_key(&mut self) -> Result<(), Failure> {
        if !self.is_of_the_admin()? {
            return Ok(());
        }
        let Ok(mut new_key) = self.new_key() else { return Ok(()) };
        let workspace_client = new_key.workspace_client()?;
        let (in_use, side) = (workspace_client.issuer.admin_key(), Side::of(&new_key.rotation.phase));
        let is_new = new_key.successor.fingerprint == in_use;
        let wanted = match side {
            Side::New if !is_new => new_key.value().await?,
            Side::Old if is_new => new_key.value_before().await?,
            Side::Either | Side::New | Side::Old => None,
        };
        if let Some(value) = wanted
            && let Err(failure) = switch_to(workspace_client, &value).await
        {
            tracing::warn!(workspace = %workspace_client.name, %failure, "cannot switch to the other admin key yet");
        }
        Ok(())
    }
}

impl NewKeyEffects<'_> {
    /// The value that the first destination with a value served before.
    async fn value_before(&self) -> Result<Option<SecretValue>, Failure> {
        let placements = &self.successor.placements;
        let before = placements.iter().find_map(|placement| placement.before.fingerprint.clone());
        self.old_value(before.as_ref()).await
    }
}

impl Reconciler {
    /// Between rotations: switches to the credential's key, which the destinations serve.
    pub(in crate::engine) async fn settle_admin_key_when_idle(&self, credential: &Credential) {
        let Ok(workspace_client) = self.context.workspace_client(&credential.workspace) else { return };
        let print = self.record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
        let Some(print) = print.filter(|_| workspace_client.admin.as_ref() == Some(&credential.name)) else {
            return;
        };
        if workspace_client.issuer.admin_key() == *print {
            return;
        }
        for destination in &credential.destinations {
            let Ok(store) = self.context.store(&destination.store) else { continue };
            let Ok(Some(version)) = store.read(destination, VersionRef::Current).await else { continue };
            let Some(value) = version.value.filter(|value| value.fingerprint() == *print) else { continue };
            match switch_to(workspace_client, &value).await {
                Ok(()) => return,
                Err(failure) => {
                    tracing::warn!(workspace = %workspace_client.name, %failure, "cannot switch to the other admin key yet");
                }
            }
        }
    }
}

impl NewKeyEffects<'_> {
    /// Before the old key is disabled or deleted: calls are made with the new one, and the listing just made was one.
    ///
    /// # Errors
    /// It is the admin key and the new one is not in use: it could be the last that works.
    pub(super) fn has_a_new_admin_key(&self) -> Result<(), Failure> {
        if !self.is_of_the_admin()?
            || self.workspace_client()?.issuer.admin_key() == self.successor.fingerprint
        {
            return Ok(());
        }
        Err(not_yet("the old admin key stays as long as the new one is not in use"))
    }

    /// Before the new key is deleted: calls are not made with it.
    ///
    /// # Errors
    /// It is the admin key in use.
    pub(super) fn has_another_admin_key(&self) -> Result<(), Failure> {
        if !self.is_of_the_admin()?
            || self.workspace_client()?.issuer.admin_key() != self.successor.fingerprint
        {
            return Ok(());
        }
        Err(not_yet("the new admin key stays as long as the old one is not in use again"))
    }
}

fn not_yet(why: &str) -> Failure {
    let advice = "see in the log why it cannot be switched to";
    Failure::rejected(Kind::Conflict, format!("{why}; {advice}"))
}

/// Makes calls with `value` from here on, after one call that proves that it works.
async fn switch_to(workspace_client: &WorkspaceClient, value: &SecretValue) -> Result<(), Failure> {
    workspace_client.issuer.prove_admin(value).await?;
    workspace_client.issuer.use_admin_key(value)?;
    tracing::info!(workspace = %workspace_client.name, fingerprint = %value.fingerprint(), "switched to another admin key");
    Ok(())
}
