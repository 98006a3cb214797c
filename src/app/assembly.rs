//! From a checked policy to the systems that it names.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::adapters::aws_secrets_manager::{self, AwsSecretsManager};
use crate::adapters::clock::SystemClock;
use crate::adapters::directory::{self, Directory};
use crate::adapters::elevenlabs::{self, ElevenLabs};
use crate::adapters::prober::NetworkProber;
use crate::app::admin_key;
use crate::config::Config;
use crate::config::components::{AwsConfig, DirectoryConfig, ReadersConfig, StoreConfig, WorkspaceConfig};
use crate::config::environment::Environment;
use crate::config::secret_source::Unreadable;
use crate::domain::failure::Failure;
use crate::domain::ids::{ConsumerName, StoreName, WorkspaceName};
use crate::domain::secret::SecretValue;
use crate::engine::{Context, Timing, WorkspaceClient};
use crate::http::Readers;
use crate::plain_file;
use crate::ports::clock::Clock;
use crate::ports::issuer::{AdminKey, Issuer};
use crate::ports::journal::Journal;
use crate::ports::secret_store::SecretStore;
use crate::telemetry::meter::Meter;
use crate::telemetry::metered::{MeteredStore, MeteredWorkspace};

/// Gates that wait for evidence are judged again at least this often.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Why what the policy names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("workspace `{workspace}`: its admin key cannot be had")]
    AdminKey { workspace: WorkspaceName, source: Unreadable },
    #[error(
        "workspace `{workspace}`: its admin key cannot be had: it is published nowhere yet; give `admin_key` a `file` beside `published`, with a key to begin with"
    )]
    NoAdminKey { workspace: WorkspaceName },
    #[error("workspace `{workspace}`: its `ca_file` cannot be read")]
    CaFile { workspace: WorkspaceName, source: std::io::Error },
    #[error("workspace `{workspace}` cannot be reached this way")]
    Workspace { workspace: WorkspaceName, source: elevenlabs::BuildError },
    #[error("store `{store}` cannot be used: {failure}")]
    Store { store: StoreName, failure: Failure },
    #[error("consumer `{consumer}`: its token cannot be had")]
    Token { consumer: ConsumerName, source: Unreadable },
    #[error("the token of `[leaks]` cannot be had")]
    LeaksToken { source: Unreadable },
    #[error("the token of `[readers]` cannot be had")]
    ReadersToken { source: Unreadable },
}

impl Error {
    /// Whether the policy, or what it refers to, has to be changed before another try can succeed.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Store { failure, .. } => !failure.kind.is_passing(),
            Self::AdminKey { .. }
            | Self::NoAdminKey { .. }
            | Self::CaFile { .. }
            | Self::Workspace { .. }
            | Self::Token { .. }
            | Self::LeaksToken { .. }
            | Self::ReadersToken { .. } => true,
        }
    }
}

/// What outlives reloads.
pub struct Base {
    pub journal: Arc<dyn Journal>,
    pub clock: Arc<dyn Clock>,
    pub meter: Arc<Meter>,
    pub seed: [u8; 16],
}

impl Base {
    #[must_use]
    pub fn on_this_machine(journal: Arc<dyn Journal>) -> Self {
        let seed = uuid::Uuid::now_v7().into_bytes();
        Self { journal, clock: Arc::new(SystemClock), meter: Arc::default(), seed }
    }
}

/// Connects what the policy names, reading the secrets that it refers to. Nothing outside is changed or called.
///
/// # Errors
/// The first thing that cannot be used.
pub async fn assemble(config: &Config, environment: &dyn Environment, base: &Base) -> Result<Context, Error> {
    let mut stores = BTreeMap::new();
    for (name, config) in &config.stores {
        let failed = |failure| Error::Store { store: name.clone(), failure };
        let store = store(config).await.map_err(failed)?;
        let store = MeteredStore::new(store, name.clone(), Arc::clone(&base.meter));
        stores.insert(name.clone(), Arc::new(store) as Arc<dyn SecretStore>);
    }
    let mut workspaces = BTreeMap::new();
    for (name, workspace) in &config.workspaces {
        let limits = config.policy.workspaces.get(name).copied();
        let limits = limits.unwrap_or_default();
        let admin_key = admin_key::find(name, &workspace.admin_key, config, &stores, environment).await?;
        let admin_key = AdminKey::new(admin_key);
        let issuer = issuer(name, workspace, Arc::clone(&admin_key), &base.clock)?;
        let issuer = Arc::new(MeteredWorkspace::new(issuer, name.clone(), Arc::clone(&base.meter)));
        let workspace_client =
            WorkspaceClient::new(name.clone(), Arc::clone(&issuer) as Arc<dyn Issuer>, limits);
        let workspace_client = workspace_client.watched_by(issuer);
        let workspace_client = match &workspace.admin_key.published {
            Some(credential) => workspace_client.administered_by(credential.clone(), admin_key),
            None => workspace_client,
        };
        workspaces.insert(name.clone(), Arc::new(workspace_client));
    }
    let daemon = &config.daemon;
    Ok(Context {
        policy: config.policy.clone(),
        workspaces,
        stores,
        journal: Arc::clone(&base.journal),
        prober: Arc::new(NetworkProber),
        clock: Arc::clone(&base.clock),
        timing: Timing {
            settle: daemon.settle,
            activation_deadline: daemon.activation_deadline,
            clock_skew_max: daemon.clock_skew_max,
            look_again: LOOK_AGAIN,
        },
        seed: base.seed,
    })
}

