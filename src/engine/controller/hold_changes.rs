//! Pausing and resuming: a hold is journalled, in force and obeyed before the command that put it is answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::audit::Actor;
use crate::domain::hold::{Hold, HoldKind, Scope};
use crate::domain::ids::CredentialName;
use crate::engine::controller::{Controller, CredentialEntry, TaskResult};
use crate::engine::handle::HoldChange;

/// A change of the holds that was made, or could not be.
pub(super) struct HoldOutcome {
    scope: Scope,
    outcome: Result<String, String>,
    answer: oneshot::Sender<Result<String, String>>,
    /// Whether running reconcilers may still do what is held now.
    pauses: bool,
}

/// A pause whose answer waits for the reconcilers that were running before it.
pub(super) struct PendingPause {
    running: BTreeSet<CredentialName>,
    message: String,
    answer: oneshot::Sender<Result<String, String>>,
}

impl Controller {
    /// The change is made by a task of the controller's: a requester that goes away cannot cut it in half.
    pub(super) fn change_holds(&mut self, change: HoldChange) {
        let HoldChange { scope, only, why, by, lift, answer } = change;
        let (shared, now) = (Arc::clone(&self.shared), self.context.now());
        self.tasks.spawn(async move {
            let outcome = if lift {
                let kinds = only.map_or_else(|| HoldKind::ALL.to_vec(), |only| vec![only]);
                let actor = Actor::Operator(by.clone());
                let lifted = shared.holds.lift(&scope, &kinds, &actor, now).await;
                lifted.map_err(|error| error.to_string()).and_then(|lifted| {
                    let rest = shared.holds.in_force();
                    resumed(&scope, &lifted, rest.all()).inspect(|message| tracing::warn!(%by, "{message}"))
                })
            } else {
                let what = only.unwrap_or(HoldKind::Everything);
                let hold = Hold { scope: scope.clone(), what, by, why, since: now };
                let message = format!("{hold}; `{}` lifts it", hold.way_out());
                let put = shared.holds.put(hold).await.map_err(|error| error.to_string());
                put.map(|()| message).inspect(|message| tracing::warn!("{message}"))
            };
            TaskResult::HoldsChanged(HoldOutcome { scope, outcome, answer, pauses: !lift })
        });
    }

    /// Requeues every credential in scope. A pause is answered when none of the reconcilers that were running before it
    /// is running any more.
    pub(super) fn on_holds_changed(&mut self, changed: HoldOutcome) {
        let HoldOutcome { scope, outcome, answer, pauses } = changed;
        let in_scope = |(name, entry): (&CredentialName, &CredentialEntry)| {
            let workspace = self.workspace_of(name, entry).map(|(workspace, _)| workspace);
            (outcome.is_ok()
                && scope.covers(workspace.as_ref(), name)
                && (!pauses || entry.running.is_some()))
            .then(|| name.clone())
        };
        let names: BTreeSet<CredentialName> = self.entries.iter().filter_map(in_scope).collect();
        for name in &names {
            self.requeue_now(name);
        }
        let running = if pauses { names } else { BTreeSet::new() };
        match outcome {
            Ok(message) if !running.is_empty() => {
                self.pending_pauses.push(PendingPause { running, message, answer });
            }
            // The requester may be gone.
            outcome => drop(answer.send(outcome)),
        }
    }

    /// A reconciliation has ended: answers the pauses that waited for no other one.
    pub(super) fn answer_pauses(&mut self, name: &CredentialName) {
        for pause in &mut self.pending_pauses {
            pause.running.remove(name);
        }
        for pause in self.pending_pauses.extract_if(.., |pause| pause.running.is_empty()) {
            drop(pause.answer.send(Ok(pause.message)));
        }
    }

    /// Requeues the credentials that are next in line for a rotation slot, if one was released.
    pub(super) fn requeue_waiting(&mut self) {
        let (first, all) = (&self.shared.first_limiter, &self.shared.rotation_limiter);
        // Both are asked: each forgets that it was.
        if !(first.was_released() | all.was_released()) {
            return;
        }
        let now = self.context.uptime();
        for workspace in self.context.workspaces.keys() {
            let next = all.next_in_line(workspace, self.context.rotation_slots(workspace));
            let next_first = first.next_in_line(workspace, self.context.first_rotation_slots(workspace));
            for name in next.into_iter().chain(next_first) {
                match self.entries.get(&name) {
                    // Its reconciler is acquiring the rotation slot at this moment.
                    Some(CredentialEntry { running: Some(_), .. }) => {}
                    Some(CredentialEntry { damaged: None, .. }) => self.work_queue.set(&name, Some(now)),
                    Some(_) | None => self.shared.release(&name),
                }
            }
        }
    }

    /// Requeues the credentials that wait after a failure, if what failed works again for one of them.
    pub(super) fn requeue_recovered(&mut self) {
        if !self.shared.recoveries.has_recovered() {
            return;
        }
        let now = self.context.uptime();
        for (name, entry) in &self.entries {
            let waits = entry.rotation.as_ref().is_some_and(|rotation| rotation.last_failure.is_some());
            if waits && entry.running.is_none() && entry.damaged.is_none() {
                self.work_queue.set(name, Some(now));
            }
        }
    }
}

fn resumed(scope: &Scope, lifted: &[Hold], rest: &[Hold]) -> Result<String, String> {
    let list = |holds: &[Hold]| {
        let holds: Vec<String> = holds.iter().map(|hold| format!("{hold} (`{}`)", hold.way_out())).collect();
        holds.join("; ")
    };
    if lifted.is_empty() {
        return Err(match rest {
            [] => "nothing is held".to_owned(),
            rest => format!("nothing of that kind is held for {scope}; in force: {}", list(rest)),
        });
    }
    let what: Vec<&str> = lifted.iter().map(|hold| hold.what.label()).collect();
    let done = format!("{} is no longer held for {scope}", what.join(" and "));
    Ok(match rest {
        [] => done,
        rest => format!("{done}; still in force: {}", list(rest)),
    })
}
