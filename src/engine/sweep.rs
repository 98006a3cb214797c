//! Looking for keys that nobody answers for: with a nonce of ours, and no rotation that owns them (I4).

use std::sync::Arc;

use crate::domain::audit::{Act, changes};
use crate::domain::failure::Failure;
use crate::domain::ids::{CredentialName, KeyId};
use crate::domain::key::{Inventory, Key};
use crate::domain::outside::one_line;
use crate::domain::report::remark::Orphan;
use crate::engine::desk::Desk;
use crate::engine::setup::Setup;
use crate::ports::journal;

/// What a listing showed of one workspace.
pub(super) struct Swept {
    pub(super) desk: Arc<Desk>,
    pub(super) inventory: Arc<Inventory>,
    /// Keys that a rotation of this journal made, with the credential that it was for.
    pub(super) ours: Vec<(Key, CredentialName)>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Workspace(#[from] Failure),
    #[error("{0}")]
    Journal(#[from] journal::Error),
}

/// Lists a workspace and asks the journal about every nonce. Changes nothing.
pub(super) async fn look(setup: Arc<Setup>, desk: Arc<Desk>) -> Result<Swept, Error> {
    let inventory = desk.inventory(setup.now()).await?;
    let mut ours = Vec::new();
    for key in inventory.keys() {
        let Some(nonce) = key.nonce() else { continue };
        if let Some(owner) = setup.journal.owner_of(nonce.rotation).await? {
            ours.push((key.clone(), owner));
        }
    }
    Ok(Swept { desk, inventory, ours })
}

/// Deletes orphans, each with whose rotation made it, and says which are certainly gone. One that is not is found by
/// the next sweep.
pub(super) async fn delete(
    setup: Arc<Setup>,
    desk: Arc<Desk>,
    orphans: Vec<(Key, CredentialName)>,
) -> Vec<Orphan> {
    let mut deleted = Vec::new();
    for (key, credential) in orphans {
        let id: &KeyId = &key.id;
        let record = async |what| {
            let act = changes::orphan(what, &key, &credential, setup.now());
            setup.journal.record(&Act { workspace: Some(desk.name.clone()), ..act }).await
        };
        if let Err(error) = record(changes::ORPHAN_DELETION_INTENDED).await {
            tracing::warn!(workspace = %desk.name, key = %id, %error, "an orphan is left for the next sweep: the journal cannot be written");
            continue;
        }
        match desk.issuer.delete(&key).await {
            Ok(()) => {
                if let Err(error) = record(changes::ORPHAN_DELETED).await {
                    tracing::warn!(workspace = %desk.name, key = %id, %error, "the audit log has the intent to delete an orphan, and not that it is done");
                }
                tracing::warn!(workspace = %desk.name, %credential, key = %id, name = one_line(&key.name), "deleted an orphan: a key that a rotation made and lost");
                deleted.push(Orphan {
                    at: setup.now(),
                    key: key.id.clone(),
                    name: one_line(&key.name),
                    account: key.account.clone(),
                    workspace: desk.name.clone(),
                    credential,
                });
            }
            Err(failure) => {
                tracing::warn!(workspace = %desk.name, key = %id, %failure, "an orphan could not be deleted yet");
            }
        }
    }
    deleted
}
