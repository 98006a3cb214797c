//! Whom to tell, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::defaults;
use crate::config::raw::{At, Duration, Reference, Secret, Text, Url};

/// A channel by which people are told: exactly one of `slack`, `pagerduty` and `generic`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notify {
    /// The least severity that is told: `page`, `ticket` or `info`.
    #[schemars(extend("default" = defaults::NOTIFY_AT_LEAST))]
    pub(crate) at_least: Option<At<AtLeast>>,
    /// What is told once, when it happens. Not to PagerDuty, which is for troubles.
    pub(crate) on: Vec<At<On>>,
    /// Only what is about these workspaces, their credentials, and rekeyd itself.
    pub(crate) workspaces: Vec<At<Reference>>,
    /// Only what is about these credentials, beside `workspaces`, and rekeyd itself.
    pub(crate) credentials: Vec<At<Reference>>,
    /// The words, with placeholders in braces.
    pub(crate) text: Option<At<Text>>,
    /// Which rekeyd this is: it has to be another where two of them tell the same receiver.
    #[schemars(extend("default" = defaults::NOTIFY_SOURCE))]
    pub(crate) source: Option<At<Text>>,
    /// Where your runbook is; its entries are linked.
    #[schemars(extend("default" = defaults::NOTIFY_RUNBOOK))]
    pub(crate) runbook: Option<At<Text>>,
    /// How long one delivery may take.
    #[schemars(extend("default" = defaults::NOTIFY_TIME_LIMIT))]
    pub(crate) time_limit: Option<At<Duration>>,
    /// Slack, by an incoming webhook.
    pub(crate) slack: Option<Slack>,
    /// PagerDuty, by its Events API v2.
    pub(crate) pagerduty: Option<PagerDuty>,
    /// A receiver of your own: JSON, signed.
    pub(crate) generic: Option<Generic>,
}

impl Notify {
    /// Every reference to a secret.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let slack = self.slack.iter().map(|it| &it.url);
        let pagerduty = self.pagerduty.iter().map(|it| &it.routing_key);
        let generic = self.generic.iter().flat_map(|it| [&it.url, &it.signing_key]);
        slack.chain(pagerduty).chain(generic).flatten()
    }
}

/// Slack, by an incoming webhook.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["url"]))]
pub(crate) struct Slack {
    /// The webhook's URL, which is a secret.
    pub(crate) url: Option<Secret>,
}

/// PagerDuty, by its Events API v2.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["routing_key"]))]
pub(crate) struct PagerDuty {
    /// The integration key of a service.
    pub(crate) routing_key: Option<Secret>,
    /// Where events go; another for the service region of the EU.
    #[schemars(extend("default" = defaults::PAGERDUTY_ENDPOINT))]
    pub(crate) endpoint: Option<At<Url>>,
}

/// A receiver of your own: JSON, signed.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["url"]))]
pub(crate) struct Generic {
    /// Its URL; `https` unless on this machine.
    pub(crate) url: Option<Secret>,
    /// By which the receiver knows that a notice is rekeyd's; without it none is signed.
    pub(crate) signing_key: Option<Secret>,
}

/// How urgent something has to be.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AtLeast {
    Page,
    Ticket,
    Info,
}

/// Something that happens.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum On {
    Rotated,
    RolledBack,
    Aborted,
    LeakAnswered,
}
