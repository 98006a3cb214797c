//! The agent's configuration as written. Its tables and keys are described in `docs/consumers.md`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::agent::defaults;
use crate::config::raw::{AbsolutePath, At, Duration, Mode, Secret, Text, Url};
use crate::stores::SourceTable;

/// What the agent follows, where it puts it, and how it tells the application.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["secrets"]))]
pub(crate) struct Agent {
    /// The secrets, each by the name of its credential in rekeyd's policy.
    pub(crate) secrets: BTreeMap<At<String>, Followed>,
    /// A file with a line `NAME=value` for each secret that has a `variable`.
    pub(crate) env_file: Option<Place>,
    /// How the application is told that a secret changed.
    pub(crate) on_change: Option<OnChange>,
    /// How it is seen whether the application is well.
    pub(crate) health: Option<Health>,
    /// The daemon that wants to know which key is in use.
    pub(crate) rekeyd: Option<Rekeyd>,
    /// How the application is run, with `--exec`.
    pub(crate) exec: Option<Exec>,
}

/// One secret that is followed.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["from"]))]
pub(crate) struct Followed {
    /// Where the secret is read.
    pub(crate) from: SourceTable,
    /// The field of a JSON secret that holds the key; by default the key is the secret.
    pub(crate) json_field: Option<At<Text>>,
    /// How often it is looked at: by default every second for a file, every 30 seconds for AWS.
    pub(crate) every: Option<At<Duration>>,
    /// The file that the application reads.
    pub(crate) to: Option<Place>,
    /// The environment variable with the value, in `env_file` or with `--exec`.
    #[schemars(extend("examples" = ["ELEVENLABS_API_KEY"]))]
    pub(crate) variable: Option<At<Text>>,
    /// The environment variable with the path of `to.path`, with `--exec`.
    #[schemars(extend("examples" = ["ELEVENLABS_API_KEY_FILE"]))]
    pub(crate) path_variable: Option<At<Text>>,
}

/// A file that the agent writes.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["path"], "examples" = [{ "path": "/run/tts-api/elevenlabs-key" }]))]
pub(crate) struct Place {
    /// The file; on a tmpfs, in a directory that is there.
    #[schemars(extend("examples" = ["/run/tts-api/elevenlabs-key"]))]
    pub(crate) path: Option<At<AbsolutePath>>,
    /// Its mode.
    #[schemars(extend("default" = defaults::MODE))]
    pub(crate) mode: Option<At<Mode>>,
    /// Its owner: a name or a number; by default the agent's user.
    pub(crate) owner: Option<At<Text>>,
    /// Its group: a name or a number; by default the agent's.
    pub(crate) group: Option<At<Text>>,
}

/// How the application is told: one of `command`, `signal` and `url`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OnChange {
    /// A command and its arguments; it is told names, fingerprint and path in its environment, never the value.
    pub(crate) command: Option<Vec<At<Text>>>,
    /// A signal.
    pub(crate) signal: Option<Signal>,
    /// A URL of this machine that a POST goes to.
    #[schemars(extend("examples" = ["http://127.0.0.1:8080/reload"]))]
    pub(crate) url: Option<At<Url>>,
    /// How long the command or the answer may take.
    #[schemars(extend("default" = defaults::TELL_LIMIT))]
    pub(crate) time_limit: Option<At<Duration>>,
}

/// A signal to the process that a file names.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["pid_file"], "examples" = [{ "pid_file": "/run/tts-api/pid" }]))]
pub(crate) struct Signal {
    /// The file with the process' number.
    #[schemars(extend("examples" = ["/run/tts-api/pid"]))]
    pub(crate) pid_file: Option<At<AbsolutePath>>,
    /// Which signal.
    #[schemars(extend("default" = defaults::SIGNAL))]
    pub(crate) send: Option<At<SignalName>>,
}

/// A signal that applications take for "read your configuration again", or for "end".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum SignalName {
    Hup,
    Usr1,
    Usr2,
    Int,
    Term,
}

/// How it is seen whether the application is well: one of `command` and `url`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Health {
    /// A command and its arguments; exit code 0 is well.
    pub(crate) command: Option<Vec<At<Text>>>,
    /// A URL of this machine; an answer of 200 to 299 is well.
    #[schemars(extend("examples" = ["http://127.0.0.1:8080/healthz"]))]
    pub(crate) url: Option<At<Url>>,
    /// How long after it was told the application is first looked at.
    #[schemars(extend("default" = defaults::HEALTH_AFTER))]
    pub(crate) after: Option<At<Duration>>,
    /// How often it is looked at.
    #[schemars(extend("default" = defaults::HEALTH_EVERY))]
    pub(crate) every: Option<At<Duration>>,
    /// How long one look may take.
    #[schemars(extend("default" = defaults::HEALTH_LIMIT))]
    pub(crate) time_limit: Option<At<Duration>>,
    /// How long after a change the application may take until it is well.
    #[schemars(extend("default" = defaults::HEALTH_DEADLINE))]
    pub(crate) deadline: Option<At<Duration>>,
    /// After how many bad looks in a row an application that was well counts as failing.
    #[schemars(range(min = 1, max = 100), extend("default" = defaults::HEALTH_MISSES))]
    pub(crate) misses: Option<At<i64>>,
}

/// The daemon that wants to know which key is in use.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["consumer"]))]
pub(crate) struct Rekeyd {
    /// Its listener.
    #[schemars(extend("default" = defaults::REKEYD))]
    pub(crate) url: Option<At<Url>>,
    /// Allows a `url` of another machine without encryption: the token then crosses the network in the clear.
    #[schemars(extend("default" = false))]
    pub(crate) allow_plaintext_beyond_loopback: Option<At<bool>>,
    /// The application's name in rekeyd's policy.
    pub(crate) consumer: Option<At<Text>>,
    /// The token of that consumer. This, or `certificate` and `key`.
    pub(crate) token: Option<Secret>,
    /// A client certificate with the name that rekeyd's policy has for that consumer, in PEM.
    pub(crate) certificate: Option<At<AbsolutePath>>,
    /// The private key of `certificate`, in PEM.
    pub(crate) key: Option<At<AbsolutePath>>,
    /// A file with the only certificate authorities to trust, in PEM.
    pub(crate) ca_file: Option<At<AbsolutePath>>,
    /// How often an acknowledgement is repeated.
    #[schemars(extend("default" = defaults::HEARTBEAT))]
    pub(crate) heartbeat: Option<At<Duration>>,
}

/// How the application is run, with `--exec`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Exec {
    /// How long the application may take to end before it is killed.
    #[schemars(extend("default" = defaults::STOP_WITHIN))]
    pub(crate) stop_within: Option<At<Duration>>,
    /// What happens when it ends by itself: the agent ends with its exit code, or starts it again.
    #[schemars(extend("default" = defaults::RESTART))]
    pub(crate) restart: Option<At<Restart>>,
}

/// When an application that ended by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Restart {
    Never,
    OnFailure,
    Always,
}
