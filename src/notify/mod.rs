//! Notifies operators: derives notifications from the observed state, stores them in the outbox and delivers them.
//!
//! [`watch`] derives and stores, [`delivery`] delivers to one channel. The engine never waits for either. Delivery is at
//! least once: a notification that arrives twice has the same id and the same key.

mod delivery;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::ids::ChannelName;
use crate::domain::notification::Subscription;
use crate::ports::notifier::Notifier;

pub use watch::NotificationService;

/// A channel of the policy in force.
#[derive(Clone)]
pub struct Channel {
    pub subscription: Subscription,
    pub notifier: Arc<dyn Notifier>,
}

pub type Channels = BTreeMap<ChannelName, Channel>;
