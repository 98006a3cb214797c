//! The raw configuration of the overlap and its gates.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::defaults;
use crate::config_file::kinds::{At, Duration, Reference, Text, Url};

/// How long the old and the new key both work.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("examples" = [{ "at_least": "2h", "at_most": "7d", "then": "hold" }]))]
pub(crate) struct Overlap {
    /// Minimum duration.
    #[schemars(extend("default" = defaults::AT_LEAST))]
    pub(crate) at_least: Option<At<Duration>>,
    /// Deadline: if a gate is still waiting after this time, `then` happens.
    #[schemars(extend("default" = defaults::AT_MOST))]
    pub(crate) at_most: Option<At<Duration>>,
    /// Action at the deadline.
    #[schemars(extend("default" = defaults::THEN))]
    pub(crate) then: Option<At<Then>>,
}

/// The action at the deadline: keep waiting and alert, revoke the old key anyway, or roll back to the old key.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    Hold,
    Revoke,
    RollBack,
}

/// Gates: conditions, beside the time, that must be satisfied before the old key is revoked.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("examples" = [{ "acks": ["tts-api"] }]))]
pub(crate) struct WaitFor {
    /// Consumers that must acknowledge the new key.
    pub(crate) acks: Option<Vec<At<Reference>>>,
    /// Whether an operator must `rekeyd confirm` that consumers have switched. By default only in the first rotation of a key
    /// that rekeyd did not create, if there is no gate.
    pub(crate) confirm: Option<At<bool>>,
    /// How long an acknowledgement counts; unlimited by default.
    pub(crate) acks_valid_for: Option<At<Duration>>,
    /// How long the provider must show no use of the old key.
    pub(crate) idle: Option<At<Duration>>,
    /// What happens if the provider gives no evidence whether the old key is idle.
    #[schemars(extend("default" = defaults::WHEN_UNKNOWN))]
    pub(crate) when_unknown: Option<At<WhenUnknown>>,
    /// Voice ID for small billed test calls with the new key, which measure the delay of the provider's evidence.
    pub(crate) canary: Option<At<Text>>,
    /// Whether the provider must show consumers' use of the new key.
    #[schemars(extend("default" = false))]
    pub(crate) new_key_used: Option<At<bool>>,
    /// Endpoints of consumers that must report the new key.
    pub(crate) probes: Option<Vec<Probe>>,
    /// Program that must exit with 0: absolute path and arguments.
    pub(crate) command: Option<Vec<At<Text>>>,
    /// Time limit of the program.
    #[schemars(extend("default" = defaults::COMMAND_TIME_LIMIT))]
    pub(crate) command_time_limit: Option<At<Duration>>,
}

/// What happens without evidence of idleness: keep waiting, or let the overlap's minimum duration decide.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenUnknown {
    Hold,
    Time,
}

/// A consumer's endpoint that reports the fingerprint or version of the key in use.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "url"], "examples" = [{ "name": "tts-api", "url": "http://tts-api:8080/healthz", "json_pointer": "/elevenlabs" }]))]
pub(crate) struct Probe {
    /// Display name.
    pub(crate) name: Option<At<Text>>,
    /// URL.
    pub(crate) url: Option<At<Url>>,
    /// JSON pointer to the fingerprint in the body; by default the whole body is the fingerprint.
    pub(crate) json_pointer: Option<At<Text>>,
    /// Header that holds the fingerprint.
    pub(crate) header: Option<At<Text>>,
    /// Whether to query every address of the URL's host name.
    #[schemars(extend("default" = false))]
    pub(crate) every_address: Option<At<bool>>,
}
