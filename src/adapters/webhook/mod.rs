//! The notifier port: an HTTP POST to Slack, PagerDuty or a generic webhook.
//!
//! URLs and keys of receivers are secrets. The content of a response is never shown, except for known error codes.

mod generic;
mod pagerduty;
mod signature;
mod slack;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::adapters::webhook::transport::Transport;
use crate::domain::notification::Notification;
use crate::domain::notification::template::{ChannelContext, Template};
use crate::domain::secret::SecretValue;
use crate::ports::clock::Clock;
use crate::ports::notifier::{DeliveryError, Notifier};

pub use crate::adapters::webhook::signature::HEADER as SIGNATURE_HEADER;

/// The text settings of a channel, for every kind of receiver.
#[derive(Debug, Clone)]
pub struct MessageFormat {
    pub text: Template,
    /// Identifies this rekeyd to the receiver.
    pub source: String,
    /// The URL of the runbook.
    pub runbook: String,
}

/// The receiver and its secrets.
pub enum Receiver {
    Slack { url: SecretValue },
    PagerDuty { endpoint: String, routing_key: SecretValue },
    Generic { url: SecretValue, signing_key: Option<SecretValue> },
}

/// Why a channel cannot be used. Never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("`url` is not valid: use https, or http on this machine")]
    Url,
    #[error("cannot create the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// One channel.
pub struct Webhook {
    receiver: Receiver,
    format: MessageFormat,
    transport: Transport,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    /// # Errors
    /// The URL of the receiver is not valid.
    pub fn new(
        receiver: Receiver,
        format: MessageFormat,
        time_limit: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BuildError> {
        let url = match &receiver {
            Receiver::Slack { url } | Receiver::Generic { url, signing_key: _ } => url.expose(),
            Receiver::PagerDuty { endpoint, routing_key: _ } => endpoint,
        };
        let transport = Transport::new(url, time_limit)?;
        Ok(Self { receiver, format, transport, clock })
    }

    fn body(&self, notifications: &[Notification]) -> Option<Value> {
        let (first, format) = (notifications.first()?, &self.format);
        Some(match &self.receiver {
            Receiver::Slack { .. } if notifications.len() > 1 => slack::digest(notifications, format),
            Receiver::Slack { .. } => slack::message(first, format),
            Receiver::PagerDuty { routing_key, .. } => pagerduty::event(first, format, routing_key),
            Receiver::Generic { .. } => generic::body(first, format),
        })
    }
}

#[async_trait]
impl Notifier for Webhook {
    async fn deliver(&self, notifications: &[Notification]) -> Result<String, DeliveryError> {
        // Notifications that an older version stored may have several lines.
        let notifications: Vec<Notification> = notifications.iter().map(Notification::in_one_line).collect();
        let Some(body) = self.body(&notifications) else { return Ok("no notification".to_owned()) };
        let body = zeroize::Zeroizing::new(body.to_string());
        let signature = match &self.receiver {
            Receiver::Generic { signing_key: Some(key), url: _ } => {
                Some(signature::of(key, self.clock.now(), body.as_bytes()))
            }
            Receiver::Generic { signing_key: None, .. }
            | Receiver::Slack { .. }
            | Receiver::PagerDuty { .. } => None,
        };
        let meaning = match &self.receiver {
            Receiver::Slack { .. } => slack::meaning,
            Receiver::PagerDuty { .. } => pagerduty::meaning,
            Receiver::Generic { .. } => generic::meaning,
        };
        self.transport.post(&body, signature, meaning).await
    }

    fn batch_max(&self) -> usize {
        match &self.receiver {
            Receiver::Slack { .. } => slack::BATCH_MAX,
            Receiver::PagerDuty { .. } | Receiver::Generic { .. } => 1,
        }
    }
}

impl MessageFormat {
    fn key(&self, notification: &Notification) -> String {
        format!("{}/{}", self.source, notification.alert.key)
    }

    /// The URL of the runbook entry.
    fn runbook_url(&self, notification: &Notification) -> String {
        match notification.alert.anchor.as_str() {
            "" => String::new(),
            anchor => format!("{}#{anchor}", self.runbook),
        }
    }

    fn text(&self, notification: &Notification, escape: impl Fn(&str) -> String) -> String {
        let (key, runbook) = (self.key(notification), self.runbook_url(notification));
        self.text.fill(
            notification,
            ChannelContext { source: &self.source, runbook: &runbook, key: &key },
            escape,
        )
    }
}
