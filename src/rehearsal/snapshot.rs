//! Puts a journal's credential into an imagined world: the same history, with imagined values.
//!
//! A value cannot be computed from its fingerprint, so each fingerprint is replaced by that of an imagined value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::adapters::memory::store::Stands;
use crate::adapters::secret_text;
use crate::domain::ids::{KeyId, ServiceAccountId, StoreName, VersionId, WorkspaceName};
use crate::domain::key::{KeyAttributes, Permissions};
use crate::domain::phase::OldKey;
use crate::domain::plan::Destination;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::domain::secret::{Fingerprint, SecretValue};
use crate::domain::successor::{Placement, PlacementState, Successor};
use crate::ports::issuer::AdminKey;
use crate::ports::journal::{CredentialState, Entry};
use crate::rehearsal::store::Store;
use crate::rehearsal::workspace::Workspace;
use crate::rehearsal::workspace::key::settings;
use crate::sandbox::settings::Settings;

/// Of an account that nobody has looked up yet.
const ACCOUNT: &str = "SERVICE_ACCOUNT_ID";
/// Of a key that nobody has looked up yet.
const OLD_KEY: &str = "OLD_KEY_ID";

fn value(print: &Fingerprint) -> String {
    format!("imagined-{print}")
}

/// The imagined fingerprint in the place of a real one.
pub(super) fn print(of: &Fingerprint) -> Fingerprint {
    Fingerprint::of(value(of).as_bytes())
}

/// The admin key of an imagined workspace: the imagined value of `of`, or one of its own.
pub(super) fn admin_key(of: Option<&Fingerprint>) -> Option<Arc<AdminKey>> {
    let value = of.map_or_else(|| "imagined-admin".to_owned(), value);
    SecretValue::new(value).ok().map(AdminKey::new)
}

/// With every fingerprint replaced; `None` if it does not read as what it was.
pub(super) fn imagined<T: Serialize + DeserializeOwned>(real: &T) -> Option<T> {
    let mut told = serde_json::to_value(real).ok()?;
    replace(&mut told);
    serde_json::from_value(told).ok()
}

pub(super) fn entry(real: &Entry) -> Option<Entry> {
    Some(Entry { event: imagined(&real.event)?, ..real.clone() })
}

