//! What an inspection and its consequences mean for one credential: noted, answered, reported, accepted.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::failure::{Failure, Kind};
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::ids::KeyId;
use crate::domain::inspection::{self, InspectionInput};
use crate::domain::key::Inventory;
use crate::domain::plan::Destination;
use crate::domain::record::Record;
use crate::domain::secret::Fingerprint;
use crate::engine::commit::ReconcileError;
use crate::engine::reconciler::Reconciler;
use crate::ports::secret_store::{StoredVersion, VersionRef};

/// That a listing showed something new of a credential: it is looked at again, because the listing may be older than
/// what the visit knows.
#[derive(Debug, Clone)]
pub(super) struct InspectionHint {
    pub(super) at: Timestamp,
    /// Keys of its service account that nobody answers for, if they were looked for.
    pub(super) strangers: Option<Vec<KeyId>>,
    /// Whether its destinations are to be read too.
    pub(super) places: bool,
}

impl Reconciler {
    /// Looks again and saves what has changed. A workspace that does not answer is inspected another time.
    pub(super) async fn inspect(&mut self, hint: &InspectionHint) -> Result<(), ReconcileError> {
        let Ok(inventory) = self.listing().await else { return Ok(()) };
        let places = if hint.places { self.served_places().await } else { None };
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
        let next = inspection::inspect(&self.record, self.rotation.as_ref(), self.policy(), &seen);
        self.note(next).await
    }

    async fn note(&mut self, next: Record) -> Result<(), ReconcileError> {
        if next == self.record {
            return Ok(());
        }
        let credential = &self.record.credential;
        let is_new = |it: &&Finding| !self.record.findings.iter().any(|known| known.is_same(it));
        for found in next.findings.iter().filter(is_new) {
            tracing::warn!(%credential, kind = found.kind.label(), detail = %found.detail, "found");
        }
        let is_gone = |it: &&Finding| !next.findings.iter().any(|known| known.is_same(it));
        for gone in self.record.findings.iter().filter(is_gone) {
            tracing::info!(%credential, kind = gone.kind.label(), "no longer found");
        }
        self.save(next).await
    }

    async fn listing(&self) -> Result<Arc<Inventory>, Failure> {
        let of_rotation = self.rotation.as_ref().map(|rotation| &rotation.plan.workspace);
        let workspace = of_rotation.or_else(|| self.policy().map(|credential| &credential.workspace));
        let unknown = || Failure::rejected(Kind::Invalid, "the credential is not in the policy any more");
        self.context.workspace_client(workspace.ok_or_else(unknown)?)?.inventory(self.context.now()).await
    }

    /// What each published destination serves; `None` if one cannot be read now.
    async fn served_places(&self) -> Option<Vec<(Destination, Option<Fingerprint>)>> {
        let mut places = Vec::new();
        for known in &self.record.published {
            let store = self.context.store(&known.destination.store).ok()?;
            let held = store.read(&known.destination, VersionRef::Current).await.ok()?;
            places.push((known.destination.clone(), StoredVersion::served(held.as_ref()).fingerprint));
        }
        Some(places)
    }

    /// Somebody reports that the value with this fingerprint is in wrong hands. Repeatable.
    pub(super) async fn take_report(
        &mut self,
        print: &Fingerprint,
        by: &str,
    ) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        let current = self.record.current.as_ref().filter(|it| it.fingerprint.as_ref() == Some(print));
        let new = self.rotation.as_ref().and_then(|it| it.successor()).filter(|it| it.fingerprint == *print);
        let Some(key) = current.map(|it| &it.key).or_else(|| new.map(|it| &it.key)).cloned() else {
            return Ok(Err(format!("`{name}` has no key with the fingerprint {print} any more")));
        };
        if self.record.leak_of(&key).is_none() {
            let detail = format!("the key `{key}` was reported as leaked by {by}");
            let since = self.context.now();
            let found = Finding { kind: FindingKind::ReportedLeaked, key: Some(key), detail, since };
            let mut next = self.record.clone();
            next.findings.insert(0, found);
            self.note(next).await?;
        }
        Ok(Ok(format!("the leak of {print} is answered: see `rekeyd history {name}`")))
    }

    /// Takes what is there for what is wanted.
    pub(super) async fn accept(&mut self) -> Result<Result<String, String>, ReconcileError> {
        let name = self.record.credential.clone();
        if let Some(rotation) = &self.rotation {
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
        let taken = [FindingKind::PermissionsChanged, FindingKind::ForeignKeys];
        next.findings.retain(|it| !taken.contains(&it.kind));
        let rest: Vec<String> = next
            .findings
            .iter()
            .map(|it| format!("{} cannot be accepted: {}", it.kind.label(), it.detail))
            .collect();
        self.note(next).await?;
        let taken = format!(
            "what the key `{}` of `{name}` may do now is what it should, and {count} other keys of its account are accepted",
            current.key
        );
        Ok(Ok([vec![taken], rest].concat().join("; ")))
    }
}
