//! What each component is configured with: plain data, checked, without any secret.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::SignedDuration;
use reqwest::Url;

use crate::config_file::secret_source::SecretSource;
use crate::domain::ids::CredentialName;
use crate::domain::notification::Interest;
use crate::domain::notification::template::Template;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonConfig {
    pub listen: SocketAddr,
    pub tls: Option<TlsConfig>,
    pub socket: PathBuf,
    pub journal: JournalConfig,
    /// How long a stopping daemon lets rotations reach their next journalled point.
    pub drain: SignedDuration,
    /// How long a key whose creation may have failed is looked for.
    pub settle: SignedDuration,
    pub clock_skew_max: SignedDuration,
    /// How long a new key may take until the provider accepts it.
    pub activation_deadline: SignedDuration,
    pub sweep_every: SignedDuration,
    /// How often listings are looked through for leaked, vanished and changed keys.
    pub inspect_every: SignedDuration,
    /// Emergency rotations that may begin by themselves while others are under way.
    pub emergencies_at_once: usize,
    /// How long a trouble lasts before people are told, and is over before they are told that.
    pub notify_after: SignedDuration,
}

/// One channel by which people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelConfig {
    pub interest: Interest,
    pub text: Template,
    pub source: String,
    pub runbook: String,
    pub time_limit: SignedDuration,
    pub receiver: ReceiverConfig,
}

/// Who is told, by its kind.
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

/// What the listener encrypts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: Option<PathBuf>,
}

/// Who may read. Without either: everybody on this machine, and nobody else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadersConfig {
    pub token: Option<SecretSource>,
    /// A DNS name, in lower case.
    pub certificate: Option<String>,
}

/// Who may report leaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaksConfig {
    /// Without it nobody may.
    pub token: Option<SecretSource>,
}

/// What metrics tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Every credential, and not only those that are not well.
    pub per_credential: bool,
}

/// Where the journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalConfig {
    Sqlite { path: PathBuf },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceConfig {
    /// Without user, query and fragment, and `https` unless on this machine.
    pub base_url: Url,
    pub admin_key: AdminKeyConfig,
    pub in_flight: usize,
    pub requests_per_second: u32,
    pub request_timeout: SignedDuration,
    /// The only certificate authorities to trust, if given.
    pub ca_file: Option<PathBuf>,
}

/// Where the admin key is; at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKeyConfig {
    /// In the first destination of this credential that is a whole secret.
    pub published: Option<CredentialName>,
    /// As long as there is nothing yet.
    pub otherwise: Option<SecretSource>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// This or `certificate` is always there for a consumer that some credential waits for.
    pub token: Option<SecretSource>,
    /// A DNS name, in lower case, that no other consumer has.
    pub certificate: Option<String>,
    pub cache_ttl: Option<SignedDuration>,
}
