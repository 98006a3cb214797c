//! Whose turn it is: at most so many rotations of a workspace are under way at a time, and the others stand in line.
//!
//! A place is taken before a rotation begins and given back when it is over, so that no two can take the last one. What
//! is kept here is rebuilt from the journal at a start: a place for each rotation under way.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::domain::ids::{CredentialName, WorkspaceName};

#[derive(Default)]
pub(super) struct RotationLimiter(Mutex<State>);

#[derive(Default)]
struct State {
    under_way: BTreeMap<CredentialName, WorkspaceName>,
    /// Since when each wants its turn: the earliest is the first in line.
    line: BTreeMap<CredentialName, (WorkspaceName, Timestamp)>,
    /// Somebody has left since those whose turn it is were last called.
    has_moved: bool,
}

impl RotationLimiter {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, or stands in line as one that is due since `due`; says whether it has one. Whoever has one
    /// already keeps it.
    pub(super) fn take(
        &self,
        workspace: &WorkspaceName,
        places: usize,
        name: &CredentialName,
        due: Timestamp,
    ) -> bool {
        let mut state = self.state();
        if state.under_way.get(name) == Some(workspace) {
            return true;
        }
        let since =
            state.line.get(name).filter(|(at, _)| at == workspace).map_or(due, |(_, at)| due.min(*at));
        if state.ahead_of(workspace, (since, name)) < state.free(workspace, places) {
            state.line.remove(name);
            state.under_way.insert(name.clone(), workspace.clone());
            return true;
        }
        state.line.insert(name.clone(), (workspace.clone(), since));
        false
    }

    /// Has a place without having waited for it: its rotation is under way, or cannot wait.
    pub(super) fn occupy(&self, workspace: &WorkspaceName, name: &CredentialName) {
        let mut state = self.state();
        state.line.remove(name);
        state.under_way.insert(name.clone(), workspace.clone());
    }

    /// Gives its place back, or leaves the line.
    pub(super) fn leave(&self, name: &CredentialName) {
        let mut state = self.state();
        let had_place = state.under_way.remove(name).is_some();
        let stood_in_line = state.line.remove(name).is_some();
        state.has_moved |= had_place || stood_in_line;
    }

    /// Whether anybody has left since this was last asked: nobody is called twice for the same place, so that one who
    /// does not come cannot keep the caller busy.
    pub(super) fn has_moved(&self) -> bool {
        std::mem::take(&mut self.state().has_moved)
    }

    /// The first in line of a workspace, as many as there are free places.
    pub(super) fn called(&self, workspace: &WorkspaceName, places: usize) -> Vec<CredentialName> {
        let state = self.state();
        let mut line: Vec<(Timestamp, &CredentialName)> = state.line_of(workspace).collect();
        line.sort_unstable();
        line.into_iter().take(state.free(workspace, places)).map(|(_, name)| name.clone()).collect()
    }

    /// Whether a newcomer would have to wait.
    pub(super) fn is_full(&self, workspace: &WorkspaceName, places: usize) -> bool {
        self.state().free(workspace, places) == 0
    }
}

impl State {
    fn free(&self, workspace: &WorkspaceName, places: usize) -> usize {
        places.saturating_sub(self.under_way.values().filter(|at| *at == workspace).count())
    }

    fn line_of<'s>(
        &'s self,
        workspace: &'s WorkspaceName,
    ) -> impl Iterator<Item = (Timestamp, &'s CredentialName)> {
        self.line.iter().filter(move |(_, (at, _))| at == workspace).map(|(name, (_, since))| (*since, name))
    }

    fn ahead_of(&self, workspace: &WorkspaceName, me: (Timestamp, &CredentialName)) -> usize {
        self.line_of(workspace).filter(|other| *other < me).count()
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
    fn places_go_to_those_who_were_due_first_and_each_workspace_has_its_own() {
        let (rotation_limiter, prod, dev) = (
            RotationLimiter::default(),
            WorkspaceName::new("prod").unwrap(),
            WorkspaceName::new("dev").unwrap(),
        );
        let take = |who: &str, due| rotation_limiter.take(&prod, 2, &name(who), at(due));
        assert!(take("a", 50) && take("b", 60) && take("a", 50));
        assert_eq!((take("late", 90), take("early", 70), take("manual", 80)), (false, false, false));
        assert!(rotation_limiter.is_full(&prod, 2) && rotation_limiter.called(&prod, 2).is_empty());
        assert!(rotation_limiter.take(&dev, 1, &name("other"), at(99)));
        rotation_limiter.leave(&name("a"));
        assert_eq!(rotation_limiter.called(&prod, 2), [name("early")]);
        assert!(!take("late", 90), "somebody was due earlier");
        assert!(!take("newcomer", 75) && take("early", 70));
        // An operator's command comes first.
        assert!(!rotation_limiter.take(&prod, 2, &name("manual"), Timestamp::MIN));
        rotation_limiter.leave(&name("b"));
        assert_eq!(rotation_limiter.called(&prod, 2), [name("manual")]);
        // One that does not want it any more is in nobody's way.
        rotation_limiter.leave(&name("manual"));
        rotation_limiter.leave(&name("newcomer"));
        assert!(take("late", 90));
        assert!(rotation_limiter.has_moved() && !rotation_limiter.has_moved());
        rotation_limiter.leave(&name("nobody"));
        assert!(!rotation_limiter.has_moved());
    }

    #[test]
    fn what_cannot_wait_takes_more_places_than_there_are_and_they_are_counted() {
        let (rotation_limiter, prod) = (RotationLimiter::default(), WorkspaceName::new("prod").unwrap());
        rotation_limiter.occupy(&prod, &name("a"));
        rotation_limiter.occupy(&prod, &name("leaked"));
        assert!(!rotation_limiter.take(&prod, 1, &name("b"), at(1)));
        rotation_limiter.leave(&name("a"));
        assert!(!rotation_limiter.take(&prod, 1, &name("b"), at(1)));
        rotation_limiter.leave(&name("leaked"));
        assert!(rotation_limiter.take(&prod, 1, &name("b"), at(1)));
    }
}
