//! Checks notification channels: one kind each, known placeholders, and a scope of declared names.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use reqwest::Url;

use crate::config::components::{ChannelConfig, ReceiverConfig};
use crate::config::defaults;
use crate::config::raw::{self, At, AtLeast, On};
use crate::config_file::findings::{Findings, listed};
use crate::config_file::values;
use crate::domain::ids::{ChannelName, CredentialName, WorkspaceName};
use crate::domain::notification::occurrences::Occurrence;
use crate::domain::notification::template::{PLACEHOLDERS, Template};
use crate::domain::notification::{Severity, Subscription};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const TIME_LIMIT_MAX: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn check(raw: &raw::Policy, findings: &mut Findings) -> BTreeMap<ChannelName, ChannelConfig> {
    let mut channels = BTreeMap::new();
    for (written, channel) in &raw.notify {
        let name = values::name(written, findings, ChannelName::new);
        let receiver = receiver(written, channel, findings);
        let subscription = subscription(raw, channel, findings);
        let text = text(channel, findings);
        let source = values::text(channel.source.as_ref(), findings);
        let runbook = values::text(channel.runbook.as_ref(), findings);
        let time_limit = time_limit(channel, findings);
        if let Some(on) = channel.on.first().filter(|_| channel.pagerduty.is_some()) {
            let rule = "PagerDuty supports no one-time notifications";
            findings.error(&on.span(), rule, "remove `on`, or use another channel");
        }
        if let (Some(name), Some(receiver)) = (name, receiver) {
            let channel = ChannelConfig {
                subscription,
                text: text.unwrap_or_default(),
                source: source.unwrap_or_else(|| defaults::NOTIFY_SOURCE.to_owned()),
                runbook: runbook.unwrap_or_else(|| defaults::NOTIFY_RUNBOOK.to_owned()),
                time_limit,
                receiver,
            };
            channels.insert(name, channel);
        }
    }
    channels
}

fn receiver(written: &At<String>, raw: &raw::Notify, findings: &mut Findings) -> Option<ReceiverConfig> {
    match (&raw.slack, &raw.pagerduty, &raw.generic) {
        (Some(slack), None, None) => {
            let url = values::secret(slack.url.as_ref(), findings)?;
            Some(ReceiverConfig::Slack { url })
        }
        (None, Some(pagerduty), None) => {
            let endpoint = match &pagerduty.endpoint {
                Some(_) => values::url(pagerduty.endpoint.as_ref(), findings),
                None => Url::parse(defaults::PAGERDUTY_ENDPOINT).ok(),
            };
            let routing_key = values::secret(pagerduty.routing_key.as_ref(), findings)?;
            Some(ReceiverConfig::PagerDuty { endpoint: endpoint?, routing_key })
        }
        (None, None, Some(generic)) => {
            let url = values::secret(generic.url.as_ref(), findings)?;
            let signing_key = values::secret(generic.signing_key.as_ref(), findings);
            if signing_key.is_none() {
                let rule = "unsigned: any client that knows the URL can forge notifications";
                findings.warning(&written.span(), rule, "set `signing_key`");
            }
            Some(ReceiverConfig::Generic { url, signing_key })
        }
        (None, None, None) => {
            let help =
                "add one of `[notify.NAME.slack]`, `[notify.NAME.pagerduty]` and `[notify.NAME.generic]`";
            findings.error(&written.span(), "the channel has no receiver", help);
            None
        }
        (_, _, _) => {
            let help = "use a separate channel for each of `slack`, `pagerduty` and `generic`";
            findings.error(&written.span(), "the channel has several receivers", help);
            None
        }
    }
}

fn subscription(raw: &raw::Policy, channel: &raw::Notify, findings: &mut Findings) -> Subscription {
    let at_least = match channel.at_least.as_ref().map(|written| *written.value()) {
        Some(AtLeast::Page) => Severity::Page,
        Some(AtLeast::Ticket) | None => Severity::Ticket,
        Some(AtLeast::Info) => Severity::Info,
    };
    let on = channel.on.iter().map(|written| match written.value() {
        On::Rotated => Occurrence::Rotated,
        On::RolledBack => Occurrence::RolledBack,
        On::Aborted => Occurrence::Aborted,
        On::LeakAnswered => Occurrence::LeakAnswered,
    });
    let workspaces: Vec<&str> = raw.workspaces.keys().map(|name| name.value().as_str()).collect();
    let credentials: Vec<&str> = raw.credentials.keys().map(|name| name.value().as_str()).collect();
    let on: BTreeSet<Occurrence> = on.collect();
    let of_workspaces = channel.workspaces.iter().filter_map(|written| {
        values::reference(written, "workspace", &workspaces, WorkspaceName::new, findings)
    });
    let workspaces = of_workspaces.collect();
    let of_credentials = channel.credentials.iter().filter_map(|written| {
        values::reference(written, "credential", &credentials, CredentialName::new, findings)
    });
    Subscription { at_least, on, workspaces, credentials: of_credentials.collect() }
}

/// May have several lines, unlike other texts.
fn text(raw: &raw::Notify, findings: &mut Findings) -> Option<Template> {
    const CHARACTERS_MAX: usize = 2000;
    let written = raw.text.as_ref()?;
    let text = written.value().as_str();
    if text.trim().is_empty() || text.len() > CHARACTERS_MAX {
        let rule = "empty, or longer than 2000 characters";
        findings.error(&written.span(), rule, "remove it to use the default text");
        return None;
    }
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(why) => {
            let known = listed(PLACEHOLDERS.iter().map(|(name, _)| *name));
            let help = format!("known placeholders: {known}");
            findings.error(&written.span(), format!("invalid notification text: {why}"), help);
            None
        }
    }
}

fn time_limit(raw: &raw::Notify, findings: &mut Findings) -> SignedDuration {
    let limit = values::duration_or(raw.time_limit.as_ref(), defaults::NOTIFY_TIME_LIMIT, SECOND, findings);
    if let Some(written) = raw.time_limit.as_ref().filter(|_| limit > TIME_LIMIT_MAX) {
        findings.error(&written.span(), "time limit too long", "use at most \"1m\"");
    }
    limit
}
