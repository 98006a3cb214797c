//! The notifier port: an HTTP POST to Slack, to PagerDuty, or to a receiver of the operator's.
//!
//! Addresses and keys of receivers are secrets. Nothing that a receiver answered is shown, but for a few words that
//! are known.

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
use crate::domain::notification::template::{Around, Template};
use crate::domain::secret::SecretValue;
use crate::ports::clock::Clock;
use crate::ports::notifier::{DeliveryError, Notifier};

pub use crate::adapters::webhook::signature::HEADER as SIGNATURE_HEADER;

/// What a channel says, to whatever kind of receiver.
#[derive(Debug, Clone)]
pub struct Words {
    pub text: Template,
    /// Which rekeyd this is: two that tell the same receiver have to differ.
    pub source: String,
    /// Where the runbook is.
    pub runbook: String,
}

/// Who is told, and with which secrets.
pub enum Receiver {
    Slack { url: SecretValue },
    PagerDuty { endpoint: String, routing_key: SecretValue },
    Generic { url: SecretValue, signing_key: Option<SecretValue> },
}

/// Why a channel cannot be used. Never says what the secret is.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("its `url` is not the URL of a web server: https, or http on this machine")]
    Url,
    #[error("no HTTP client can be made for it")]
    Client(#[source] reqwest::Error),
}

/// One channel.
pub struct Webhook {
    receiver: Receiver,
    words: Words,
    transport: Transport,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    /// # Errors
    /// The receiver's address is none.
    pub fn new(
        receiver: Receiver,
        words: Words,
        time_limit: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BuildError> {
        let url = match &receiver {
            Receiver::Slack { url } | Receiver::Generic { url, signing_key: _ } => url.expose(),
            Receiver::PagerDuty { endpoint, routing_key: _ } => endpoint,
        };
        let transport = Transport::new(url, time_limit)?;
        Ok(Self { receiver, words, transport, clock })
    }

    fn body(&self, letters: &[Notification]) -> Option<Value> {
        let (first, words) = (letters.first()?, &self.words);
        Some(match &self.receiver {
            Receiver::Slack { .. } if letters.len() > 1 => slack::digest(letters, words),
            Receiver::Slack { .. } => slack::message(first, words),
            Receiver::PagerDuty { routing_key, .. } => pagerduty::event(first, words, routing_key),
            Receiver::Generic { .. } => generic::notice(first, words),
        })
    }
}

#[async_trait]
impl Notifier for Webhook {
    async fn deliver(&self, letters: &[Notification]) -> Result<String, DeliveryError> {
        // Those of an older version are as they were kept.
        let letters: Vec<Notification> = letters.iter().map(Notification::in_one_line).collect();
        let Some(body) = self.body(&letters) else { return Ok("there was nothing to say".to_owned()) };
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

    fn letters_at_once(&self) -> usize {
        match &self.receiver {
            Receiver::Slack { .. } => slack::LETTERS_MAX,
            Receiver::PagerDuty { .. } | Receiver::Generic { .. } => 1,
        }
    }
}

impl Words {
    fn key(&self, letter: &Notification) -> String {
        format!("{}/{}", self.source, letter.trouble.key)
    }

    /// Where the runbook tells of it.
    fn entry(&self, letter: &Notification) -> String {
        match letter.trouble.anchor.as_str() {
            "" => String::new(),
            anchor => format!("{}#{anchor}", self.runbook),
        }
    }

    fn text(&self, letter: &Notification, escape: impl Fn(&str) -> String) -> String {
        let (key, runbook) = (self.key(letter), self.entry(letter));
        self.text.fill(letter, Around { source: &self.source, runbook: &runbook, key: &key }, escape)
    }
}
