//! Inspection of one credential: records what a listing shows, takes leak reports, and accepts out-of-band changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::failure::{Failure, Kind};
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::ids::KeyId;
use crate::domain::inspection::{self, InspectionInput};
use crate::domain::key::Inventory;
use crate::domain::plan::Destination;
use crate::domain::policy::Mode;
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::domain::secret::Fingerprint;
use crate::engine::commit::ReconcileError;
use crate::engine::reconciler::Reconciler;
use crate::ports::secret_store::{StoredVersion, VersionRef};

/// A listing showed something new about a credential. The reconciler lists again, because the listing may be older than
/// what it knows.
#[derive(Debug, Clone)]
pub(super) struct InspectionHint {
    pub(super) at: Timestamp,
    /// Keys of its service account that no rotation and no credential explains, if they were searched for.
    pub(super) strangers: Option<Vec<KeyId>>,
    /// Whether its destinations are to be read too.
    pub(super) destinations: bool,
}

impl Reconciler {
    /// Lists again and saves what has changed. A workspace that does not answer is inspected another time.
    pub(super) async fn inspect(&mut self, hint: &InspectionHint) -> Result<(), ReconcileError> {
        let Ok(inventory) = self.listing().await else { return Ok(()) };
        let places = if hint.destinations { self.served().await } else { None };
        let listed = |ids: &Vec<KeyId>| -> Vec<KeyId> {
            ids.iter().filter(|id| inventory.key(id).is_some()).cloned().collect()
        };
        let strangers = hint.strangers.as_ref().map(listed);
        let seen = InspectionInput {
            inventory: &inventory,
            at: hint.at,
            settle: self.context.timing.settle,
            strangers: strangers.as_deref(),
            places: places.as_deref(),
        };
        let next = inspection::inspect(&self.record, self.work.rotation(), self.policy(), &seen);
        self.save_findings(next).await
    }

    /// Stops a rotation whose new key somebody else took out of service. What cannot be read now is looked at with the
    /// next inspection.
    pub(super) async fn inspect_in_service(&mut self) -> Result<(), ReconcileError> {
        let Some(mut effects) = self.effects() else { return Ok(()) };
        let Ok(new_key) = effects.new_key() else { return Ok(()) };
        match new_key.disturbed().await {
            Ok(Some(event)) => {
                let entry = new_key.entry(event)?;
                self.commit(entry).await
            }
            Ok(None) => Ok(()),
            Err(failure) => {
                if self.is_news("published", failure.kind.label()) {
                    tracing::warn!(credential = %self.record.credential, %failure, "what the rotation published could not be looked at");
                }
                Ok(())
            }
        }
    }

    async fn save_findings(&mut self, next: Record) -> Result<(), ReconcileError> {
        if next == self.record {
            return Ok(());
        }
        let credential = &self.record.credential;
        let is_new = |it: &&Finding| !self.record.findings.iter().any(|known| known.is_same(it));
        for finding in next.findings.iter().filter(is_new) {
            tracing::warn!(%credential, kind = finding.kind.label(), detail = %finding.detail, "found");
        }
        let is_gone = |it: &&Finding| !next.findings.iter().any(|known| known.is_same(it));
        for finding in self.record.findings.iter().filter(is_gone) {
            tracing::info!(%credential, kind = finding.kind.label(), "no longer found");
        }
        let _shown = self.shared.unsaved_findings.show(credential, &next.findings);
        self.save(next).await
    }

    async fn listing(&self) -> Result<Arc<Inventory>, Failure> {
        let of_rotation = self.work.rotation().map(|rotation| &rotation.plan.workspace);
        let workspace = of_rotation.or_else(|| self.policy().map(|credential| &credential.workspace));
        let unknown = || Failure::rejected(Kind::Invalid, "the credential is not in the policy any more");
        self.context.workspace_client(workspace.ok_or_else(unknown)?)?.inventory(self.context.now()).await
    }

    /// What each published destination serves; `None` if one cannot be read now.
    async fn served(&self) -> Option<Vec<(Destination, Option<Fingerprint>)>> {
        let mut served = Vec::new();
        for known in self.record.published.iter().filter(|it| !self.record.has_left(&it.destination)) {
            let store = self.context.store(&known.destination.store).ok()?;
            let version = store.read(&known.destination, VersionRef::Current).await.ok()?;
            served.push((known.destination.clone(), StoredVersion::served(version.as_ref()).fingerprint));
        }
        Some(served)
    }

