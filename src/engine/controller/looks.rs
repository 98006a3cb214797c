//! Credentials that rekeyd has not rotated yet are looked at from time to time: whether their keys are used, and whether
//! anybody reads their destinations.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::phase::Phase;
use crate::domain::plan::Destination;
use crate::domain::policy::Mode;
use crate::engine::controller::entry::CredentialEntry;
use crate::engine::controller::{Controller, TaskResult};
use crate::engine::look::{self, Look, LookedAt};

const LOOK_AGAIN: Duration = Duration::from_mins(10);

impl Controller {
    /// Looks at what was not looked at lately, or has another key since.
    pub(super) fn look(&mut self) {
        let now = self.context.uptime();
        for workspace in self.context.workspaces.keys().cloned().collect::<Vec<_>>() {
            if self.looking.contains(&workspace) {
                continue;
            }
            let due = |(name, entry): &(&CredentialName, &CredentialEntry)| {
                self.works_in(name, entry, &workspace) && entry.is_to_be_looked_at(now)
            };
            let wanted: Vec<LookedAt> = self
                .entries
                .iter()
                .filter(due)
                .filter_map(|(name, entry)| self.looked_at(name, entry))
                .collect();
            if wanted.is_empty() {
                continue;
            }
            for it in &wanted {
                if let Some(entry) = self.entries.get_mut(&it.credential) {
                    entry.looked = Some((now, it.key.clone()));
                }
            }
            self.looking.insert(workspace.clone());
            let context = Arc::clone(&self.context);
            self.tasks.spawn(async move {
                TaskResult::Looked(workspace.clone(), look::look(context, workspace, wanted).await)
            });
        }
    }

    /// `None` if nobody waits to be told: its first rotation begins, or goes on by itself, or is over.
    fn looked_at(&self, name: &CredentialName, entry: &CredentialEntry) -> Option<LookedAt> {
        let policy = self.context.credential(name)?;
        let record = &entry.record;
        let is_unpublished = |wanted: &&Destination| !record.was_published_to(wanted);
        let is_to_come = record.due.as_ref().is_some_and(|due| due.at > self.context.now());
        let is_told_of = match entry.rotation.as_ref().map(|rotation| &rotation.phase) {
            None => policy.mode == Mode::Observe || (record.is_new() && is_to_come),
            // An operator is asked whether consumers have switched.
            Some(Phase::Overlap(_)) => record.is_new() && policy.is_confirmed_first(),
            Some(_) => false,
        };
        is_told_of.then(|| LookedAt {
            credential: name.clone(),
            key: record.current.as_ref().map(|current| current.key.clone()),
            before: record.last_use.clone(),
            unpublished: policy.destinations.iter().filter(is_unpublished).cloned().collect(),
        })
    }

    pub(super) fn take_looks(&mut self, workspace: &WorkspaceName, seen: Vec<(CredentialName, Look)>) {
        self.looking.remove(workspace);
        // Others may have been adopted meanwhile. What could not be looked at waits for the next inspection.
        let goes_on = !seen.is_empty();
        for (name, look) in seen {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.look = Some(look);
            }
            self.requeue_now(&name);
        }
        if goes_on {
            self.look();
        }
    }
}

impl CredentialEntry {
    /// Whether its rotation waits for consumers.
    pub(super) fn is_published(&self) -> bool {
        self.rotation.as_ref().is_some_and(|rotation| matches!(rotation.phase, Phase::Overlap(_)))
    }

    fn is_to_be_looked_at(&self, now: Duration) -> bool {
        let key = self.record.current.as_ref().map(|current| &current.key);
        let is_fresh = |at: Duration| now.saturating_sub(at) < LOOK_AGAIN;
        let counts = self.looked.as_ref().is_some_and(|(at, with)| is_fresh(*at) && with.as_ref() == key);
        !counts && self.damaged.is_none()
    }
}
