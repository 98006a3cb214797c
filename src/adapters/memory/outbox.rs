//! The outbox port in memory. A clone shares the contents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::domain::ids::ChannelName;
use crate::domain::notification::incidents::{Change, Incident};
use crate::domain::notification::occurrences::Occurrences;
use crate::domain::notification::{ChannelFailure, Notification};
use crate::ports::journal::Error;
use crate::ports::outbox::{DeliveryOutcome, Outbox, OutboxState, PendingNotifications};

#[derive(Debug, Clone, Default)]
pub struct MemoryOutbox {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug, Default)]
struct Contents {
    incidents: BTreeMap<String, Incident>,
    occurrences: Occurrences,
    notifications: BTreeMap<u64, Notification>,
    failing: BTreeMap<ChannelName, ChannelFailure>,
    last: u64,
}

impl MemoryOutbox {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn recall(&self) -> Result<OutboxState, Error> {
        let contents = self.contents();
        Ok(OutboxState {
            incidents: contents.incidents.values().cloned().collect(),
            occurrences: contents.occurrences.clone(),
            failing: contents.failing.values().cloned().collect(),
        })
    }

    async fn post(&self, change: &Change) -> Result<(), Error> {
        let mut contents = self.contents();
        let Change { incidents, resolved, notifications, occurrences } = change.clone();
        contents.incidents.extend(incidents.into_iter().map(|it| (it.alert.key.clone(), it)));
        contents.incidents.retain(|key, _| !resolved.contains(key));
        contents.occurrences.extend(occurrences);
        for notification in notifications {
            if !contents.notifications.values().any(|waiting| waiting.id == notification.id) {
                contents.last += 1;
                let number = contents.last;
                contents.notifications.insert(number, Notification { number, ..notification });
            }
        }
        Ok(())
    }

    async fn waiting(&self, channel: &ChannelName, limit: usize) -> Result<PendingNotifications, Error> {
        let contents = self.contents();
        let own: Vec<Notification> = contents
            .notifications
            .values()
            .filter(|notification| notification.channel == *channel)
            .cloned()
            .collect();
        let count = u64::try_from(own.len()).unwrap_or(u64::MAX);
        Ok(PendingNotifications { notifications: own.into_iter().take(limit).collect(), count })
    }

    async fn settle(&self, outcome: &DeliveryOutcome) -> Result<(), Error> {
        let mut contents = self.contents();
        let DeliveryOutcome { channel, done, again, failing } = outcome;
        contents.notifications.retain(|number, _| !done.contains(number));
        for (number, due) in again {
            if let Some(notification) = contents.notifications.get_mut(number) {
                notification.failures += 1;
                notification.due = *due;
            }
        }
        match failing {
            Some(failing) => contents.failing.insert(channel.clone(), failing.clone()),
            None => contents.failing.remove(channel),
        };
        Ok(())
    }

    async fn keep_only(&self, channels: &BTreeSet<ChannelName>) -> Result<(), Error> {
        let mut contents = self.contents();
        contents.notifications.retain(|_, notification| channels.contains(&notification.channel));
        contents.failing.retain(|channel, _| channels.contains(channel));
        Ok(())
    }
}
