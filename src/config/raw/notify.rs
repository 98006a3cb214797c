//! The raw configuration of notification channels.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::defaults;
use crate::config::raw::{At, Duration, Reference, Secret, Text, Url};

/// A notification channel: exactly one of `slack`, `pagerduty` and `generic`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notify {
    /// Minimum severity to send: `page`, `ticket` or `info`.
    #[schemars(extend("default" = defaults::NOTIFY_AT_LEAST))]
    pub(crate) at_least: Option<At<AtLeast>>,
    /// One-time occurrences to send, beside alerts; not for PagerDuty.
    pub(crate) on: Vec<At<On>>,
    /// Limit to these workspaces, their credentials, and rekeyd itself.
    pub(crate) workspaces: Vec<At<Reference>>,
    /// Limit to these credentials, those of `workspaces`, and rekeyd itself.
    pub(crate) credentials: Vec<At<Reference>>,
    /// Template of the text, with placeholders in braces.
    pub(crate) text: Option<At<Text>>,
    /// Name of this rekeyd instance; must be unique per receiver.
    #[schemars(extend("default" = defaults::NOTIFY_SOURCE))]
    pub(crate) source: Option<At<Text>>,
    /// URL or path of the runbook, for links to its entries.
    #[schemars(extend("default" = defaults::NOTIFY_RUNBOOK))]
    pub(crate) runbook: Option<At<Text>>,
    /// Time limit of a delivery.
    #[schemars(extend("default" = defaults::NOTIFY_TIME_LIMIT))]
    pub(crate) time_limit: Option<At<Duration>>,
    /// Slack, through an incoming webhook.
    pub(crate) slack: Option<Slack>,
    /// PagerDuty, through the Events API v2.
    pub(crate) pagerduty: Option<PagerDuty>,
    /// A custom webhook receiver: signed JSON.
    pub(crate) generic: Option<Generic>,
}

impl Notify {
    /// Every secret reference.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let slack = self.slack.iter().map(|it| &it.url);
        let pagerduty = self.pagerduty.iter().map(|it| &it.routing_key);
        let generic = self.generic.iter().flat_map(|it| [&it.url, &it.signing_key]);
        slack.chain(pagerduty).chain(generic).flatten()
    }
}

/// Slack, through an incoming webhook.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["url"]))]
pub(crate) struct Slack {
    /// URL of the webhook, which is a secret.
    pub(crate) url: Option<Secret>,
}

/// PagerDuty, through the Events API v2.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["routing_key"]))]
pub(crate) struct PagerDuty {
    /// Integration key of a service.
    pub(crate) routing_key: Option<Secret>,
    /// Events endpoint; differs for the EU service region.
    #[schemars(extend("default" = defaults::PAGERDUTY_ENDPOINT))]
    pub(crate) endpoint: Option<At<Url>>,
}

/// A custom webhook receiver: signed JSON.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["url"]))]
pub(crate) struct Generic {
    /// URL of the receiver; `https` unless on loopback.
    pub(crate) url: Option<Secret>,
    /// Key that signs notifications; without it they are unsigned.
    pub(crate) signing_key: Option<Secret>,
}

/// Severity of a notification.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AtLeast {
    Page,
    Ticket,
    Info,
}

/// A one-time occurrence.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum On {
    Rotated,
    RolledBack,
    Aborted,
    LeakAnswered,
}
