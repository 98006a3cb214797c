//! Finds the admin key that a workspace starts with: the published one, else the one that the policy refers to.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::assembly::Error;
use crate::config::Config;
use crate::config::components::AdminKeyConfig;
use crate::config_file::environment::Environment;
use crate::domain::ids::{CredentialName, StoreName, WorkspaceName};
use crate::domain::secret::SecretValue;
use crate::ports::secret_store::{SecretStore, VersionRef};

/// # Errors
/// The store does not answer: then the policy's key is not used either, because it may be deleted by now.
pub(crate) async fn find(
    workspace: &WorkspaceName,
    written: &AdminKeyConfig,
    config: &Config,
    stores: &BTreeMap<StoreName, Arc<dyn SecretStore>>,
    environment: &dyn Environment,
) -> Result<SecretValue, Error> {
    if let Some(credential) = &written.published
        && let Some(value) = published(credential, config, stores).await?
    {
        return Ok(value);
    }
    let Some(otherwise) = &written.otherwise else {
        return Err(Error::NoAdminKey { workspace: workspace.clone() });
    };
    let read = otherwise.read(environment);
    read.map_err(|source| Error::AdminKey { workspace: workspace.clone(), source })
}

/// The value of the first destination that is a whole secret; `None` if it has none yet.
async fn published(
    credential: &CredentialName,
    config: &Config,
    stores: &BTreeMap<StoreName, Arc<dyn SecretStore>>,
) -> Result<Option<SecretValue>, Error> {
    let destinations = config.policy.credentials.get(credential).map(|it| it.destinations.as_slice());
    let whole = destinations.unwrap_or_default().iter().find(|it| it.json_field.is_none());
    let Some((destination, store)) = whole.and_then(|it| Some((it, stores.get(&it.store)?))) else {
        return Ok(None);
    };
    let version = store.read(destination, VersionRef::Current).await;
    let failed = |failure| Error::Store { store: destination.store.clone(), failure };
    Ok(version.map_err(failed)?.and_then(|version| version.value))
}