/// One workspace alone, with the admin key that it begins with. Nothing is changed or called but a store, where it has
/// that key.
///
/// # Errors
/// It cannot be used.
pub async fn workspace(
    name: &WorkspaceName,
    config: &Config,
    environment: &dyn Environment,
    clock: &Arc<dyn Clock>,
) -> Result<ElevenLabs, Error> {
    let stores = stores(config).await?;
    let Some(workspace) = config.workspaces.get(name) else {
        return Err(Error::NoAdminKey { workspace: name.clone() });
    };
    let admin_key = admin_key::find(name, &workspace.admin_key, config, &stores, environment).await?;
    issuer(name, workspace, AdminKey::new(admin_key), clock)
}

async fn stores(config: &Config) -> Result<BTreeMap<StoreName, Arc<dyn SecretStore>>, Error> {
    let mut stores = BTreeMap::new();
    for (name, config) in &config.stores {
        let failed = |failure| Error::Store { store: name.clone(), failure };
        stores.insert(name.clone(), store(config).await.map_err(failed)?);
    }
    Ok(stores)
}

/// The consumers' tokens, for those that have one.
///
/// # Errors
/// The first token that cannot be read.
pub fn tokens(
    config: &Config,
    environment: &dyn Environment,
) -> Result<BTreeMap<ConsumerName, SecretValue>, Error> {
    let with_token =
        config.consumers.iter().filter_map(|(name, consumer)| Some((name, consumer.token.as_ref()?)));
    with_token
        .map(|(name, source)| {
            let token = source.read(environment);
            let token = token.map_err(|source| Error::Token { consumer: name.clone(), source })?;
            Ok((name.clone(), token))
        })
        .collect()
}

/// The token that reports of leaks carry, if anybody may report.
///
/// # Errors
/// It cannot be read.
pub fn leaks_token(config: &Config, environment: &dyn Environment) -> Result<Option<SecretValue>, Error> {
    let token = config.leaks.token.as_ref().map(|source| source.read(environment)).transpose();
    token.map_err(|source| Error::LeaksToken { source })
}

/// Who may read, as the policy says it, or as the listener's address does.
///
/// # Errors
/// The token cannot be read.
pub fn readers(config: &Config, environment: &dyn Environment) -> Result<Readers, Error> {
    let ReadersConfig { token, certificate } = &config.readers;
    let token = token.as_ref().map(|source| source.read(environment)).transpose();
    let token = token.map_err(|source| Error::ReadersToken { source })?;
    Ok(match (token, certificate.clone()) {
        (None, None) if config.daemon.listen.ip().is_loopback() => Readers::Anybody,
        (None, None) => Readers::Nobody,
        (token, certificate) => Readers::Known { token, certificate },
    })
}

/// One workspace. Nothing is called.
///
/// # Errors
/// Its CA file cannot be read, or it cannot be reached this way.
pub fn issuer(
    name: &WorkspaceName,
    config: &WorkspaceConfig,
    admin_key: Arc<AdminKey>,
    clock: &Arc<dyn Clock>,
) -> Result<ElevenLabs, Error> {
    let workspace = || name.clone();
    let ca_pem = config.ca_file.as_deref().map(plain_file::certificates).transpose();
    let settings = elevenlabs::Settings {
        base_url: config.base_url.to_string(),
        admin_key,
        request_timeout: config.request_timeout.unsigned_abs(),
        in_flight: NonZeroUsize::new(config.in_flight).unwrap_or(NonZeroUsize::MIN),
        requests_per_second: NonZeroU32::new(config.requests_per_second),
        ca_pem: ca_pem.map_err(|source| Error::CaFile { workspace: workspace(), source })?,
        clock: Arc::clone(clock),
    };
    ElevenLabs::new(settings).map_err(|source| Error::Workspace { workspace: workspace(), source })
}

async fn store(config: &StoreConfig) -> Result<Arc<dyn SecretStore>, Failure> {
    Ok(match config {
        StoreConfig::AwsSecretsManager(aws) => {
            Arc::new(AwsSecretsManager::connect(&aws_settings(aws)).await?)
        }
        StoreConfig::Directory(local) => Arc::new(Directory::open(&directory_settings(local))?),
    })
}

/// What the policy says of a store in AWS, as its adapter takes it.
#[must_use]
pub fn aws_settings(aws: &AwsConfig) -> aws_secrets_manager::Settings {
    aws_secrets_manager::Settings {
        region: aws.region.clone(),
        profile: aws.profile.clone(),
        endpoint_url: aws.endpoint_url.as_ref().map(ToString::to_string),
        ..aws_secrets_manager::Settings::default()
    }
}

/// What the policy says of a directory, as its adapter takes it.
#[must_use]
pub fn directory_settings(local: &DirectoryConfig) -> directory::Settings {
    directory::Settings {
        path: local.path.clone(),
        mode: local.mode,
        directory_mode: local.directory_mode,
        group: local.group.clone(),
    }
}
