//! The checked configuration of each component, without secrets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use reqwest::Url;

use crate::config_file::secret_source::SecretSource;
use crate::domain::acceptance::AcceptanceRule;
use crate::domain::ids::CredentialName;
use crate::domain::notification::Subscription;
use crate::domain::notification::template::Template;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonConfig {
    pub listen: SocketAddr,
    pub tls: Option<TlsConfig>,
    pub socket: PathBuf,
    pub journal: JournalConfig,
    /// How long a stopping daemon waits for rotations to reach their next journalled step.
    pub drain: SignedDuration,
    /// How long to search for a key whose creation may have failed.
    pub settle: SignedDuration,
    pub clock_skew_max: SignedDuration,
    /// How long the provider may take to accept a new key.
    pub activation_deadline: SignedDuration,
    /// How often, and over how long, the provider has to accept a new key before it is published.
    pub acceptances: AcceptanceRule,
    pub sweep_every: SignedDuration,
    /// How often to inspect keys for leaks, deletion and changes.
    pub inspect_every: SignedDuration,
    /// Emergency rotations that may start by themselves while others are in progress.
    pub emergencies_at_once: usize,
    /// How long an alert must be active before its notification, and over before its resolution.
    pub notify_after: SignedDuration,
}

/// A notification channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelConfig {
    pub subscription: Subscription,
    pub text: Template,
    pub source: String,
    pub runbook: String,
    pub time_limit: SignedDuration,
    pub receiver: ReceiverConfig,
}

/// The receiver of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverConfig {
    Slack { url: SecretSource },
    PagerDuty { endpoint: Url, routing_key: SecretSource },
    Generic { url: SecretSource, signing_key: Option<SecretSource> },
}

impl ReceiverConfig {
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Generic { .. } => "generic",
        }
    }
}

/// TLS files of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: Option<PathBuf>,
}

/// Readers of the HTTP API. Without either: any client on loopback.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadersConfig {
    pub token: Option<SecretSource>,
    /// A DNS name, in lower case.
    pub certificate: Option<String>,
}

/// Leak reporters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaksConfig {
    /// Without it, reports are rejected.
    pub token: Option<SecretSource>,
}

/// Metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Whether to export per-credential metrics of every credential.
    pub per_credential: bool,
}

/// The journal's backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalConfig {
    Sqlite { path: PathBuf },
}

impl JournalConfig {
    /// The journal that a command line names.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self::Sqlite { path: path.to_owned() }
    }

    /// The journal that a policy names, even if the policy has errors elsewhere; `None` if it names none.
    #[must_use]
    pub fn salvaged(policy: &str) -> Option<Self> {
        let table = policy.parse::<toml::Table>().ok()?;
        let path = table.get("daemon")?.get("journal")?.get("sqlite")?.get("path")?.as_str()?;
        Some(Self::at(Path::new(path)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceConfig {
    /// Without user, query and fragment; `https` unless on loopback.
    pub base_url: Url,
    pub admin_key: AdminKeyConfig,
    pub in_flight: usize,
    pub requests_per_second: u32,
    pub request_timeout: SignedDuration,
    /// The only certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
}

/// Sources of the admin key; at least one of the two is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKeyConfig {
    /// The first destination of this credential that is a whole secret.
    pub published: Option<CredentialName>,
    /// Used until that destination has a value.
    pub otherwise: Option<SecretSource>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// A consumer that a credential waits for has this or `certificate`.
    pub token: Option<SecretSource>,
    /// A unique DNS name, in lower case.
    pub certificate: Option<String>,
    pub cache_ttl: Option<SignedDuration>,
}