    /// Records a report that the value with this fingerprint has leaked. Repeatable.
    pub(super) async fn report_leak(
        &mut self,
        print: &Fingerprint,
        by: &str,
    ) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        let current = self.record.current.as_ref().filter(|it| it.fingerprint.as_ref() == Some(print));
        let new = self.work.rotation().and_then(Rotation::successor).filter(|it| it.fingerprint == *print);
        let Some(key) = current.map(|it| &it.key).or_else(|| new.map(|it| &it.key)).cloned() else {
            return Ok(Err(format!("`{name}` has no key with the fingerprint {print} any more")));
        };
        if self.record.leak_of(&key).is_none() {
            let detail = format!("the key `{key}` was reported as leaked by {by}");
            let since = self.context.now();
            let finding = Finding { kind: FindingKind::ReportedLeaked, key: Some(key), detail, since };
            let mut next = self.record.clone();
            next.findings.insert(0, finding);
            self.save_findings(next).await?;
        }
        if self.policy().is_some_and(|credential| credential.mode == Mode::Observe) {
            return Ok(Ok(format!(
                "the leak of {print} is recorded; `{name}` is only observed: `rekeyd rotate {name} --emergency` replaces its key"
            )));
        }
        if self.policy().is_none() && self.work.is_idle() {
            return Ok(Ok(format!(
                "the leak of {print} is recorded, and nothing else is done: `{name}` is no longer in the policy; disable its key in the dashboard now, or put `{name}` back and reload: then it is replaced at once"
            )));
        }
        if let Some(hold) = self.minting_hold(true) {
            return Ok(Ok(format!(
                "the leak of {print} is recorded; the key is replaced when `{}` lifts this: {hold}",
                hold.way_out()
            )));
        }
        Ok(Ok(format!("the leak of {print} is answered: see `rekeyd history {name}`")))
    }

    /// Accepts the key's current permissions, and the sharing groups and the other keys of its account.
    pub(super) async fn accept(&mut self) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        if let Some(rotation) = self.work.rotation() {
            return Ok(Err(format!(
                "a rotation of `{name}` is under way, in phase `{}`: accept when it is over",
                rotation.phase.name().label()
            )));
        }
        let Some(current) = self.record.current.clone() else {
            return Ok(Err(format!("`{name}` has no key yet: there is nothing to accept")));
        };
        let inventory = match self.listing().await {
            Ok(inventory) => inventory,
            Err(failure) => return Ok(Err(format!("the workspace could not be listed: {failure}"))),
        };
        let Some(key) = inventory.key(&current.key) else {
            return Ok(Err(format!(
                "the key `{}` of `{name}` is gone: `rotate --emergency` replaces it",
                current.key
            )));
        };
        let account = inventory.account(&key.account);
        let others: BTreeSet<KeyId> = account
            .into_iter()
            .flat_map(|account| &account.keys)
            .filter(|other| other.id != key.id && other.nonce().is_none())
            .map(|other| other.id.clone())
            .collect();
        let count = others.len();
        let mut next = Record { accepted: others, ..self.record.clone() };
        if let Some(current) = &mut next.current {
            current.attributes = Some(key.attributes.clone());
        }
        let groups = account.and_then(|account| account.groups.clone());
        next.sharing_groups = groups.or(next.sharing_groups);
        let acceptable =
            [FindingKind::PermissionsChanged, FindingKind::SharingGroupsChanged, FindingKind::ForeignKeys];
        next.findings.retain(|it| !acceptable.contains(&it.kind));
        let groups = next.sharing_groups.as_ref();
        let groups = groups
            .map_or_else(String::new, |groups| format!("; the sharing groups of its account are: {groups}"));
        let rest: Vec<String> = next
            .findings
            .iter()
            .map(|it| format!("{} cannot be accepted: {}", it.kind.label(), it.detail))
            .collect();
        self.save_findings(next).await?;
        let accepted = format!(
            "what the key `{}` of `{name}` may do now is what it should, and {count} other keys of its account are accepted{groups}",
            current.key
        );
        Ok(Ok([vec![accepted], rest].concat().join("; ")))
    }
}
