//! The outbox port: notifications, stored durably until they are delivered.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ids::ChannelName;
use crate::domain::notification::incidents::{Change, Incident};
use crate::domain::notification::occurrences::Occurrences;
use crate::domain::notification::{ChannelFailure, Notification};
use crate::ports::journal::Error;

/// The stored state at startup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxState {
    pub incidents: Vec<Incident>,
    pub occurrences: Occurrences,
    /// Failing channels.
    pub failing: Vec<ChannelFailure>,
}

/// The oldest undelivered notifications of a channel, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingNotifications {
    pub notifications: Vec<Notification>,
    /// The number of all undelivered notifications of the channel.
    pub count: u64,
}

/// The result of a delivery attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryOutcome {
    pub channel: ChannelName,
    /// The numbers of notifications to remove: delivered or dropped.
    pub done: Vec<u64>,
    /// The numbers of notifications to retry, and when.
    pub again: Vec<(u64, Timestamp)>,
    /// `None` if the channel works.
    pub failing: Option<ChannelFailure>,
}

/// Each write is durable and whole when its method returns `Ok`, and may be repeated after an error.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn recall(&self) -> Result<OutboxState, Error>;

    /// Stores a change and appends its notifications. A notification whose id is already stored is ignored.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn post(&self, change: &Change) -> Result<(), Error>;

    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn waiting(&self, channel: &ChannelName, limit: usize) -> Result<PendingNotifications, Error>;

    /// # Errors
    /// `Unavailable`.
    async fn settle(&self, outcome: &DeliveryOutcome) -> Result<(), Error>;

    /// Removes the notifications and failures of all other channels.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn keep_only(&self, channels: &BTreeSet<ChannelName>) -> Result<(), Error>;
}
