//! A limiter of concurrent rotations per workspace: each rotation holds a slot, and the credentials without one wait in line.
//!
//! A slot is acquired before a rotation begins and released when it is over, so that no two rotations can take the last
//! one. The slots are rebuilt from the journal at a start: one for each rotation under way.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::domain::ids::{CredentialName, WorkspaceName};

#[derive(Default)]
pub(super) struct RotationLimiter(Mutex<State>);

#[derive(Default)]
struct State {
    slots: BTreeMap<CredentialName, WorkspaceName>,
    /// Since when each waits for a slot: the earliest is the first in line.
    waiting: BTreeMap<CredentialName, (WorkspaceName, Timestamp)>,
    /// A slot or a place in line was released since the last [`RotationLimiter::was_released`].
    released: bool,
}

impl RotationLimiter {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acquires one of `limit` slots, or waits in line as due since `due`; returns whether the credential has a slot. A
    /// credential that has one keeps it.
    pub(super) fn acquire(
        &self,
        workspace: &WorkspaceName,
        limit: usize,
        name: &CredentialName,
        due: Timestamp,
    ) -> bool {
        let mut state = self.state();
        if state.slots.get(name) == Some(workspace) {
            return true;
        }
        let since =
            state.waiting.get(name).filter(|(at, _)| at == workspace).map_or(due, |(_, at)| due.min(*at));
        if state.ahead_of(workspace, (since, name)) < state.free(workspace, limit) {
            state.waiting.remove(name);
            state.slots.insert(name.clone(), workspace.clone());
            return true;
        }
        state.waiting.insert(name.clone(), (workspace.clone(), since));
        false
    }

    /// Acquires a slot whether one is free or not: the rotation is under way already, or cannot wait.
    pub(super) fn acquire_over_limit(&self, workspace: &WorkspaceName, name: &CredentialName) {
        let mut state = self.state();
        state.waiting.remove(name);
        state.slots.insert(name.clone(), workspace.clone());
    }

    /// Releases the credential's slot, or its place in line.
    pub(super) fn release(&self, name: &CredentialName) {
        let mut state = self.state();
        let had_slot = state.slots.remove(name).is_some();
        let waited = state.waiting.remove(name).is_some();
        state.released |= had_slot || waited;
    }

    /// Whether anything was released since this was last called: the next in line are requeued once for each slot, so
    /// that one that does not take its slot cannot keep the controller busy.
    pub(super) fn was_released(&self) -> bool {
        std::mem::take(&mut self.state().released)
    }

    /// The first in line of a workspace, as many as there are free slots.
    pub(super) fn next_in_line(&self, workspace: &WorkspaceName, limit: usize) -> Vec<CredentialName> {
        let state = self.state();
        let mut line: Vec<(Timestamp, &CredentialName)> = state.waiting_in(workspace).collect();
        line.sort_unstable();
        line.into_iter().take(state.free(workspace, limit)).map(|(_, name)| name.clone()).collect()
    }

    /// Whether one more rotation would have to wait.
    pub(super) fn is_full(&self, workspace: &WorkspaceName, limit: usize) -> bool {
        self.state().free(workspace, limit) == 0
    }
}

impl State {
    fn free(&self, workspace: &WorkspaceName, limit: usize) -> usize {
        limit.saturating_sub(self.slots.values().filter(|at| *at == workspace).count())
    }

    fn waiting_in<'s>(
        &'s self,
        workspace: &'s WorkspaceName,
    ) -> impl Iterator<Item = (Timestamp, &'s CredentialName)> {
        self.waiting
            .iter()
            .filter(move |(_, (at, _))| at == workspace)
            .map(|(name, (_, since))| (*since, name))
    }

    fn ahead_of(&self, workspace: &WorkspaceName, one: (Timestamp, &CredentialName)) -> usize {
        self.waiting_in(workspace).filter(|other| *other < one).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn name(text: &str) -> CredentialName {
        CredentialName::new(text).unwrap()
    }

    #[test]
    fn slots_go_to_those_that_were_due_first_and_each_workspace_has_its_own() {
        let (limiter, prod, dev) = (
            RotationLimiter::default(),
            WorkspaceName::new("prod").unwrap(),
            WorkspaceName::new("dev").unwrap(),
        );
        let acquire = |who: &str, due| limiter.acquire(&prod, 2, &name(who), at(due));
        assert!(acquire("a", 50) && acquire("b", 60) && acquire("a", 50));
        assert_eq!((acquire("late", 90), acquire("early", 70), acquire("manual", 80)), (false, false, false));
        assert!(limiter.is_full(&prod, 2) && limiter.next_in_line(&prod, 2).is_empty());
        assert!(limiter.acquire(&dev, 1, &name("other"), at(99)));
        limiter.release(&name("a"));
        assert_eq!(limiter.next_in_line(&prod, 2), [name("early")]);
        assert!(!acquire("late", 90), "another was due earlier");
        assert!(!acquire("newcomer", 75) && acquire("early", 70));
        // An operator's command comes first.
        assert!(!limiter.acquire(&prod, 2, &name("manual"), Timestamp::MIN));
        limiter.release(&name("b"));
        assert_eq!(limiter.next_in_line(&prod, 2), [name("manual")]);
        // One that has left the line does not keep others from a slot.
        limiter.release(&name("manual"));
        limiter.release(&name("newcomer"));
        assert!(acquire("late", 90));
        assert!(limiter.was_released() && !limiter.was_released());
        limiter.release(&name("nobody"));
        assert!(!limiter.was_released());
    }

    #[test]
    fn what_cannot_wait_takes_more_slots_than_there_are_and_they_are_counted() {
        let (limiter, prod) = (RotationLimiter::default(), WorkspaceName::new("prod").unwrap());
        limiter.acquire_over_limit(&prod, &name("a"));
        limiter.acquire_over_limit(&prod, &name("leaked"));
        assert!(!limiter.acquire(&prod, 1, &name("b"), at(1)));
        limiter.release(&name("a"));
        assert!(!limiter.acquire(&prod, 1, &name("b"), at(1)));
        limiter.release(&name("leaked"));
        assert!(limiter.acquire(&prod, 1, &name("b"), at(1)));
    }
}
