//! How long old and new key both work, and what is waited for meanwhile, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::defaults;
use crate::config_file::kinds::{At, Duration, Reference, Text, Url};

/// How long old and new key both work.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("examples" = [{ "at_least": "2h", "at_most": "7d", "then": "hold" }]))]
pub(crate) struct Overlap {
    /// Always at least this long.
    #[schemars(extend("default" = defaults::AT_LEAST))]
    pub(crate) at_least: Option<At<Duration>>,
    /// When it has lasted this long and something is still waited for, `then` happens.
    #[schemars(extend("default" = defaults::AT_MOST))]
    pub(crate) at_most: Option<At<Duration>>,
    /// What happens after `at_most`.
    #[schemars(extend("default" = defaults::THEN))]
    pub(crate) then: Option<At<Then>>,
}

/// What happens when the overlap has lasted `at_most`: wait on and alert, revoke the old key all the same, or make
/// the old key current again.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    Hold,
    Revoke,
    RollBack,
}

/// What must have happened, beside the time, before the old key is revoked.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("examples" = [{ "acks": ["tts-api"] }]))]
pub(crate) struct WaitFor {
    /// The consumers that must have acknowledged the new key.
    pub(crate) acks: Option<Vec<At<Reference>>>,
    /// How long an acknowledgement counts; by default for ever.
    pub(crate) acks_valid_for: Option<At<Duration>>,
    /// How long the provider must have shown no use of the old key.
    pub(crate) idle: Option<At<Duration>>,
    /// What follows if whether the old key is idle cannot be told.
    #[schemars(extend("default" = defaults::WHEN_UNKNOWN))]
    pub(crate) when_unknown: Option<At<WhenUnknown>>,
    /// Allows one small billed call with the new key, in the voice of this id, to see how late the provider's evidence is.
    pub(crate) canary: Option<At<Text>>,
    /// Whether the provider must have shown consumers' use of the new key.
    #[schemars(extend("default" = false))]
    pub(crate) new_key_used: Option<At<bool>>,
    /// Endpoints of consumers that must report the new key.
    pub(crate) probes: Option<Vec<Probe>>,
    /// A program that must exit with 0: its absolute path, and its arguments.
    pub(crate) command: Option<Vec<At<Text>>>,
    /// How long the program may take.
    #[schemars(extend("default" = defaults::COMMAND_TIME_LIMIT))]
    pub(crate) command_time_limit: Option<At<Duration>>,
}

/// What follows if whether the old key is idle cannot be told: it is waited for, or the overlap's time alone decides.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenUnknown {
    Hold,
    Time,
}

/// An endpoint of a consumer that reports the fingerprint, or the version, of the key it uses.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["name", "url"], "examples" = [{ "name": "tts-api", "url": "http://tts-api:8080/healthz", "json_pointer": "/elevenlabs" }]))]
pub(crate) struct Probe {
    /// What people call it.
    pub(crate) name: Option<At<Text>>,
    /// Where it is.
    pub(crate) url: Option<At<Url>>,
    /// Where in the JSON of the body the fingerprint stands; by default the body is nothing else.
    pub(crate) json_pointer: Option<At<Text>>,
    /// The header in which it stands.
    pub(crate) header: Option<At<Text>>,
    /// Whether every address behind the URL's name is asked.
    #[schemars(extend("default" = false))]
    pub(crate) every_address: Option<At<bool>>,
}
