//! Looking after workspaces as a whole: what their shared_inventory show of keys that nobody answers for, and of keys that are
//! not as they should be. What a listing shows is a hint: whoever acts on it looks again.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::finding::FindingKind;
use crate::domain::ids::{CredentialName, KeyId, WorkspaceName};
use crate::domain::inspection::{self, InspectionInput};
use crate::domain::plan::Destination;
use crate::domain::secret::Fingerprint;
use crate::engine::context::Context;
use crate::engine::controller::{Controller, Finished, Slot};
use crate::engine::emergency::{self, EmergencyPermit};
use crate::engine::inspect::InspectionHint;
use crate::engine::sweep::{self, Swept};
use crate::ports::secret_store::{StoredVersion, VersionRef};

/// What the destinations of one credential serve.
pub(super) struct Served {
    credential: CredentialName,
    places: Vec<(Destination, Option<Fingerprint>)>,
}

impl Controller {
    /// Searches for orphans, reads destinations, and inspects.
    pub(super) fn sweep(&mut self) {
        self.list(true);
        for workspace in self.context.workspaces.keys() {
            let wanted: Vec<(CredentialName, Vec<Destination>)> = self
                .slots
                .iter()
                .filter(|(name, slot)| slot.rotation.is_none() && self.works_in(name, slot, workspace))
                .map(|(name, slot)| {
                    let places = slot.record.published.iter().map(|known| known.destination.clone());
                    (name.clone(), places.collect())
                })
                .collect();
            let context = Arc::clone(&self.context);
            self.tasks.spawn(async move { Finished::Read(read(context, wanted).await) });
        }
    }

    /// Looks through a listing of every workspace.
    pub(super) fn inspect(&mut self) {
        self.list(false);
    }

    fn list(&mut self, orphans: bool) {
        for (name, workspace_client) in &self.context.workspaces {
            let (name, context, workspace_client) =
                (name.clone(), Arc::clone(&self.context), Arc::clone(workspace_client));
            self.tasks.spawn(async move {
                let looked = sweep::look(context, workspace_client).await;
                Finished::Listed { workspace: name, looked, orphans }
            });
        }
    }

    fn works_in(&self, name: &CredentialName, slot: &Slot, workspace: &WorkspaceName) -> bool {
        self.workspace_of(name, slot).is_some_and(|(place, _)| place == *workspace)
    }

    /// What a listing shows, credential by credential; those with something new are visited.
    pub(super) fn judge_listing(&mut self, workspace: &WorkspaceName, swept: &Swept) {
        let now = self.context.now();
        let ours: BTreeSet<&KeyId> = swept.ours.iter().map(|(key, _)| &key.id).collect();
        let known: BTreeSet<KeyId> = self.slots.values().flat_map(keys_of).collect();
        let is_strange = |id: &KeyId| !known.contains(id) && !ours.contains(id);
        let mut hints = Vec::new();
        let mut foreign = BTreeSet::new();
        for (name, slot) in &self.slots {
            if slot.damaged.is_some() || !self.works_in(name, slot, workspace) {
                continue;
            }
            let account = slot.record.account.as_ref().and_then(|id| swept.inventory.account(id));
            let keys = || account.into_iter().flat_map(|account| &account.keys);
            let strangers: Vec<KeyId> =
                keys().map(|key| &key.id).filter(|id| is_strange(id)).cloned().collect();
            foreign.extend(strangers.iter().cloned());
            let seen = InspectionInput {
                inventory: &swept.inventory,
                at: now,
                settle: self.context.timing.settle,
                strangers: Some(&strangers),
                places: None,
            };
            // A visitor under way may know of a key that we do not know of yet.
            let away = slot.visit.is_some();
            let doubtful = away && keys().any(|key| !key.enabled || key.disable_reason.is_some());
            if doubtful || self.shows_something_new(slot, &seen) {
                hints.push((
                    name.clone(),
                    InspectionHint { at: now, strangers: Some(strangers), places: false },
                ));
            }
        }
        swept.workspace_client.found_foreign_keys(foreign.len());
        for (name, hint) in hints {
            self.give(&name, hint);
        }
    }

    fn shows_something_new(&self, slot: &Slot, seen: &InspectionInput<'_>) -> bool {
        let policy = self.context.credential(&slot.record.credential);
        inspection::inspect(&slot.record, slot.rotation.as_deref(), policy, seen) != slot.record
    }

