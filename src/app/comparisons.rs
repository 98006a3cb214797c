//! Compares the audit log with the workspaces' own by itself, as `rekeyd audit compare` does when an operator asks.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::audit::foreign::{self, ForeignChange};
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::time::earlier;
use crate::engine::{Context, Handle};
use crate::ports::journal;
use crate::ports::workspace_log::WorkspaceLog;
use crate::telemetry::observation::{LogComparison, Status};

/// So many inspections are one comparison: an hour, by default.
const INSPECTIONS: i32 = 60;
/// The first comparison is not later than that, however rare the others are.
const FIRST_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How far back the workspaces' logs are read.
const SPAN: SignedDuration = SignedDuration::from_hours(24 * 7);
/// What is found beyond that is found by the next comparison.
const FOUND_MAX: usize = 50;

pub(super) struct Comparisons {
    pub(super) handle: Handle,
    pub(super) status: watch::Sender<Status>,
    pub(super) inspect_every: SignedDuration,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Workspace(#[from] Failure),
    #[error("{0}")]
    Journal(#[from] journal::Error),
}

impl Comparisons {
    pub(super) async fn run(self, stop: CancellationToken) {
        let every = self.inspect_every.saturating_mul(INSPECTIONS);
        let mut next = every.min(FIRST_MAX);
        loop {
            let context = self.handle.context();
            tokio::select! {
                () = stop.cancelled() => return,
                () = context.clock.sleep(next) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.compare_all() => {}
            }
            next = every;
        }
    }

    async fn compare_all(&self) {
        let context = self.handle.context();
        for (name, workspace_client) in &context.workspaces {
            let Some(log) = workspace_client.log() else { continue };
            let outcome = self.compare(&context, name, log).await;
            self.status.send_modify(|status| {
                let known = status.comparisons.entry(name.clone()).or_default();
                *known = next(name, known, outcome, context.clock.now());
            });
        }
        let is_there = |name: &WorkspaceName| context.workspaces.contains_key(name);
        self.status.send_modify(|status| status.comparisons.retain(|name, _| is_there(name)));
    }

    /// Every change that others are known to have made. What is new is in the audit log before it is told.
    async fn compare(
        &self,
        context: &Context,
        workspace: &WorkspaceName,
        log: &dyn WorkspaceLog,
    ) -> Result<Vec<ForeignChange>, Error> {
        let now = context.clock.now();
        let since = earlier(now, SPAN);
        let logged = log.entries(since).await?;
        // In this order: what a rotation did by now that is over is among the records.
        let open = self.under_way().await?;
        let journal = self.handle.journal();
        let records =
            journal::records_where(journal, |act| act.workspace.as_ref() == Some(workspace)).await?;
        let mut known = foreign::recorded(&records);
        let mut found = foreign::unrecorded(workspace, &records, &logged, since, &open, now);
        found.truncate(FOUND_MAX);
        for change in found {
            journal.record(&change.act()).await?;
            tracing::warn!(
                %workspace, key = %change.key, deed = change.deed.label(), user = change.user, at = %change.at, entry = change.entry,
                "somebody else changed a key of rekeyd, by the workspace's own audit log"
            );
            known.push(change);
        }
        Ok(known)
    }

    /// One whose rows are damaged may have a rotation under way.
    async fn under_way(&self) -> Result<BTreeSet<CredentialName>, journal::Error> {
        let loaded = self.handle.journal().load().await?;
        let may_be_open =
            loaded.into_iter().filter(|(_, known)| known.as_ref().map_or(true, |it| it.rotation.is_some()));
        Ok(may_be_open.map(|(name, _)| name).collect())
    }
}

/// That a workspace has no log for us is no fault: it is said once.
fn next(
    workspace: &WorkspaceName,
    before: &LogComparison,
    outcome: Result<Vec<ForeignChange>, Error>,
    now: Timestamp,
) -> LogComparison {
    match outcome {
        Ok(foreign) => LogComparison { compared_at: Some(now), foreign, unavailable: None },
        Err(Error::Workspace(failure)) if has_none(failure.kind) => {
            if before.unavailable.is_none() {
                tracing::info!(%workspace, why = %failure, "the workspace's own audit log is not compared with rekeyd's: it cannot be read here");
            }
            LogComparison { unavailable: Some(failure.to_string()), ..before.clone() }
        }
        Err(error) => {
            tracing::debug!(%workspace, %error, "the workspace's audit log is compared another time");
            before.clone()
        }
    }
}

/// Whether it is the plan, the API version or a permission that lacks it.
fn has_none(kind: Kind) -> bool {
    match kind {
        Kind::Forbidden | Kind::NotFound | Kind::Invalid => true,
        Kind::Throttled
        | Kind::Unreachable
        | Kind::TimedOut
        | Kind::ServerError
        | Kind::Garbled
        | Kind::Unauthenticated
        | Kind::LimitReached
        | Kind::Conflict
        | Kind::NotActiveYet
        | Kind::LocalDisk
        | Kind::ClockSkew => false,
    }
}
