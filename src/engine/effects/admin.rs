//! A workspace's admin key that is itself a credential: which of its two keys signs the calls, and when.
//!
//! The stores hold it, so that a start finds it there. While the rotation runs: until every destination serves the new
//! key, the old one; from then on the new one; during a rollback the old one again before the new one is deleted. A key is
//! disabled or deleted only with calls of the other, which have just been seen to work.

use jiff::Timestamp;

use crate::domain::failure::{Failure, Kind};
use crate::domain::phase::AdminKeySide;
use crate::domain::policy::Credential;
use crate::domain::secret::SecretValue;
use crate::domain::time::later;
use crate::engine::context::Context;
use crate::engine::effects::{Effects, NewKeyEffects};
use crate::engine::reconciler::Reconciler;
use crate::engine::shared_state::SharedState;
use crate::engine::workspace_client::WorkspaceClient;
use crate::ports::issuer::AdminKey;
use crate::ports::secret_store::VersionRef;

impl Effects<'_> {
    /// Whether the key that is being rotated is the workspace's admin key.
    pub(super) fn is_of_the_admin(&self) -> Result<bool, Failure> {
        Ok(self.workspace_client()?.admin_key_of(&self.plan().credential).is_some())
    }

    /// Switches to the key that has to be in use in this phase. Where its value cannot be read, or it does not work, the
    /// one in use stays; the checks before each revocation refuse what would then be wrong.
    pub(super) async fn switch_admin_key(&mut self) -> Result<(), Failure> {
        let workspace_client = self.workspace_client()?;
        let Some(admin_key) = workspace_client.admin_key_of(&self.plan().credential) else { return Ok(()) };
        let Ok(mut new_key) = self.new_key() else { return Ok(()) };
        let side = new_key.rotation.phase.row().admin_key;
        let is_new = new_key.successor.fingerprint == admin_key.fingerprint();
        let last_failure = new_key.rotation.last_failure.as_ref();
        // Whatever the phase wants, a key that the provider refuses is of no use.
        let refused = last_failure.is_some_and(|failure| failure.last.kind == Kind::Unauthenticated);
        let wanted = match side {
            AdminKeySide::New if !is_new => new_key.value().await?,
            AdminKeySide::Old if is_new => new_key.value_before().await?,
            AdminKeySide::Either | AdminKeySide::New | AdminKeySide::Old if refused => {
                new_key.value_of_the_other(is_new).await?
            }
            AdminKeySide::Either | AdminKeySide::New | AdminKeySide::Old => None,
        };
        if let Some(value) = wanted
            && let Err(failure) = switch_to(workspace_client, admin_key, value).await
        {
            warn_of_the_other_key(self.shared, self.context, workspace_client, &failure);
        }
        Ok(())
    }
}

impl Effects<'_> {
    /// While the rotation waits for an operator: switches away from an admin key that the provider does not accept any
    /// more. Returns when to look again; `None` if the key is no admin key.
    pub(in crate::engine) async fn tend_admin_key(&mut self) -> Option<Timestamp> {
        let workspace_client = self.workspace_client().ok()?;
        let admin_key = workspace_client.admin_key_of(&self.plan().credential)?;
        let again_at = later(self.context.now(), self.context.timing.look_again);
        match workspace_client.issuer.prove_admin(&admin_key.value()).await {
            Err(failure) if matches!(failure.kind, Kind::NotActiveYet | Kind::Unauthenticated) => {}
            Ok(()) | Err(_) => return Some(again_at),
        }
        if let Ok(mut new_key) = self.new_key() {
            let is_new = new_key.successor.fingerprint == admin_key.fingerprint();
            let other = new_key.value_of_the_other(is_new).await;
            let switched = match other {
                Ok(Some(value)) => switch_to(workspace_client, admin_key, value).await,
                Ok(None) => Ok(()),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = switched {
                tracing::warn!(workspace = %workspace_client.name, %failure, "the admin key is refused, and the other one is not in use yet");
            }
        }
        Some(again_at)
    }
}

impl NewKeyEffects<'_> {
    async fn value_of_the_other(&mut self, new_in_use: bool) -> Result<Option<SecretValue>, Failure> {
        if new_in_use { self.value_before().await } else { self.value().await }
    }

    /// The value that the first destination with a value served before.
    async fn value_before(&self) -> Result<Option<SecretValue>, Failure> {
        let placements = &self.successor.placements;
        let before = placements.iter().find_map(|placement| placement.before.fingerprint.clone());
        self.old_value(before.as_ref()).await
    }
}

impl Reconciler {
    /// Between rotations: switches to the credential's key, which the destinations serve.
    pub(in crate::engine) async fn switch_admin_key_when_idle(&self, credential: &Credential) {
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
            let Ok(Some(version)) = store.read(destination, VersionRef::Current).await else { continue };
            let Some(value) = version.value.filter(|value| value.fingerprint() == *print) else { continue };
            match switch_to(workspace_client, admin_key, value).await {
                Ok(()) => return,
                Err(failure) => {
                    warn_of_the_other_key(&self.shared, &self.context, workspace_client, &failure);
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
        let admin_key = self.workspace_client()?.admin_key_of(&self.plan().credential);
        let new = &self.successor.fingerprint;
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
        let admin_key = self.workspace_client()?.admin_key_of(&self.plan().credential);
        let new = &self.successor.fingerprint;
        if admin_key.is_none_or(|admin_key| admin_key.fingerprint() != *new) {
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
async fn switch_to(
    workspace_client: &WorkspaceClient,
    admin_key: &AdminKey,
    value: SecretValue,
) -> Result<(), Failure> {
    workspace_client.issuer.prove_admin(&value).await?;
    let fingerprint = value.fingerprint();
    admin_key.exchange(value);
    tracing::info!(workspace = %workspace_client.name, %fingerprint, "switched to another admin key");
    Ok(())
}

fn warn_of_the_other_key(
    shared: &SharedState,
    context: &Context,
    workspace_client: &WorkspaceClient,
    failure: &Failure,
) {
    if shared.is_news(context, workspace_client.name.as_str(), "admin_key", failure.kind.label()) {
        tracing::warn!(workspace = %workspace_client.name, %failure, "cannot switch to the other admin key yet");
    }
}
