//! The raw configuration of the agent; `docs/consumers.md` describes its tables and keys.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::agent::defaults;
use crate::config::raw::{AbsolutePath, At, Duration, Mode, Secret, Text, Url};
use crate::stores::SourceTable;

/// The agent's configuration: sources, outputs, and how the application reloads.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["secrets"]))]
pub(crate) struct Agent {
    /// Secrets to follow, by the name of the credential in rekeyd's policy.
    pub(crate) secrets: BTreeMap<At<String>, Followed>,
    /// File with a line `NAME=value` for each secret with a `variable`.
    pub(crate) env_file: Option<OutputFile>,
    /// How the application is notified of a changed secret.
    pub(crate) on_change: Option<OnChange>,
    /// How the application's health is checked.
    pub(crate) health: Option<Health>,
    /// The rekeyd daemon to acknowledge to.
    pub(crate) rekeyd: Option<Rekeyd>,
    /// How to run the application, with `--exec`.
    pub(crate) exec: Option<Exec>,
}

/// A followed secret.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["from"]))]
pub(crate) struct Followed {
    /// Source of the secret.
    pub(crate) from: SourceTable,
    /// JSON field that holds the key; by default the secret is the key alone.
    pub(crate) json_field: Option<At<Text>>,
    /// Polling interval; the default depends on the kind of source.
    pub(crate) every: Option<At<Duration>>,
    /// Output file for the application.
    pub(crate) to: Option<OutputFile>,
    /// Environment variable with the key, in `env_file` or with `--exec`.
    #[schemars(extend("examples" = ["ELEVENLABS_API_KEY"]))]
    pub(crate) variable: Option<At<Text>>,
    /// Environment variable with the path of the output file, with `--exec`.
    #[schemars(extend("examples" = ["ELEVENLABS_API_KEY_FILE"]))]
    pub(crate) path_variable: Option<At<Text>>,
}

/// An output file.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["path"], "examples" = [{ "path": "/run/tts-api/elevenlabs-key" }]))]
pub(crate) struct OutputFile {
    /// Path of the file, in an existing directory, preferably on a tmpfs.
    #[schemars(extend("examples" = ["/run/tts-api/elevenlabs-key"]))]
    pub(crate) path: Option<At<AbsolutePath>>,
    /// Mode.
    #[schemars(extend("default" = defaults::MODE))]
    pub(crate) mode: Option<At<Mode>>,
    /// Owner: name or number; defaults to the agent's user.
    pub(crate) owner: Option<At<Text>>,
    /// Group: name or number; defaults to the agent's.
    pub(crate) group: Option<At<Text>>,
}

/// How the application is notified: one of `command`, `signal` and `url`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OnChange {
    /// Command and arguments; its environment has names, fingerprint and path, never the key.
    pub(crate) command: Option<Vec<At<Text>>>,
    /// Signal to send.
    pub(crate) signal: Option<Signal>,
    /// Loopback URL to send a POST request to.
    #[schemars(extend("examples" = ["http://127.0.0.1:8080/reload"]))]
    pub(crate) url: Option<At<Url>>,
    /// Time limit of the command or response.
    #[schemars(extend("default" = defaults::RELOAD_LIMIT))]
    pub(crate) time_limit: Option<At<Duration>>,
}

/// A signal to the process in a PID file.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["pid_file"], "examples" = [{ "pid_file": "/run/tts-api/pid" }]))]
pub(crate) struct Signal {
    /// Path of the PID file.
    #[schemars(extend("examples" = ["/run/tts-api/pid"]))]
    pub(crate) pid_file: Option<At<AbsolutePath>>,
    /// Signal name.
    #[schemars(extend("default" = defaults::SIGNAL))]
    pub(crate) send: Option<At<SignalName>>,
}

/// Signals for a reload or for the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum SignalName {
    Hup,
    Usr1,
    Usr2,
    Int,
    Term,
}

/// Health check of the application: one of `command` and `url`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Health {
    /// Command and arguments; exit code 0 means healthy.
    pub(crate) command: Option<Vec<At<Text>>>,
    /// Loopback URL; status 200 to 299 means healthy.
    #[schemars(extend("examples" = ["http://127.0.0.1:8080/healthz"]))]
    pub(crate) url: Option<At<Url>>,
    /// Delay of the first check after a change.
    #[schemars(extend("default" = defaults::HEALTH_AFTER))]
    pub(crate) after: Option<At<Duration>>,
    /// Interval between checks.
    #[schemars(extend("default" = defaults::HEALTH_EVERY))]
    pub(crate) every: Option<At<Duration>>,
    /// Time limit of a check.
    #[schemars(extend("default" = defaults::HEALTH_LIMIT))]
    pub(crate) time_limit: Option<At<Duration>>,
    /// How long the application may take to become healthy after a change.
    #[schemars(extend("default" = defaults::HEALTH_DEADLINE))]
    pub(crate) deadline: Option<At<Duration>>,
    /// Number of failed checks in a row after which a healthy application counts as failing.
    #[schemars(range(min = 1, max = 100), extend("default" = defaults::HEALTH_MISSES))]
    pub(crate) misses: Option<At<i64>>,
}

/// The rekeyd daemon to acknowledge to.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["consumer"]))]
pub(crate) struct Rekeyd {
    /// URL of its listener.
    #[schemars(extend("default" = defaults::REKEYD))]
    pub(crate) url: Option<At<Url>>,
    /// Allow an unencrypted `url` of another machine. The token then crosses the network unencrypted.
    #[schemars(extend("default" = false))]
    pub(crate) allow_plaintext_beyond_loopback: Option<At<bool>>,
    /// Name of the consumer in rekeyd's policy.
    pub(crate) consumer: Option<At<Text>>,
    /// Token of that consumer. This, or `certificate` and `key`.
    pub(crate) token: Option<Secret>,
    /// PEM file with a client certificate for the DNS name of that consumer in rekeyd's policy.
    pub(crate) certificate: Option<At<AbsolutePath>>,
    /// PEM file with the private key of `certificate`.
    pub(crate) key: Option<At<AbsolutePath>>,
    /// PEM file with the only certificate authorities to trust.
    pub(crate) ca_file: Option<At<AbsolutePath>>,
    /// Interval at which acknowledgements are repeated.
    #[schemars(extend("default" = defaults::HEARTBEAT))]
    pub(crate) heartbeat: Option<At<Duration>>,
}

/// How to run the application, with `--exec`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Exec {
    /// How long the application may take to stop before it is killed.
    #[schemars(extend("default" = defaults::STOP_WITHIN))]
    pub(crate) stop_within: Option<At<Duration>>,
    /// What happens when it exits: the agent exits with its exit code, or restarts it.
    #[schemars(extend("default" = defaults::RESTART))]
    pub(crate) restart: Option<At<Restart>>,
}

/// When an application that exited is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Restart {
    Never,
    OnFailure,
    Always,
}
