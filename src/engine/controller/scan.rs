//! Scans whole workspaces: orphans, and keys or destinations that were changed out of band. A listing is only a hint:
//! the reconciler that acts on it lists again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::finding::FindingKind;
use crate::domain::ids::{CredentialName, KeyId, WorkspaceName};
use crate::domain::inspection::{self, InspectionInput};
use crate::domain::plan::Destination;
use crate::domain::policy::Mode;
use crate::domain::secret::Fingerprint;
use crate::engine::context::Context;
use crate::engine::controller::{Controller, CredentialEntry, TaskResult};
use crate::engine::emergency::{self, EmergencyPermit};
use crate::engine::inspect::InspectionHint;
use crate::engine::sweep::{self, WorkspaceListing};
use crate::ports::secret_store::{StoredVersion, VersionRef};

/// What the destinations of one credential serve.
pub(super) struct ServedValues {
    credential: CredentialName,
    destinations: Vec<(Destination, Option<Fingerprint>)>,
}

impl Controller {
    /// Searches for orphans, reads destinations, and inspects.
    pub(super) fn sweep(&mut self) {
        self.timer.looks.swept = self.context.uptime();
        self.list(true);
        self.look();
        for workspace in self.context.workspaces.keys() {
            let wanted: Vec<(CredentialName, Vec<Destination>)> = self
                .entries
                .iter()
                .filter(|(name, entry)| entry.rotation.is_none() && self.works_in(name, entry, workspace))
                .map(|(name, entry)| {
                    let published = entry.record.published.iter().map(|known| &known.destination);
                    let served = published.filter(|place| !entry.record.has_left(place)).cloned();
                    (name.clone(), served.collect())
                })
                .collect();
            let context = Arc::clone(&self.context);
            self.tasks.spawn(async move { TaskResult::DestinationsRead(read(context, wanted).await) });
        }
    }

    /// Lists every workspace, and has what rotations put into service looked at.
    pub(super) fn inspect(&mut self) {
        self.timer.looks.inspected = self.context.uptime();
        self.list(false);
        self.look();
        for entry in self.entries.values_mut() {
            // A running reconciler may have come further than the entry knows.
            let is_watched = entry.rotation.as_ref().is_some_and(|rotation| rotation.phase.is_watched());
            entry.inspects_in_service = is_watched || entry.running.is_some();
        }
        let watched =
            self.entries.iter().filter(|(_, entry)| entry.inspects_in_service).map(|(name, _)| name.clone());
        for name in watched.collect::<Vec<_>>() {
            self.requeue_now(&name);
        }
    }

    fn list(&mut self, orphans: bool) {
        for (name, workspace_client) in &self.context.workspaces {
            let (name, context, workspace_client) =
                (name.clone(), Arc::clone(&self.context), Arc::clone(workspace_client));
            self.tasks.spawn(async move {
                let listing = sweep::list(context, workspace_client).await;
                TaskResult::Listed { workspace: name, listing, orphans }
            });
        }
    }

    pub(super) fn works_in(
        &self,
        name: &CredentialName,
        entry: &CredentialEntry,
        workspace: &WorkspaceName,
    ) -> bool {
        self.workspace_of(name, entry).is_some_and(|(at, _)| at == *workspace)
    }

    /// Compares a listing with each credential, and requeues those that it shows something new about.
    pub(super) fn inspect_listing(&mut self, workspace: &WorkspaceName, listing: &WorkspaceListing) {
        let now = self.context.now();
        let ours: BTreeSet<&KeyId> = listing.ours.iter().map(|(key, _)| &key.id).collect();
        let known: BTreeSet<KeyId> = self.entries.values().flat_map(keys_of).collect();
        let is_strange = |id: &KeyId| !known.contains(id) && !ours.contains(id);
        let mut hints = Vec::new();
        let mut foreign = BTreeSet::new();
        for (name, entry) in &self.entries {
            if entry.damaged.is_some() || !self.works_in(name, entry, workspace) {
                continue;
            }
            let account = entry.record.account.as_ref().and_then(|id| listing.inventory.account(id));
            let keys = || account.into_iter().flat_map(|account| &account.keys);
            let strangers: Vec<KeyId> =
                keys().map(|key| &key.id).filter(|id| is_strange(id)).cloned().collect();
            foreign.extend(strangers.iter().cloned());
            let seen = InspectionInput {
                inventory: &listing.inventory,
                at: now,
                settle: self.context.timing.settle,
                strangers: Some(&strangers),
                places: None,
            };
            // A running reconciler may have created a key that the entry does not have yet.
            let doubtful =
                entry.running.is_some() && keys().any(|key| !key.enabled || key.disable_reason.is_some());
            if doubtful || self.shows_something_new(entry, &seen) {
                hints.push((
                    name.clone(),
                    InspectionHint { at: now, strangers: Some(strangers), destinations: false },
                ));
            }
        }
        listing.workspace_client.found_foreign_keys(foreign.len());
        for (name, hint) in hints {
            self.requeue_with(&name, hint);
        }
    }

    fn shows_something_new(&self, entry: &CredentialEntry, seen: &InspectionInput<'_>) -> bool {
        let policy = self.context.credential(&entry.record.credential);
        inspection::inspect(&entry.record, entry.rotation.as_deref(), policy, seen) != entry.record
    }