fn replace(told: &mut Value) {
    match told {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == "fingerprint"
                    && let Some(real) =
                        field.as_str().and_then(|text| Fingerprint::try_from(text.to_owned()).ok())
                {
                    *field = Value::String(print(&real).to_string());
                } else {
                    replace(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(replace),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// One credential as the journal, with its real fingerprints, knows it.
pub(super) struct Snapshot<'a> {
    credential: &'a Credential,
    record: Cow<'a, Record>,
    rotation: Option<&'a Rotation>,
    now: Timestamp,
}

impl<'a> Snapshot<'a> {
    pub(super) fn new(
        credential: &'a Credential,
        known: Option<&'a CredentialState>,
        now: Timestamp,
    ) -> Self {
        let record = match known {
            Some(known) => Cow::Borrowed(&known.record),
            None => Cow::Owned(Record::new(credential.name.clone())),
        };
        Self { credential, record, rotation: known.and_then(|known| known.rotation.as_ref()), now }
    }

    /// Puts the credential's keys into its workspace, which is returned, and what is published into its stores.
    ///
    /// # Errors
    /// Why that cannot be imagined, for an operator.
    pub(super) fn furnish(
        &self,
        workspaces: &BTreeMap<WorkspaceName, Arc<Workspace>>,
        stores: &BTreeMap<StoreName, Arc<Store>>,
    ) -> Result<Arc<Workspace>, String> {
        let unfit = || format!("`{}` cannot be imagined as the journal has it", self.credential.name);
        let at = self.rotation.map_or(&self.credential.workspace, |rotation| &rotation.plan.workspace);
        let workspace = workspaces.get(at);
        let workspace =
            workspace.ok_or_else(|| format!("the workspace `{at}` is not in the policy any more"))?;
        self.furnish_workspace(workspace).ok_or_else(unfit)?;
        let destinations =
            self.rotation.map_or(&self.credential.destinations, |rotation| &rotation.plan.destinations);
        for (place, destination) in destinations.iter().enumerate() {
            let gone = || format!("the store `{}` is not in the policy any more", destination.store);
            let store = stores.get(&destination.store).ok_or_else(gone)?;
            self.furnish_store(place, destination, store).ok_or_else(unfit)?;
        }
        Ok(Arc::clone(workspace))
    }

    /// The service account with the keys that there should be, as far as that is known.
    fn furnish_workspace(&self, workspace: &Workspace) -> Option<()> {
        let Self { credential, record, rotation, now } = self;
        let account = self.account()?;
        let is_there = rotation.is_some() || record.account.is_some() || credential.create_account.is_none();
        if !is_there {
            return Some(());
        }
        workspace.add_account(&account, &credential.service_account);
        let old_is_disabled = rotation.is_some_and(|rotation| rotation.phase.old_key() == OldKey::Disabled);
        let id = match rotation {
            Some(rotation) => rotation.plan.old.clone(),
            None => match &record.current {
                Some(current) => Some(current.key.clone()),
                None if credential.adopt.is_some() => credential.adopt.clone(),
                None if credential.first.is_some() => None,
                None => Some(KeyId::new(format!("{OLD_KEY}_OF_{}", credential.name)).ok()?),
            },
        };
        if let Some(id) = id {
            let current = record.current.as_ref().filter(|current| current.key == id);
            let attributes = rotation.and_then(|rotation| rotation.attributes().cloned());
            let attributes = attributes.or_else(|| current.and_then(|current| current.attributes.clone()));
            let dead_man = rotation.and_then(|rotation| rotation.dead_man).filter(|it| it.is_in_force());
            let expires_at = current.and_then(|current| current.expires_at);
            let expires_at = dead_man.map_or(expires_at, |dead_man| Some(dead_man.at));
            let attributes = attributes.or_else(|| credential.first.clone()).unwrap_or_else(usual);
            let settings =
                Settings { disabled: old_is_disabled, ..settings("imagined", attributes, expires_at) };
            let of = current.and_then(|current| current.fingerprint.as_ref());
            let value = of.map_or_else(|| unknown(credential), value);
            let created = current.map_or(*now, |current| current.since);
            workspace.add_key(&id, &account, value, settings, created);
        }
        if let (Some(rotation), Some(successor)) = (rotation, rotation.and_then(Rotation::successor)) {
            let made = successor.facts.as_ref().and_then(|facts| facts.created_at).unwrap_or(rotation.since);
            let request = &successor.request;
            let name = rotation.nonce().key_name(&credential.name);
            let settings = settings(&name, request.attributes.clone(), request.expires_at);
            workspace.add_key(&successor.key, &account, value(&successor.fingerprint), settings, made);
        }
        Some(())
    }

    /// What a destination serves and keeps.
    fn furnish_store(&self, place: usize, destination: &Destination, store: &Store) -> Option<()> {
        let successor = self.rotation.and_then(Rotation::successor);
        if let Some((successor, placement)) =
            successor.and_then(|successor| Some((successor, successor.placements.get(place)?)))
        {
            return placed(destination, successor, placement, store);
        }
        let published = self.record.published.iter().find(|it| it.destination.is_same_place(destination));
        let current = self.record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
        match published {
            Some(published) => put(store, destination, &published.version, current, Stands::Current),
            // One that may be created is taken for one that is not there yet.
            None if destination.create => Some(()),
            None => put(store, destination, &VersionId::new("VERSION_ID").ok()?, None, Stands::Current),
        }
    }

    fn account(&self) -> Option<ServiceAccountId> {
        let known = self
            .rotation
            .map(|rotation| rotation.plan.account.clone())
            .or_else(|| self.record.account.clone());
        match known {
            Some(known) => Some(known),
            None => {
                ServiceAccountId::new(format!("{ACCOUNT}_OF_{}", plain(&self.credential.service_account)))
                    .ok()
            }
        }
    }
}

/// As it can stand in a path without being escaped.
fn plain(text: &str) -> String {
    text.chars().map(|it| if it.is_ascii_alphanumeric() || it == '-' { it } else { '_' }).collect()
}

/// The value of a key that an operator created.
fn unknown(credential: &Credential) -> String {
    format!("imagined-unknown-{}", credential.name)
}

/// Of a key that nobody has looked at yet.
fn usual() -> KeyAttributes {
    KeyAttributes::of(Permissions::Only(["text_to_speech".to_owned()].into()))
}

fn placed(
    destination: &Destination,
    successor: &Successor,
    placement: &Placement,
    store: &Store,
) -> Option<()> {
    let before = &placement.before;
    let new = Some(&successor.fingerprint);
    let put_before = |stands| match &before.version {
        Some(version) => put(store, destination, version, before.fingerprint.as_ref(), stands),
        None => Some(()),
    };
    match &placement.progress {
        PlacementState::Absent => put_before(Stands::Current),
        PlacementState::Staged { version, over } => {
            put_before(Stands::Current)?;
            put(store, destination, version, new, Stands::Pending { over: over.as_ref() })
        }
        PlacementState::Current { version, displaced } => {
            put_before(Stands::Before)?;
            // Staged anew over what somebody else had changed meanwhile, in another field.
            if let Some(displaced) = displaced.as_ref().filter(|it| Some(*it) != before.version.as_ref()) {
                put(store, destination, displaced, before.fingerprint.as_ref(), Stands::Before)?;
            }
            put(store, destination, version, new, Stands::Current)
        }
        PlacementState::Restored { version } => {
            put(store, destination, version, before.fingerprint.as_ref(), Stands::Current)
        }
    }
}

fn put(
    store: &Store,
    destination: &Destination,
    version: &VersionId,
    of: Option<&Fingerprint>,
    stands: Stands<'_>,
) -> Option<()> {
    // Several credentials may have their fields in one secret.
    let base = store.memory.text(&destination.secret);
    let base = base.as_ref().map(|base| base.as_str());
    let text = match (of, &destination.json_field) {
        (Some(of), _) => secret_text::compose(destination, base, &value(of)).ok()?.to_string(),
        (None, Some(_)) => base.unwrap_or("{}").to_owned(),
        (None, None) => String::new(),
    };
    store.memory.put(&destination.secret, version, &text, stands);
    Some(())
}
