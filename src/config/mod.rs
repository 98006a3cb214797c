//! The policy file: parsed, then checked, with every problem reported at once.
//!
//! [`load`] parses the text, validates it against the schema ([`schema`]), reads the valid part into the raw types and
//! checks their values. No value of the file is ever shown: it could be a misplaced secret.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use toml::de::DeTable;

use crate::current_read::reading_file;
use crate::domain::ids::{ChannelName, ConsumerName, StoreName, WorkspaceName};
use crate::domain::policy::Policy;
use crate::ports::store_kind::StoreConfig;

pub mod agent;
mod check;
pub mod components;
pub(crate) mod defaults;
pub mod known_permissions;
mod raw;
pub mod schema;
mod schema_check;
pub mod traces;

use crate::config::components::{
    ChannelConfig, ConsumerConfig, DaemonConfig, LeaksConfig, MetricsConfig, ReadersConfig, WorkspaceConfig,
};
use crate::config_file::diagnostic::Diagnostics;
use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::config_file::findings::Findings;
use crate::config_file::secret_source::SecretSource;

/// Enough for tens of thousands of credentials.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
const SYNTAX_ERRORS_MAX: usize = 20;

/// A policy without errors. Only [`load`] makes one.
#[derive(Debug, Clone)]
pub struct Config {
    pub policy: Policy,
    pub daemon: DaemonConfig,
    pub workspaces: BTreeMap<WorkspaceName, WorkspaceConfig>,
    pub stores: BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    pub consumers: BTreeMap<ConsumerName, ConsumerConfig>,
    pub leaks: LeaksConfig,
    /// Notification channels.
    pub channels: BTreeMap<ChannelName, ChannelConfig>,
    pub readers: ReadersConfig,
    pub metrics: MetricsConfig,
    hash: String,
    warnings: Diagnostics,
}

impl Config {
    /// Reads and checks a file with the environment of this process, and checks the files that it refers to.
    ///
    /// # Errors
    /// Every problem of the file, warnings included; or why it cannot be read.
    pub fn load_file(path: &Path) -> Result<Self, Diagnostics> {
        let shown = path.display().to_string();
        let text = read(path).map_err(|why| {
            let mut findings = Findings::new("");
            findings.error_of_file(format!("cannot read the policy: {why}"), "");
            findings.finish(&shown)
        })?;
        load_with(&text, &shown, &ProcessEnvironment, true)
    }

    /// SHA-256 of its text, in hex.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Warnings of the file.
    #[must_use]
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }
}

/// Checks the text of a policy. `path` is only for messages; no other file is read.
///
/// # Errors
/// Every problem of the text, warnings included.
pub fn load(text: &str, path: &str, environment: &dyn Environment) -> Result<Config, Diagnostics> {
    load_with(text, path, environment, false)
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    reading_file(path);
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// Reads a file's text into its raw type, with what did not fit its schema found and left out.
fn parse<T: DeserializeOwned>(text: &str, path: &str, schema: &Value) -> Result<(T, Findings), Diagnostics> {
    let mut findings = Findings::new(text);
    let (mut document, errors) = DeTable::parse_recoverable(text);
    for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
        // The parser's own message is a fixed text; what it renders around it would show the line.
        let span = error.span().unwrap_or_default();
        let help = "fix this first; the rest of the file is not checked yet";
        findings.error_of(String::new(), &span, format!("this is not TOML: {}", error.message()), help);
    }
    if !errors.is_empty() {
        return Err(findings.finish(path));
    }
    schema_check::hold(&mut document, schema, &mut findings);
    match T::deserialize(toml::de::Deserializer::from(document)) {
        Ok(raw) => Ok((raw, findings)),
        Err(error) => {
            findings.error(&error.span().unwrap_or_default(), "invalid value", "");
            Err(findings.finish(path))
        }
    }
}

fn load_with(
    text: &str,
    path: &str,
    environment: &dyn Environment,
    look_at_files: bool,
) -> Result<Config, Diagnostics> {
    let (raw, mut findings) = parse::<raw::Policy>(text, path, schema::value())?;
    let checked = check::check(&raw, environment, &mut findings);
    if look_at_files {
        exposed_secrets(&raw, &mut findings);
    }
    let is_whole = checked.policy.credentials.len() == raw.credentials.len()
        && checked.workspaces.len() == raw.workspaces.len()
        && checked.stores.len() == raw.stores.len()
        && checked.consumers.len() == raw.consumers.len()
        && checked.channels.len() == raw.notify.len();
    if !is_whole && !findings.has_errors() {
        // Rejecting the policy is safer than running without one of its credentials.
        findings.error_of_file(
            "an entry was lost during validation",
            "this is a bug in rekeyd; please report it",
        );
    }
    let is_refused = findings.has_errors();
    let problems = findings.finish(path);
    if is_refused {
        return Err(problems);
    }
    let check::Checked { policy, daemon, workspaces, stores, consumers, leaks, readers, metrics, channels } =
        checked;
    let hash = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let warnings = problems;
    Ok(Config {
        policy,
        daemon,
        workspaces,
        stores,
        consumers,
        leaks,
        readers,
        metrics,
        channels,
        hash,
        warnings,
    })
}

fn exposed_secrets(raw: &raw::Policy, findings: &mut Findings) {
    let admin_keys =
        raw.workspaces.values().filter_map(|workspace| workspace.admin_key.as_ref()?.file.as_ref());
    let tokens = raw.consumers.values().map(|consumer| &consumer.token);
    let tokens = tokens.chain([&raw.leaks.token, &raw.readers.token]);
    let of_channels = raw.notify.values().flat_map(raw::Notify::secrets);
    let tokens = tokens.flatten().chain(of_channels).filter_map(|secret| secret.file.as_ref());
    let key = raw.daemon.tls.as_ref().and_then(|tls| tls.key.as_ref());
    for file in admin_keys.chain(tokens).chain(key) {
        if let Some(mode) = SecretSource::File(file.value().as_str().into()).exposure() {
            let rule = format!("this file is accessible to other users (mode {mode:04o})");
            findings.warning(&file.span(), rule, "make it readable for rekeyd's user only: `chmod 0400`");
        }
    }
}
