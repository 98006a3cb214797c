//! Whom to tell: each channel is of one kind, its words have no unknown placeholders, and its scope names what there is.

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
use crate::domain::notification::{Interest, Severity};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const TIME_LIMIT_MAX: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn check(raw: &raw::Policy, findings: &mut Findings) -> BTreeMap<ChannelName, ChannelConfig> {
    let mut channels = BTreeMap::new();
    for (written, channel) in &raw.notify {
        let name = values::name(written, findings, ChannelName::new);
        let receiver = receiver(written, channel, findings);
        let interest = interest(raw, channel, findings);
        let text = text(channel, findings);
        let source = values::text(channel.source.as_ref(), findings);
        let runbook = values::text(channel.runbook.as_ref(), findings);
        let time_limit = time_limit(channel, findings);
        if let Some(on) = channel.on.first().filter(|_| channel.pagerduty.is_some()) {
            let rule = "what happens once is nothing that PagerDuty could ever see resolved";
            findings.error(&on.span(), rule, "take `on` out, or have another channel told");
        }
        if let (Some(name), Some(receiver)) = (name, receiver) {
            let channel = ChannelConfig {
                interest,
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
                let rule = "whoever knows the URL can send notices that look like rekeyd's";
                findings.lint(&written.span(), rule, "give `generic` a `signing_key`");
            }
            Some(ReceiverConfig::Generic { url, signing_key })
        }
        (None, None, None) => {
            let help = "add a table such as `[notify.NAME.slack]`: `slack`, `pagerduty` or `generic`";
            findings.error(&written.span(), "this channel is of no kind", help);
            None
        }
        (_, _, _) => {
            let help = "make one channel of each kind: `slack`, `pagerduty`, `generic`";
            findings.error(&written.span(), "this channel is of several kinds", help);
            None
        }
    }
}

fn interest(raw: &raw::Policy, channel: &raw::Notify, findings: &mut Findings) -> Interest {
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
    Interest { at_least, on, workspaces, credentials: of_credentials.collect() }
}

/// On several lines, unlike other texts.
fn text(raw: &raw::Notify, findings: &mut Findings) -> Option<Template> {
    const CHARACTERS_MAX: usize = 2000;
    let written = raw.text.as_ref()?;
    let text = written.value().as_str();
    if text.trim().is_empty() || text.len() > CHARACTERS_MAX {
        let rule = "this text is empty, or longer than 2000 characters";
        findings.error(&written.span(), rule, "take it out: there is a text by default");
        return None;
    }
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(why) => {
            let known = listed(PLACEHOLDERS.iter().map(|(name, _)| *name));
            let help = format!("in braces there may stand: {known}");
            findings.error(&written.span(), format!("this cannot be the text of a notice: {why}"), help);
            None
        }
    }
}

fn time_limit(raw: &raw::Notify, findings: &mut Findings) -> SignedDuration {
    let limit = values::duration_or(raw.time_limit.as_ref(), defaults::NOTIFY_TIME_LIMIT, SECOND, findings);
    if let Some(written) = raw.time_limit.as_ref().filter(|_| limit > TIME_LIMIT_MAX) {
        findings.error(&written.span(), "nobody should be waited for that long", "write at most \"1m\"");
    }
    limit
}
