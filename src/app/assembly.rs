//! Connects the systems that a checked policy names.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::adapters::clock::SystemClock;
use crate::adapters::elevenlabs::{self, ElevenLabs};
use crate::adapters::prober::NetworkProber;
use crate::app::admin_key;
use crate::config::Config;
use crate::config::components::{ReadersConfig, WorkspaceConfig};
use crate::config_file::environment::Environment;
use crate::config_file::secret_source::Unreadable;
use crate::current_read::{reading, reading_file};
use crate::domain::failure::Failure;
use crate::domain::ids::{ConsumerName, StoreName, WorkspaceName};
use crate::domain::secret::SecretValue;
use crate::engine::{Context, Periods, Timing, WorkspaceClient};
use crate::http::Readers;
use crate::plain_file;
use crate::ports::clock::Clock;
use crate::ports::issuer::{AdminKey, Issuer};
use crate::ports::journal::Journal;
use crate::ports::secret_store::SecretStore;
use crate::ports::usage::UsageSource;
use crate::telemetry::meter::Meter;
use crate::telemetry::metered::{MeteredStore, MeteredWorkspace};

/// Gates that wait for evidence are evaluated at least this often.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// Often enough for the watchdog of the systemd unit.
const WAKE: SignedDuration = SignedDuration::from_secs(5);

/// Why a system that the policy names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("workspace `{workspace}`: cannot read the admin key")]
    AdminKey { workspace: WorkspaceName, source: Unreadable },
    #[error(
        "workspace `{workspace}`: cannot read the admin key: it is not published yet; add `file` beside `published`, with a first key"
    )]
    NoAdminKey { workspace: WorkspaceName },
    #[error("workspace `{workspace}`: cannot read `ca_file`")]
    CaFile { workspace: WorkspaceName, source: std::io::Error },
    #[error("workspace `{workspace}`: cannot create an HTTP client")]
    Workspace { workspace: WorkspaceName, source: elevenlabs::BuildError },
    #[error("store `{store}` cannot be used: {failure}")]
    Store { store: StoreName, failure: Failure },
    #[error(
        "the stores `{store}` and `{other}` write to one directory: `{path}` leads to the other's too; use a separate directory for each, or a single store"
    )]
    SameDirectory { store: StoreName, other: StoreName, path: String },
    #[error("consumer `{consumer}`: cannot read the token")]
    Token { consumer: ConsumerName, source: Unreadable },
    #[error("cannot read the token of `[leaks]`")]
    LeaksToken { source: Unreadable },
    #[error("cannot read the token of `[readers]`")]
    ReadersToken { source: Unreadable },
}

impl Error {
    /// Whether the policy, or what it refers to, must change before a retry can succeed.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Store { failure, .. } => !failure.kind.is_passing(),
            Self::AdminKey { .. }
            | Self::NoAdminKey { .. }
            | Self::CaFile { .. }
            | Self::Workspace { .. }
            | Self::SameDirectory { .. }
            | Self::Token { .. }
            | Self::LeaksToken { .. }
            | Self::ReadersToken { .. } => true,
        }
    }
}

/// What survives reloads.
#[derive(Clone)]
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

/// Connects the systems that the policy names, and reads the secrets that it refers to. Changes nothing outside.
///
/// # Errors
/// The first system that cannot be used.
pub async fn assemble(config: &Config, environment: &dyn Environment, base: &Base) -> Result<Context, Error> {
    let mut stores = BTreeMap::new();
    for (name, config) in &config.stores {
        let failed = |failure| Error::Store { store: name.clone(), failure };
        reading(|| format!("the store `{name}`"));
        let store = config.open().await.map_err(failed)?;
        let store = MeteredStore::new(store, name.clone(), Arc::clone(&base.meter));
        stores.insert(name.clone(), Arc::new(store) as Arc<dyn SecretStore>);
    }
    separate_directories(config)?;
    let mut workspaces = BTreeMap::new();
    for (name, workspace) in &config.workspaces {
        let limits = config.policy.workspaces.get(name).copied();
        let limits = limits.unwrap_or_default();
        reading(|| format!("the admin key of workspace `{name}`"));
        let admin_key = admin_key::find(name, &workspace.admin_key, config, &stores, environment).await?;
        let admin_key = AdminKey::new(admin_key);
        let issuer = issuer(name, workspace, Arc::clone(&admin_key), &base.clock)?;
        let issuer = Arc::new(MeteredWorkspace::new(issuer, name.clone(), Arc::clone(&base.meter)));
        let workspace_client =
            WorkspaceClient::new(name.clone(), Arc::clone(&issuer) as Arc<dyn Issuer>, limits);
        let workspace_client =
            workspace_client.watched_by(Arc::clone(&issuer) as Arc<dyn UsageSource>).logged_by(issuer);
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
        prober: Arc::new(NetworkProber::default()),
        clock: Arc::clone(&base.clock),
        timing: Timing {
            settle: daemon.settle,
            activation_deadline: daemon.activation_deadline,
            acceptances: daemon.acceptances,
            clock_skew_max: daemon.clock_skew_max,
            look_again: LOOK_AGAIN,
            periods: Periods { wake: WAKE, sweep: daemon.sweep_every, inspect: daemon.inspect_every },
        },
        seed: base.seed,
    })
}

/// Links and mounts can lead to one directory by two paths: only the file system knows. The stores are open, so that their
/// directories exist.
///
/// # Errors
/// Two stores that write to one directory.
pub fn separate_directories(config: &Config) -> Result<(), Error> {
    let mut known: BTreeMap<(u64, u64), &StoreName> = BTreeMap::new();
    for (name, store) in &config.stores {
        let Some(path) = store.directory() else { continue };
        reading_file(path);
        let Ok(found) = path.metadata() else { continue };
        if let Some(other) = known.insert((found.dev(), found.ino()), name) {
            let (store, other) = (name.clone(), other.clone());
            return Err(Error::SameDirectory { store, other, path: path.display().to_string() });
        }
    }
    Ok(())
}

/// Connects one workspace, with its first admin key. Calls only the store that the key is published in, if any.
///
/// # Errors
/// The workspace cannot be used.
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
        stores.insert(name.clone(), config.open_read_only().await.map_err(failed)?);
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

/// The token for reporting leaks, if the policy has one.
///
/// # Errors
/// The token cannot be read.
pub fn leaks_token(config: &Config, environment: &dyn Environment) -> Result<Option<SecretValue>, Error> {
    let token = config.leaks.token.as_ref().map(|source| source.read(environment)).transpose();
    token.map_err(|source| Error::LeaksToken { source })
}

/// Who may read over HTTP, from the policy, or from the listener's address.
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

/// Creates the client of one workspace. Makes no call.
///
/// # Errors
/// The CA file cannot be read, or the client cannot be created.
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
