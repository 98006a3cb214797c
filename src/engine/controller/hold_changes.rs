//! Pausing and resuming: a hold is journalled, in force, and heeded, before whoever asked for it is answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::audit::Actor;
use crate::domain::hold::{Hold, HoldKind, Scope};
use crate::domain::ids::CredentialName;
use crate::engine::controller::{Controller, Finished, Slot};
use crate::engine::handle::HoldChange;

/// A change of the holds that has been made, or could not be.
pub(super) struct Changed {
    scope: Scope,
    outcome: Result<String, String>,
    answer: oneshot::Sender<Result<String, String>>,
    /// Whether visits that were sent before may still do what is held now.
    pauses: bool,
}

/// A pause whose answer waits for visits that were sent before it.
pub(super) struct Expected {
    visits: BTreeSet<CredentialName>,
    message: String,
    answer: oneshot::Sender<Result<String, String>>,
}

impl Controller {
    /// The change is made by a task of the controller's, which nobody who goes away can cut in half.
    pub(super) fn change_holds(&mut self, pause: HoldChange) {
        let HoldChange { scope, only, why, by, lift, answer } = pause;
        let (admission, now) = (Arc::clone(&self.admission), self.context.now());
        self.tasks.spawn(async move {
            let outcome = if lift {
                let wanted = only.map_or_else(|| HoldKind::ALL.to_vec(), |only| vec![only]);
                let actor = Actor::Operator(by.clone());
                let lifted = admission.board.lift(&scope, &wanted, &actor, now).await;
                lifted.map_err(|error| error.to_string()).and_then(|lifted| {
                    let rest = admission.board.in_force();
                    resumed(&scope, &lifted, rest.all()).inspect(|told| tracing::warn!(%by, "{told}"))
                })
            } else {
                let what = only.unwrap_or(HoldKind::Everything);
                let hold = Hold { scope: scope.clone(), what, by, why, since: now };
                let told = format!("{hold}; `{}` lifts it", hold.way_out());
                let put = admission.board.put(hold).await.map_err(|error| error.to_string());
                put.map(|()| told).inspect(|told| tracing::warn!("{told}"))
            };
            Finished::Holds(Changed { scope, outcome, answer, pauses: !lift })
        });
    }

    /// Calls back everybody who is concerned and has them look again. A pause is answered when nobody who was sent
    /// before it is under way any more.
    pub(super) fn holds_changed(&mut self, changed: Changed) {
        let Changed { scope, outcome, answer, pauses } = changed;
        let concerned = |(name, slot): (&CredentialName, &Slot)| {
            let workspace = self.workspace_of(name, slot).map(|(workspace, _)| workspace);
            (outcome.is_ok() && scope.covers(workspace.as_ref(), name) && (!pauses || slot.visit.is_some()))
                .then(|| name.clone())
        };
        let names: BTreeSet<CredentialName> = self.slots.iter().filter_map(concerned).collect();
        for name in &names {
            self.look_at(name);
        }
        let visits = if pauses { names } else { BTreeSet::new() };
        match outcome {
            Ok(message) if !visits.is_empty() => self.expected.push(Expected { visits, message, answer }),
            // Nobody may be left to hear it.
            outcome => drop(answer.send(outcome)),
        }
    }

    /// A visit is over; answers the pauses that waited for nobody else.
    pub(super) fn came_back(&mut self, name: &CredentialName) {
        for expected in &mut self.expected {
            expected.visits.remove(name);
        }
        for expected in self.expected.extract_if(.., |expected| expected.visits.is_empty()) {
            drop(expected.answer.send(Ok(expected.message)));
        }
    }

    /// Calls those whose turn it is, after somebody may have left a place.
    pub(super) fn call_next(&mut self) {
        if !self.admission.rotation_limiter.has_moved() {
            return;
        }
        let now = self.context.now();
        for workspace in self.context.workspaces.keys() {
            for name in self.admission.rotation_limiter.called(workspace, self.context.places(workspace)) {
                match self.slots.get(&name) {
                    // It is asking for its turn at this moment.
                    Some(Slot { visit: Some(_), .. }) => {}
                    Some(Slot { damaged: None, .. }) => self.work_queue.set(&name, Some(now)),
                    Some(_) | None => self.admission.rotation_limiter.leave(&name),
                }
            }
        }
    }
}

fn resumed(scope: &Scope, lifted: &[Hold], rest: &[Hold]) -> Result<String, String> {
    let told = |holds: &[Hold]| {
        let told: Vec<String> = holds.iter().map(|hold| format!("{hold} (`{}`)", hold.way_out())).collect();
        told.join("; ")
    };
    if lifted.is_empty() {
        return Err(match rest {
            [] => "nothing is held".to_owned(),
            rest => format!("nothing of that kind is held for {scope}; in force: {}", told(rest)),
        });
    }
    let what: Vec<&str> = lifted.iter().map(|hold| hold.what.label()).collect();
    let done = format!("{} is no longer held for {scope}", what.join(" and "));
    Ok(match rest {
        [] => done,
        rest => format!("{done}; still in force: {}", told(rest)),
    })
}
