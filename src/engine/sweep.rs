//! Finds and deletes orphans: keys with a nonce of this journal that no rotation owns any more (I4).

use std::sync::Arc;

use crate::domain::audit::{Act, changes};
use crate::domain::failure::Failure;
use crate::domain::ids::{CredentialName, KeyId};
use crate::domain::key::{Inventory, Key};
use crate::domain::report::condition::Orphan;
use crate::domain::sanitize::one_line;
use crate::engine::context::Context;
use crate::engine::workspace_client::WorkspaceClient;
use crate::ports::journal;

/// A listing of one workspace, with the keys that this journal's rotations created.
pub(super) struct WorkspaceListing {
    pub(super) workspace_client: Arc<WorkspaceClient>,
    pub(super) inventory: Arc<Inventory>,
    /// Keys that a rotation of this journal created, with its credential.
    pub(super) ours: Vec<(Key, CredentialName)>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Workspace(#[from] Failure),
    #[error("{0}")]
    Journal(#[from] journal::Error),
}

impl Error {
    /// In one word, by which one failure is told from another.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Workspace(failure) => failure.kind.label(),
            Self::Journal(_) => "journal",
        }
    }
}

/// Lists a workspace and looks up every nonce in the journal. Changes nothing.
pub(super) async fn list(
    context: Arc<Context>,
    workspace_client: Arc<WorkspaceClient>,
) -> Result<WorkspaceListing, Error> {
    let inventory = workspace_client.inventory(context.now()).await?;
    let mut ours = Vec::new();
    for key in inventory.keys() {
        let Some(nonce) = key.nonce() else { continue };
        if let Some(owner) = context.journal.owner_of(nonce.rotation).await? {
            ours.push((key.clone(), owner));
        }
    }
    Ok(WorkspaceListing { workspace_client, inventory, ours })
}

/// Deletes orphans, each with the credential of its rotation, and returns those that are certainly gone. The next sweep
/// finds the others.
pub(super) async fn delete(
    context: Arc<Context>,
    workspace_client: Arc<WorkspaceClient>,
    orphans: Vec<(Key, CredentialName)>,
) -> Vec<Orphan> {
    let mut deleted = Vec::new();
    for (key, credential) in orphans {
        let id: &KeyId = &key.id;
        let record = async |what| {
            let act = changes::orphan(what, &key, &credential, context.now());
            context.journal.record(&Act { workspace: Some(workspace_client.name.clone()), ..act }).await
        };
        if let Err(error) = record(changes::ORPHAN_DELETION_INTENDED).await {
            tracing::warn!(workspace = %workspace_client.name, key = %id, %error, "an orphan is left for the next sweep: the journal cannot be written");
            continue;
        }
        match workspace_client.issuer.delete(&key).await {
            Ok(()) => {
                if let Err(error) = record(changes::ORPHAN_DELETED).await {
                    tracing::warn!(workspace = %workspace_client.name, key = %id, %error, "the audit log has the intent to delete an orphan, and not that it is done");
                }
                tracing::warn!(workspace = %workspace_client.name, %credential, key = %id, name = one_line(&key.name), "deleted an orphan: a key that a rotation created and lost");
                deleted.push(Orphan {
                    at: context.now(),
                    key: key.id.clone(),
                    name: one_line(&key.name),
                    account: key.account.clone(),
                    workspace: workspace_client.name.clone(),
                    credential,
                });
            }
            Err(failure) => {
                tracing::warn!(workspace = %workspace_client.name, key = %id, %failure, "an orphan could not be deleted yet");
            }
        }
    }
    deleted
}
