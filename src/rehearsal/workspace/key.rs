//! Between a key of the model and a key of the domain.

use jiff::Timestamp;
use serde_json::{Value, from_value};

use crate::domain::ids::{KeyId, ServiceAccountId};
use crate::domain::key::{DisableReason, Key, KeyAttributes, Permissions};
use crate::domain::secret::Fingerprint;
use crate::sandbox::key::StoredKey;
use crate::sandbox::settings::{Granted, Settings};

/// A key that exists, with its value.
#[derive(Clone)]
pub struct LiveKey {
    pub key: Key,
    pub value: String,
    pub print: Fingerprint,
}

pub(super) fn live(stored: &StoredKey) -> Option<LiveKey> {
    let key = key_of(stored, stored.settings()?)?;
    Some(LiveKey { key, value: stored.value.clone(), print: stored.print.clone() })
}

/// As a listing shows it with these settings; `None` for a person's key, which no listing shows.
pub(super) fn key_of(stored: &StoredKey, settings: &Settings) -> Option<Key> {
    let permissions = match &settings.permissions {
        Granted::All => Permissions::Unlisted,
        Granted::Only(names) => Permissions::Only(names.iter().cloned().collect()),
    };
    let reason = |reason: &String| {
        let known = from_value(Value::String(reason.clone()));
        known.unwrap_or_else(|_| DisableReason::Other(reason.clone()))
    };
    Some(Key {
        id: KeyId::new(&stored.id).ok()?,
        account: ServiceAccountId::new(stored.account.as_ref()?).ok()?,
        name: settings.name.clone(),
        hint: String::new(),
        created_at: Some(stored.created),
        enabled: !settings.disabled,
        disable_reason: settings.disable_reason.as_ref().map(reason),
        attributes: KeyAttributes { permissions, limits: settings.limits.clone() },
        expires_at: settings.expires_at.and_then(|at| Timestamp::from_second(at).ok()),
        usage_hash: Some(stored.id.clone()),
        character_count: Some(stored.character_count),
    })
}

/// What a key of these attributes is created with.
#[must_use]
pub fn settings(name: &str, attributes: KeyAttributes, expires_at: Option<Timestamp>) -> Settings {
    let permissions = match attributes.permissions {
        Permissions::Unlisted | Permissions::All => Granted::All,
        Permissions::Only(names) => Granted::Only(names.into_iter().collect()),
    };
    let expires_at = expires_at.map(Timestamp::as_second);
    Settings { limits: attributes.limits, expires_at, ..Settings::new(name, permissions) }
}