    /// A destination that serves something else than what was published, or does so again.
    pub(super) fn judge_places(&mut self, read: Vec<Served>) {
        let at = self.context.now();
        for Served { credential, places } in read {
            let Some(slot) = self.slots.get(&credential).filter(|slot| slot.rotation.is_none()) else {
                continue;
            };
            let ours = slot.record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
            let changed = ours.is_some() && places.iter().any(|(_, served)| served.as_ref() != ours);
            let told = slot.record.findings.iter().any(|it| it.kind == FindingKind::DestinationChanged);
            if changed || told {
                self.give(&credential, InspectionHint { at, strangers: None, places: true });
            }
        }
    }

    fn give(&mut self, name: &CredentialName, hint: InspectionHint) {
        if let Some(slot) = self.slots.get_mut(name) {
            let before = slot.hint.take();
            let places = hint.places || before.as_ref().is_some_and(|before| before.places);
            let strangers = hint.strangers.or_else(|| before.and_then(|before| before.strangers));
            slot.hint = Some(InspectionHint { at: hint.at, strangers, places });
        }
        self.look_at(name);
    }

    /// Counts the emergencies under way before a visitor is sent who may begin one.
    pub(super) fn permit(&self, slot: &Slot) -> EmergencyPermit {
        if !emergency::wants_permit(&self.context, &slot.record, slot.rotation.as_deref()) {
            return EmergencyPermit::NotCounted;
        }
        let under_way = self.slots.values().filter(|slot| slot.is_in_an_emergency()).count();
        if under_way < self.context.policy.emergencies_at_once {
            EmergencyPermit::Given
        } else {
            EmergencyPermit::CommandError
        }
    }

    /// There is room for another emergency: those that were held are looked at.
    pub(super) fn wake_held(&mut self) {
        let now: Timestamp = self.context.now();
        for (name, slot) in &self.slots {
            if slot.record.is_held() && slot.visit.is_none() && slot.damaged.is_none() {
                self.work_queue.set(name, Some(now));
            }
        }
    }

    /// A key is an orphan if its credential is at rest and neither is it any credential's key, nor does a rotation
    /// under way answer for it. Credentials that are being visited are left for the next sweep.
    pub(super) fn judge_orphans(&mut self, swept: Swept) {
        let Swept { workspace_client, ours, .. } = swept;
        let mut orphans = Vec::new();
        let current: BTreeSet<&KeyId> =
            self.slots.values().filter_map(|slot| Some(&slot.record.current.as_ref()?.key)).collect();
        for (key, owner) in &ours {
            let Some(slot) = self.slots.get(owner) else { continue };
            let known =
                slot.rotation.is_none() && slot.visit.is_none() && !slot.reread && slot.damaged.is_none();
            if known && !current.contains(&key.id) {
                orphans.push((key.clone(), owner.clone()));
            }
        }
        if !orphans.is_empty() {
            let context = Arc::clone(&self.context);
            self.tasks.spawn(async move {
                Finished::OrphansDeleted(sweep::delete(context, workspace_client, orphans).await)
            });
        }
    }
}

impl Slot {
    /// Whether it counts against the emergencies that may be under way.
    pub(super) fn is_in_an_emergency(&self) -> bool {
        self.cleared || self.rotation.as_ref().is_some_and(|rotation| rotation.plan.emergency)
    }

    /// Whether nothing may be waited for, not even for the workspace's other rotations.
    pub(super) fn is_urgent(&self) -> bool {
        self.is_in_an_emergency()
            || self.record.emergency.is_some()
            || self.record.findings.iter().any(|it| it.kind.is_leak())
    }
}

fn keys_of(slot: &Slot) -> impl Iterator<Item = KeyId> {
    let rotation = slot.rotation.as_ref();
    let old = rotation.and_then(|rotation| rotation.plan.old.clone());
    let new = rotation.and_then(|rotation| rotation.successor()).map(|successor| successor.key.clone());
    let current = slot.record.current.as_ref().map(|current| current.key.clone());
    [old, new, current].into_iter().flatten()
}

async fn read(context: Arc<Context>, wanted: Vec<(CredentialName, Vec<Destination>)>) -> Vec<Served> {
    let mut all = Vec::new();
    for (credential, destinations) in wanted {
        let mut places = Vec::new();
        for destination in destinations {
            let Ok(store) = context.store(&destination.store) else { continue };
            // What cannot be read is no finding: a rotation would say so.
            let Ok(held) = store.read(&destination, VersionRef::Current).await else { continue };
            places.push((destination, StoredVersion::served(held.as_ref()).fingerprint));
        }
        all.push(Served { credential, places });
    }
    all
}
