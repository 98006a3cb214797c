//! VersionRef admin key a workspace begins with: the one that is published, else the one that the policy refers to.

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
/// The store does not answer: then the other key is not taken either, because it may be one that is deleted by now.
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

/// What the first destination serves that is a whole secret; `None` if there is nothing yet.
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
    let held = store.read(destination, VersionRef::Current).await;
    let failed = |failure| Error::Store { store: destination.store.clone(), failure };
    Ok(held.map_err(failed)?.and_then(|held| held.value))
}
