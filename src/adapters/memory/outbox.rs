//! The outbox port in memory. A clone shares the contents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::domain::ids::ChannelName;
use crate::domain::notification::incidents::{Change, Incident};
use crate::domain::notification::occurrences::Occurrences;
use crate::domain::notification::{Failing, Notification};
use crate::ports::journal::Error;
use crate::ports::outbox::{DeliveryOutcome, Outbox, OutboxState, PendingNotifications};

#[derive(Debug, Clone, Default)]
pub struct MemoryOutbox {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug, Default)]
struct Contents {
    threads: BTreeMap<String, Incident>,
    tales: Occurrences,
    letters: BTreeMap<u64, Notification>,
    failing: BTreeMap<ChannelName, Failing>,
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
            threads: contents.threads.values().cloned().collect(),
            tales: contents.tales.clone(),
            failing: contents.failing.values().cloned().collect(),
        })
    }

    async fn post(&self, change: &Change) -> Result<(), Error> {
        let mut contents = self.contents();
        let Change { threads, over, letters, tales } = change.clone();
        contents.threads.extend(threads.into_iter().map(|it| (it.trouble.key.clone(), it)));
        contents.threads.retain(|key, _| !over.contains(key));
        contents.tales.extend(tales);
        for letter in letters {
            if !contents.letters.values().any(|waiting| waiting.id == letter.id) {
                contents.last += 1;
                let number = contents.last;
                contents.letters.insert(number, Notification { number, ..letter });
            }
        }
        Ok(())
    }

    async fn waiting(&self, channel: &ChannelName, limit: usize) -> Result<PendingNotifications, Error> {
        let contents = self.contents();
        let own: Vec<Notification> =
            contents.letters.values().filter(|letter| letter.channel == *channel).cloned().collect();
        let count = u64::try_from(own.len()).unwrap_or(u64::MAX);
        Ok(PendingNotifications { letters: own.into_iter().take(limit).collect(), count })
    }

    async fn settle(&self, settlement: &DeliveryOutcome) -> Result<(), Error> {
        let mut contents = self.contents();
        let DeliveryOutcome { channel, done, again, failing } = settlement;
        contents.letters.retain(|number, _| !done.contains(number));
        for (number, due) in again {
            if let Some(letter) = contents.letters.get_mut(number) {
                letter.failures += 1;
                letter.due = *due;
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
        contents.letters.retain(|_, letter| channels.contains(&letter.channel));
        contents.failing.retain(|channel, _| channels.contains(channel));
        Ok(())
    }
}
