//! The agent's configuration as checked data. [`load`] reads it from a text and reports every problem at once, never
//! with a value, as for the policy.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::config::check;
use crate::config::raw;
use crate::config::schema;
use crate::config_file::diagnostic::Diagnostics;
use crate::config_file::findings::Findings;
use crate::config_file::secret_source::SecretSource;
use crate::domain::ids::{ConsumerName, CredentialName};
use crate::ports::followed::FollowedSource;

/// Defaults, as the configuration would write them.
pub(crate) mod defaults {
    /// The owner only.
    pub(crate) const MODE: &str = "0400";
    pub(crate) const RELOAD_LIMIT: &str = "30s";
    pub(crate) const SIGNAL: &str = "HUP";
    /// A reload by signal takes a moment in which the application still answers as before.
    pub(crate) const HEALTH_AFTER: &str = "1s";
    pub(crate) const HEALTH_EVERY: &str = "5s";
    pub(crate) const HEALTH_LIMIT: &str = "5s";
    pub(crate) const HEALTH_DEADLINE: &str = "1m";
    pub(crate) const HEALTH_MISSES: u32 = 3;
    pub(crate) const REKEYD: &str = "http://127.0.0.1:9809";
    pub(crate) const HEARTBEAT: &str = "5m";
    /// What Kubernetes gives a pod.
    pub(crate) const STOP_WITHIN: &str = "30s";
    pub(crate) const RESTART: &str = "never";
}

/// Whether the agent runs beside the application or runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Beside,
    Exec,
}

#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// At least one.
    pub secrets: Vec<SecretConfig>,
    pub env_file: Option<OutputFileConfig>,
    pub on_change: Option<OnChange>,
    pub health: Option<Health>,
    pub rekeyd: Option<RekeydConfig>,
    pub exec: Exec,
    /// Warnings of the file.
    pub warnings: Diagnostics,
}

#[derive(Debug, Clone)]
pub struct SecretConfig {
    pub name: CredentialName,
    pub source: Arc<dyn FollowedSource>,
    pub json_field: Option<String>,
    pub every: Duration,
    pub to: Option<OutputFileConfig>,
    pub variable: Option<String>,
    /// Only of a secret that has a file.
    pub path_variable: Option<String>,
}

/// A file to write. Owner and group are names or numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFileConfig {
    pub path: PathBuf,
    pub mode: u32,
    pub owner: Option<String>,
    pub group: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnChange {
    pub how: ReloadMethod,
    pub time_limit: Duration,
}

/// How the application is notified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadMethod {
    Command(Vec<String>),
    Signal { pid_file: PathBuf, signal: Signal },
    Url(Url),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Hup,
    Usr1,
    Usr2,
    Int,
    Term,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub how: HealthMethod,
    pub after: Duration,
    pub every: Duration,
    pub time_limit: Duration,
    pub deadline: Duration,
    pub misses: u32,
}

/// How the application's health is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthMethod {
    Command(Vec<String>),
    Url(Url),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RekeydConfig {
    pub url: Url,
    pub consumer: ConsumerName,
    /// Required without `identity`.
    pub token: Option<SecretSource>,
    pub ca_file: Option<PathBuf>,
    pub identity: Option<ClientIdentity>,
    pub heartbeat: Duration,
}

/// The agent's client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exec {
    pub stop_within: Duration,
    pub restart: Restart,
}

/// When an application that exited is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    Never,
    OnFailure,
    Always,
}

/// Reads and checks a file.
///
/// # Errors
/// Every problem of the file, warnings included; or why it cannot be read.
pub fn load_file(path: &Path, mode: Mode) -> Result<AgentConfig, Diagnostics> {
    let shown = path.display().to_string();
    let text = super::read(path).map_err(|why| {
        let mut findings = Findings::new("");
        findings.error_of_file(format!("cannot read the agent's configuration: {why}"), "");
        findings.finish(&shown)
    })?;
    load(&text, &shown, mode)
}

/// Checks a text. `path` is only for messages.
///
/// # Errors
/// Every problem of the text, warnings included.
pub fn load(text: &str, path: &str, mode: Mode) -> Result<AgentConfig, Diagnostics> {
    let (raw, mut findings) =
        super::parse::<raw::agent::Agent>(text, path, &schema::of::<raw::agent::Agent>())?;
    let checked = check::agent::check(&raw, mode, &mut findings);
    let is_whole = checked.as_ref().is_some_and(|it| it.secrets.len() == raw.secrets.len());
    if !is_whole && !findings.has_errors() {
        findings.error_of_file(
            "an entry was lost during validation",
            "this is a bug in rekeyd; please report it",
        );
    }
    let is_refused = findings.has_errors();
    let problems = findings.finish(path);
    match checked {
        Some(config) if !is_refused => Ok(AgentConfig { warnings: problems, ..config }),
        Some(_) | None => Err(problems),
    }
}

/// The keys of every table, for the test that compares them with the document: name of the table, key, default.
#[must_use]
pub fn schema() -> serde_json::Value {
    schema::of::<raw::agent::Agent>()
}
