//! Whether so much goes wrong in a workspace that it has to stop: after each event that may count, and at a start.

use crate::domain::breaker::{self, Incident};
use crate::domain::hold::{BREAKER, Held, Hold, Scope};
use crate::domain::ids::WorkspaceName;
use crate::engine::restraints::Restraints;
use crate::engine::setup::Setup;
use crate::engine::visit::Visit;
use crate::ports::journal::{self, Entry};

/// What a breaker can stop.
const STOPPABLE: [Held; 2] = [Held::Minting, Held::Revoking];

impl Visit {
    /// Asks the breaker about something that has just been journalled. That it cannot be asked holds nothing up: the
    /// next failure asks again, and so does the next start.
    pub(super) async fn mind_the_breaker(&self, entry: &Entry) {
        let Some(what) = breaker::concerns(&entry.event) else { return };
        consult(&self.setup, &self.restraints, &entry.workspace, what).await;
    }
}

/// At a start: the process may have died between the last failure and its consequence.
pub(super) async fn consult_all(setup: &Setup, restraints: &Restraints) {
    for workspace in setup.desks.keys() {
        for what in STOPPABLE {
            consult(setup, restraints, workspace, what).await;
        }
    }
}

async fn consult(setup: &Setup, restraints: &Restraints, workspace: &WorkspaceName, what: Held) {
    let scope = Scope::Workspace(workspace.clone());
    if restraints.board.in_force().find(&scope, what).is_some() {
        return;
    }
    match judge(setup, workspace, &scope, what).await {
        Ok(None) => {}
        Ok(Some(why)) => {
            let hold = Hold { scope, what, by: BREAKER.to_owned(), why, since: setup.now() };
            tracing::error!(
                %workspace, what = what.label(), why = hold.why, way_out = hold.way_out(),
                "the breaker has tripped: nothing more is done until an operator says so"
            );
            if let Err(error) = restraints.board.put(hold).await {
                tracing::error!(%workspace, %error, "the breaker's hold could not be journalled: the next failure tries again");
            }
        }
        Err(error) => {
            tracing::warn!(%workspace, %error, "the breaker could not be asked: the next failure asks again");
        }
    }
}

async fn judge(
    setup: &Setup,
    workspace: &WorkspaceName,
    scope: &Scope,
    what: Held,
) -> Result<Option<String>, journal::Error> {
    let Some(desk) = setup.desks.get(workspace) else { return Ok(None) };
    let breaker = desk.limits.breaker;
    let lifted = setup.journal.lifted(scope, what).await?;
    let after = breaker::counts_after(breaker, lifted, setup.now());
    let entries = setup.journal.events_since(workspace, &breaker::EVENTS, after).await?;
    let incident =
        |Entry { rotation, at, credential, event, .. }| Incident { at, credential, rotation, event };
    let incidents: Vec<Incident> = entries.into_iter().map(incident).collect();
    Ok(breaker::trips(breaker, what, &incidents, after))
}
