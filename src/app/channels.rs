//! Builds the notification channels of a policy, with the secrets that their receivers need.

use std::sync::Arc;

use crate::adapters::webhook::{BuildError, MessageFormat, Receiver, Webhook};
use crate::config::Config;
use crate::config::components::{ChannelConfig, ReceiverConfig};
use crate::config_file::environment::Environment;
use crate::config_file::secret_source::Unreadable;
use crate::domain::ids::ChannelName;
use crate::notify::{Channel, Channels};
use crate::ports::clock::Clock;

/// Why a channel of the policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the channel `{channel}`: a secret of it cannot be had")]
    Secret { channel: ChannelName, source: Unreadable },
    #[error("the channel `{channel}` cannot be used")]
    Channel { channel: ChannelName, source: BuildError },
}

/// Every channel of the policy. Nothing outside is called.
///
/// # Errors
/// The first that cannot be used.
pub fn channels(
    config: &Config,
    environment: &dyn Environment,
    clock: &Arc<dyn Clock>,
) -> Result<Channels, Error> {
    let channels = config.channels.iter().map(|(name, channel)| {
        let notifier = webhook(name, channel, environment, clock)?;
        Ok((
            name.clone(),
            Channel { subscription: channel.subscription.clone(), notifier: Arc::new(notifier) },
        ))
    });
    channels.collect()
}

fn webhook(
    name: &ChannelName,
    config: &ChannelConfig,
    environment: &dyn Environment,
    clock: &Arc<dyn Clock>,
) -> Result<Webhook, Error> {
    let unreadable = |source| Error::Secret { channel: name.clone(), source };
    let receiver = match &config.receiver {
        ReceiverConfig::Slack { url } => Receiver::Slack { url: url.read(environment).map_err(unreadable)? },
        ReceiverConfig::PagerDuty { endpoint, routing_key } => Receiver::PagerDuty {
            endpoint: endpoint.to_string(),
            routing_key: routing_key.read(environment).map_err(unreadable)?,
        },
        ReceiverConfig::Generic { url, signing_key } => {
            let signing_key = signing_key.as_ref().map(|key| key.read(environment)).transpose();
            Receiver::Generic {
                url: url.read(environment).map_err(unreadable)?,
                signing_key: signing_key.map_err(unreadable)?,
            }
        }
    };
    let ChannelConfig { text, source, runbook, time_limit, .. } = config;
    let words = MessageFormat { text: text.clone(), source: source.clone(), runbook: runbook.clone() };
    Webhook::new(receiver, words, time_limit.unsigned_abs(), Arc::clone(clock))
        .map_err(|source| Error::Channel { channel: name.clone(), source })
}
