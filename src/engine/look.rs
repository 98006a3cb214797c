//! Looks at what rekeyd does not rotate yet: whether a key is used, and whether anybody reads its destinations.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::{CredentialName, KeyId, WorkspaceName};
use crate::domain::key::Key;
use crate::domain::last_use::LastUse;
use crate::domain::plan::Destination;
use crate::domain::time::earlier;
use crate::engine::commit::ReconcileError;
use crate::engine::context::Context;
use crate::engine::reconciler::Reconciler;
use crate::ports::secret_store::{StoredVersion, VersionRef};

/// How far back the first question goes.
const PAST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How late use may be shown that a question before did not show.
const LATE: SignedDuration = SignedDuration::from_hours(1);

/// A credential to look at.
pub(super) struct LookedAt {
    pub(super) credential: CredentialName,
    pub(super) key: Option<KeyId>,
    pub(super) before: Option<LastUse>,
    /// Where nothing was published yet.
    pub(super) unpublished: Vec<Destination>,
}

/// What was seen of one credential.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// `None` if its key is not known, or was not listed.
    last_use: Option<LastUse>,
    /// Destinations that were read: whether each held no key.
    read: Vec<(Destination, bool)>,
}

/// Looks at credentials of one workspace, by one question to each of its sources. Changes nothing.
pub(super) async fn look(
    context: Arc<Context>,
    workspace: WorkspaceName,
    wanted: Vec<LookedAt>,
) -> Vec<(CredentialName, Look)> {
    let uses = last_uses(&context, &workspace, &wanted).await;
    let mut seen = Vec::new();
    for LookedAt { credential, key, unpublished, .. } in wanted {
        let last_use = uses.iter().find(|it| Some(&it.key) == key.as_ref()).cloned();
        let read = read(&context, unpublished).await;
        if last_use.is_some() || !read.is_empty() {
            seen.push((credential, Look { last_use, read }));
        }
    }
    seen
}

/// The newest use of each key that is listed; nothing if the workspace cannot be listed.
async fn last_uses(context: &Context, workspace: &WorkspaceName, wanted: &[LookedAt]) -> Vec<LastUse> {
    let now = context.now();
    let Ok(workspace_client) = context.workspace_client(workspace) else { return Vec::new() };
    let asked = || wanted.iter().filter_map(|it| Some((it, it.key.as_ref()?)));
    if asked().next().is_none() {
        return Vec::new();
    }
    let Ok(inventory) = workspace_client.inventory(now).await else { return Vec::new() };
    let keys: Vec<Key> = asked().filter_map(|(_, id)| inventory.key(id)).cloned().collect();
    let (named, unnamed) = keys.split_at(keys.len().min(1));
    let readings = match &workspace_client.usage {
        Some(usage) => usage.usage(named, unnamed, since(wanted, now)).await,
        None => Vec::new(),
    };
    let at = context.now();
    let before = |key: &Key| wanted.iter().find(|it| it.key.as_ref() == Some(&key.id))?.before.as_ref();
    keys.iter().map(|key| LastUse::learn(before(key), key, &readings, at)).collect()
}

/// From when on to ask: since the last question, and a while before it, because evidence is late.
fn since(wanted: &[LookedAt], now: Timestamp) -> Timestamp {
    let first = earlier(now, PAST);
    let asked = wanted.iter().filter(|it| it.key.is_some()).map(|it| match &it.before {
        Some(before) if Some(&before.key) == it.key.as_ref() => earlier(before.asked_at, LATE),
        Some(_) | None => first,
    });
    asked.min().unwrap_or(first).clamp(first, earlier(now, LATE))
}

/// What can be read; a store that does not answer is asked another time.
async fn read(context: &Context, destinations: Vec<Destination>) -> Vec<(Destination, bool)> {
    let mut read = Vec::new();
    for destination in destinations {
        let Ok(store) = context.store(&destination.store) else { continue };
        let Ok(version) = store.read(&destination, VersionRef::Current).await else { continue };
        read.push((destination, StoredVersion::served(version.as_ref()).fingerprint.is_none()));
    }
    read
}

impl Reconciler {
    /// Puts on record what was seen, unless another key is on record by now.
    pub(super) async fn take_look(&mut self, look: Look) -> Result<(), ReconcileError> {
        let Some(policy) = self.policy() else { return Ok(()) };
        if !self.record.is_unrotated(policy) {
            return Ok(());
        }
        let mut next = self.record.clone();
        let key = next.current.as_ref().map(|current| &current.key);
        let Look { last_use, read } = look;
        let is_news = |seen: &LastUse| {
            let known = self.record.last_use.as_ref();
            Some(&seen.key) == key && known.is_none_or(|known| seen.is_news_after(known))
        };
        if let Some(last_use) = last_use.filter(is_news) {
            next.last_use = Some(last_use);
        }
        next.empty_destinations.retain(|it| policy.destinations.contains(it));
        for (destination, is_empty) in read {
            next.empty_destinations.retain(|known| *known != destination);
            if is_empty {
                next.empty_destinations.push(destination);
            }
        }
        next.empty_destinations.sort();
        if next != self.record {
            self.save(next).await?;
        }
        Ok(())
    }
}
