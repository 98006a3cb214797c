//! What people are to be told, durably, until they have been.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ids::ChannelName;
use crate::domain::notification::incidents::{Change, Incident};
use crate::domain::notification::occurrences::Occurrences;
use crate::domain::notification::{Failing, Notification};
use crate::ports::journal::Error;

/// What is known from before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxState {
    pub threads: Vec<Incident>,
    pub tales: Occurrences,
    /// Channels that fail.
    pub failing: Vec<Failing>,
}

/// A channel's oldest letters, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingNotifications {
    pub letters: Vec<Notification>,
    /// How many there are in all.
    pub count: u64,
}

/// What came of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryOutcome {
    pub channel: ChannelName,
    /// The numbers of letters that are done with.
    pub done: Vec<u64>,
    /// The numbers of those that failed once more, and when they are sent again.
    pub again: Vec<(u64, Timestamp)>,
    /// `None`: the channel does not fail.
    pub failing: Option<Failing>,
}

/// Each write is durable and whole when its method returns `Ok`, and may be repeated after an error.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn recall(&self) -> Result<OutboxState, Error>;

    /// Keeps a change, and its letters in their order behind those that wait. A letter with an id that waits already is
    /// the same.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn post(&self, change: &Change) -> Result<(), Error>;

    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn waiting(&self, channel: &ChannelName, limit: usize) -> Result<PendingNotifications, Error>;

    /// # Errors
    /// `Unavailable`.
    async fn settle(&self, settlement: &DeliveryOutcome) -> Result<(), Error>;

    /// Drops the letters and the failures of every channel but these.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn keep_only(&self, channels: &BTreeSet<ChannelName>) -> Result<(), Error>;
}
