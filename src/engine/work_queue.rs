//! A delayed work queue with one entry per credential: when each is reconciled next, on a timer that nobody can set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::ids::CredentialName;

#[derive(Debug, Default)]
pub(super) struct WorkQueue {
    by_time: BTreeSet<(Duration, CredentialName)>,
    by_name: BTreeMap<CredentialName, Duration>,
}

impl WorkQueue {
    /// Sets the time of the credential's entry, whatever it was before; `None` removes the entry.
    pub(super) fn set(&mut self, name: &CredentialName, at: Option<Duration>) {
        if let Some(before) = self.by_name.remove(name) {
            self.by_time.remove(&(before, name.clone()));
        }
        if let Some(at) = at {
            self.by_name.insert(name.clone(), at);
            self.by_time.insert((at, name.clone()));
        }
    }

    /// Takes out the earliest entry, if it is due.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<CredentialName> {
        let (at, _) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let (_, name) = self.by_time.pop_first()?;
        self.by_name.remove(&name);
        Some(name)
    }

    /// When the earliest entry is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }
}