    /// A destination that serves something else than what was published, or does so again.
    pub(super) fn compare_served(&mut self, read: Vec<ServedValues>) {
        let at = self.context.now();
        for ServedValues { credential, destinations } in read {
            let Some(entry) = self.entries.get(&credential).filter(|entry| entry.rotation.is_none()) else {
                continue;
            };
            let ours = entry.record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
            let changed = ours.is_some() && destinations.iter().any(|(_, served)| served.as_ref() != ours);
            let reported = entry.record.findings.iter().any(|it| it.kind == FindingKind::DestinationChanged);
            if changed || reported {
                self.requeue_with(&credential, InspectionHint { at, strangers: None, destinations: true });
            }
        }
    }

    fn requeue_with(&mut self, name: &CredentialName, hint: InspectionHint) {
        if let Some(entry) = self.entries.get_mut(name) {
            let before = entry.hint.take();
            let destinations = hint.destinations || before.as_ref().is_some_and(|before| before.destinations);
            let strangers = hint.strangers.or_else(|| before.and_then(|before| before.strangers));
            entry.hint = Some(InspectionHint { at: hint.at, strangers, destinations });
        }
        self.requeue_now(name);
    }

    /// Counts the emergencies under way before a reconciler starts that may begin one.
    pub(super) fn permit(&self, entry: &CredentialEntry) -> EmergencyPermit {
        if !emergency::wants_permit(&self.context, &entry.record, entry.rotation.as_deref()) {
            return EmergencyPermit::NotCounted;
        }
        let under_way = self.entries.values().filter(|entry| entry.is_in_an_emergency()).count();
        if under_way < self.context.policy.emergencies_at_once {
            EmergencyPermit::Given
        } else {
            EmergencyPermit::Refused
        }
    }

    /// Another emergency may begin: requeues those that wait.
    pub(super) fn requeue_held_emergencies(&mut self) {
        let now = self.context.uptime();
        for (name, entry) in &self.entries {
            if entry.record.is_held() && entry.running.is_none() && entry.damaged.is_none() {
                self.work_queue.set(name, Some(now));
            }
        }
    }

    /// Deletes orphans: keys of idle credentials that are no credential's current key and belong to no rotation under way.
    /// Credentials that are being reconciled are left for the next sweep.
    pub(super) fn delete_orphans(&mut self, listing: WorkspaceListing) {
        let WorkspaceListing { workspace_client, ours, .. } = listing;
        let mut orphans = Vec::new();
        let current: BTreeSet<&KeyId> =
            self.entries.values().filter_map(|entry| Some(&entry.record.current.as_ref()?.key)).collect();
        for (key, owner) in &ours {
            let Some(entry) = self.entries.get(owner) else { continue };
            if self.context.credential(owner).is_some_and(|credential| credential.mode == Mode::Observe) {
                continue;
            }
            let known = entry.rotation.is_none()
                && entry.running.is_none()
                && !entry.reread
                && entry.damaged.is_none();
            if known && !current.contains(&key.id) {
                orphans.push((key.clone(), owner.clone()));
            }
        }
        if !orphans.is_empty() {
            let context = Arc::clone(&self.context);
            self.tasks.spawn(async move {
                TaskResult::OrphansDeleted(sweep::delete(context, workspace_client, orphans).await)
            });
        }
    }
}

impl CredentialEntry {
    /// Whether it counts against the emergencies that may be under way.
    pub(super) fn is_in_an_emergency(&self) -> bool {
        self.may_begin_emergency || self.rotation.as_ref().is_some_and(|rotation| rotation.plan.emergency)
    }

    /// Whether nothing may be waited for, not even for the workspace's other rotations.
    pub(super) fn is_urgent(&self) -> bool {
        self.is_in_an_emergency()
            || self.record.emergency.is_some()
            || self.record.findings.iter().any(|it| it.kind.is_leak())
            || self.rotation.as_ref().is_some_and(|rotation| rotation.phase.may_need_the_old_key_at_once())
    }
}

fn keys_of(entry: &CredentialEntry) -> impl Iterator<Item = KeyId> {
    let rotation = entry.rotation.as_ref();
    let old = rotation.and_then(|rotation| rotation.plan.old.clone());
    let new = rotation.and_then(|rotation| rotation.successor()).map(|successor| successor.key.clone());
    let current = entry.record.current.as_ref().map(|current| current.key.clone());
    [old, new, current].into_iter().flatten()
}

async fn read(context: Arc<Context>, wanted: Vec<(CredentialName, Vec<Destination>)>) -> Vec<ServedValues> {
    let mut all = Vec::new();
    for (credential, destinations) in wanted {
        let mut served = Vec::new();
        for destination in destinations {
            let Ok(store) = context.store(&destination.store) else { continue };
            // A store that cannot be read is no finding: a rotation reports it.
            let Ok(version) = store.read(&destination, VersionRef::Current).await else { continue };
            served.push((destination, StoredVersion::served(version.as_ref()).fingerprint));
        }
        all.push(ServedValues { credential, destinations: served });
    }
    all
}
