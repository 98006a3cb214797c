//! How much of its mint budget each workspace has used.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::WorkspaceName;
use crate::http::public::PublicState;

/// Keys that were or may have been created in the last hour; without workspaces whose count cannot be read.
pub(super) async fn spent(shared: &PublicState, now: Timestamp) -> BTreeMap<WorkspaceName, usize> {
    let since = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
    let context = shared.handle.context();
    let mut spent = BTreeMap::new();
    for name in context.policy.workspaces.keys() {
        if let Ok(mints) = shared.handle.journal().mints_since(name, since).await {
            spent.insert(name.clone(), mints.len());
        }
    }
    spent
}
