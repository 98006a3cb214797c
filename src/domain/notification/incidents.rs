//! Which news there is for whom, when these troubles were told before and those are true now.
//!
//! A trouble is told when it has lasted, and over when it has been over as long: one that comes back before that is the
//! same. To each channel everything opened is resolved once, and nothing is resolved that was not opened there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::ids::ChannelName;
use crate::domain::notification::alerts::Look;
use crate::domain::notification::{Alert, Interest, News, Notification};

/// A trouble that somebody was told of, until it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// As it was last told.
    pub trouble: Alert,
    pub opened_at: Timestamp,
    pub told: BTreeSet<ChannelName>,
}

/// What has to be durable before anybody is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Incidents that are new or changed.
    pub threads: Vec<Incident>,
    /// The keys of those that are over.
    pub over: Vec<String>,
    pub letters: Vec<Notification>,
    /// What was told once, by its key: the newest rotation of which it was.
    pub tales: BTreeMap<String, String>,
}

impl Change {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { threads, over, letters, tales } = self;
        threads.is_empty() && over.is_empty() && letters.is_empty() && tales.is_empty()
    }
}

pub type Interests = BTreeMap<ChannelName, Interest>;

/// Every thread, and what may become or end one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Incidents {
    open: BTreeMap<String, Incident>,
    /// Since when troubles are true that were not told yet.
    rising: BTreeMap<String, Timestamp>,
    /// Since when troubles are not true any more that were told.
    sinking: BTreeMap<String, Timestamp>,
}

impl Incidents {
    #[must_use]
    pub fn new(open: Vec<Incident>) -> Self {
        let open = open.into_iter().map(|thread| (thread.trouble.key.clone(), thread)).collect();
        Self { open, ..Self::default() }
    }

    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    /// Takes a look in, and says what follows from it.
    #[must_use]
    pub fn news(
        &mut self,
        look: &Look,
        interests: &Interests,
        patience: SignedDuration,
        now: Timestamp,
    ) -> Change {
        let mut change = Change::default();
        let true_now: BTreeSet<&str> = look.troubles.iter().map(|trouble| trouble.key.as_str()).collect();
        self.rising.retain(|key, _| true_now.contains(key.as_str()));
        for trouble in &look.troubles {
            self.sinking.remove(&trouble.key);
            self.go_on(trouble, interests, patience, now, &mut change);
        }
        let gone = |thread: &&Incident| {
            !true_now.contains(thread.trouble.key.as_str()) && !look.is_unjudged(&thread.trouble)
        };
        let gone: Vec<Alert> = self.open().filter(gone).map(|thread| thread.trouble.clone()).collect();
        for trouble in gone {
            self.end(&trouble, interests, patience, now, &mut change);
        }
        change
    }

    fn go_on(
        &mut self,
        trouble: &Alert,
        interests: &Interests,
        patience: SignedDuration,
        now: Timestamp,
        change: &mut Change,
    ) {
        let wanting: BTreeSet<&ChannelName> =
            interests.iter().filter(|(_, it)| it.wants(trouble)).map(|(name, _)| name).collect();
        if !self.open.contains_key(&trouble.key) {
            let since = *self.rising.entry(trouble.key.clone()).or_insert(now);
            // A clock that was set back makes nobody wait longer.
            let lasted = now.duration_since(since);
            if lasted < patience.max(trouble.passes_within) || wanting.is_empty() {
                return;
            }
            self.rising.remove(&trouble.key);
        }
        let thread = self.open.entry(trouble.key.clone()).or_insert_with(|| Incident {
            trouble: trouble.clone(),
            opened_at: now,
            told: BTreeSet::new(),
        });
        let changed = trouble.has_changed_from(&thread.trouble);
        let before = change.letters.len();
        for channel in interests.keys() {
            let news = match (thread.told.contains(channel), wanting.contains(channel)) {
                (true, _) if changed => News::Changed,
                (false, true) => News::Opened,
                (true, _) | (false, false) => continue,
            };
            thread.told.insert(channel.clone());
            change.letters.push(Notification::new(channel, news, trouble, now));
        }
        if changed || change.letters.len() > before {
            thread.trouble = trouble.clone();
            change.threads.push(thread.clone());
        }
    }

    fn end(
        &mut self,
        trouble: &Alert,
        interests: &Interests,
        patience: SignedDuration,
        now: Timestamp,
        change: &mut Change,
    ) {
        let since = *self.sinking.entry(trouble.key.clone()).or_insert(now);
        if now.duration_since(since) < patience {
            return;
        }
        self.sinking.remove(&trouble.key);
        let Some(thread) = self.open.remove(&trouble.key) else { return };
        let told = thread.told.iter().filter(|channel| interests.contains_key(*channel));
        change
            .letters
            .extend(told.map(|channel| Notification::new(channel, News::Resolved, &thread.trouble, now)));
        change.over.push(trouble.key.clone());
    }
}

#[cfg(test)]
mod tests;
