//! The circuit breaker of a workspace: evaluated after each event that may count, and at a start.

use crate::domain::breaker::{self, FailureSignal};
use crate::domain::hold::{BREAKER, Hold, HoldKind, Scope};
use crate::domain::ids::WorkspaceName;
use crate::engine::context::Context;
use crate::engine::reconciler::Reconciler;
use crate::engine::shared_state::SharedState;
use crate::ports::journal::{self, Entry};

/// What a breaker can stop.
const STOPPABLE: [HoldKind; 2] = [HoldKind::Minting, HoldKind::Revoking];

impl Reconciler {
    /// Evaluates the breaker after a journalled event. A breaker that cannot be evaluated holds nothing up: the next
    /// failure evaluates it again, and so does the next start.
    pub(super) async fn consult_breaker(&self, entry: &Entry) {
        let Some(what) = breaker::concerns(&entry.event) else { return };
        consult(&self.context, &self.shared, &entry.workspace, what).await;
    }
}

/// At a start: the process may have died between the last failure and its consequence.
pub(super) async fn consult_all(context: &Context, shared: &SharedState) {
    for workspace in context.workspaces.keys() {
        for what in STOPPABLE {
            consult(context, shared, workspace, what).await;
        }
    }
}

async fn consult(context: &Context, shared: &SharedState, workspace: &WorkspaceName, what: HoldKind) {
    let scope = Scope::Workspace(workspace.clone());
    if shared.holds.in_force().find(&scope, what).is_some() {
        return;
    }
    match evaluate(context, workspace, &scope, what).await {
        Ok(None) => {}
        Ok(Some(why)) => {
            let hold = Hold { scope, what, by: BREAKER.to_owned(), why, since: context.now() };
            tracing::error!(
                %workspace, what = what.label(), why = hold.why, way_out = hold.way_out(),
                "the breaker has tripped: nothing more is done until an operator says so"
            );
            if let Err(error) = shared.holds.put(hold).await {
                tracing::error!(%workspace, %error, "the breaker's hold could not be journalled: the next failure tries again");
            }
        }
        Err(error) => {
            tracing::warn!(%workspace, %error, "the breaker could not be evaluated: the next failure evaluates it again");
        }
    }
}

async fn evaluate(
    context: &Context,
    workspace: &WorkspaceName,
    scope: &Scope,
    what: HoldKind,
) -> Result<Option<String>, journal::Error> {
    let Some(workspace_client) = context.workspaces.get(workspace) else { return Ok(None) };
    let breaker = workspace_client.limits.breaker;
    let lifted = context.journal.lifted(scope, what).await?;
    let now = context.now();
    let after = breaker::counts_after(breaker, lifted, now);
    let entries = context.journal.events_since(workspace, &breaker::EVENTS, after).await?;
    let incident =
        |Entry { rotation, at, credential, event, .. }| FailureSignal { at, credential, rotation, event };
    let incidents: Vec<FailureSignal> = entries.into_iter().map(incident).collect();
    Ok(breaker::trips(breaker, what, &incidents, after, now))
}
