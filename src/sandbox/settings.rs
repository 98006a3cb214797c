//! The settings of a key: what a caller may request, and how a PATCH changes them.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::Value;

use crate::domain::key::{Limits, network};

pub(super) const CHARACTER_LIMIT: &str = "character_limit";
pub(super) const ALLOWED_IPS: &str = "allowed_ips";
pub(super) const THIRD_PARTY_DISABLING: &str = "third_party_disable_allowed";
pub(super) const EXPIRY: &str = "expires_at_unix";
/// Limits that only Enterprise workspaces may set.
const ENTERPRISE: [&str; 3] =
    ["tts_concurrency_limit", "dubbing_concurrency_limit", "music_concurrency_limit"];

/// What a key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    All,
    Only(Vec<String>),
}

impl Granted {
    #[must_use]
    pub fn allows(&self, permission: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| name == permission),
        }
    }
}

/// Everything of a key that can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub name: String,
    pub permissions: Granted,
    /// By the names of the API.
    pub limits: Limits,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    pub disabled: bool,
    pub disable_reason: Option<String>,
}

impl Settings {
    /// A key that says only what every key must say.
    #[must_use]
    pub fn new(name: impl Into<String>, permissions: Granted) -> Self {
        Self {
            name: name.into(),
            permissions,
            limits: Limits::default(),
            expires_at: None,
            disabled: false,
            disable_reason: None,
        }
    }

    /// The first limit that only Enterprise workspaces may set.
    #[must_use]
    pub fn enterprise_field(&self) -> Option<&'static str> {
        ENTERPRISE.into_iter().find(|field| self.limits.get(field).is_some())
    }

    /// Where the key may be used from; `None` is everywhere.
    #[must_use]
    pub fn networks(&self) -> Option<Vec<IpNet>> {
        let entries = self.limits.get(ALLOWED_IPS)?.as_array()?;
        Some(entries.iter().filter_map(|entry| network(entry.as_str()?)).collect())
    }

    #[must_use]
    pub fn character_limit(&self) -> Option<i64> {
        self.limits.get(CHARACTER_LIMIT)?.as_i64()
    }
}

/// A PATCH. What it does not name stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    pub enabled: Option<bool>,
    pub name: Option<String>,
    pub permissions: Option<Granted>,
    /// Limits and the expiry, by the names of the API; `None` clears one.
    pub fields: BTreeMap<&'static str, Option<Value>>,
}

impl KeyChange {
    /// Enabling forgets why the key was disabled.
    pub fn apply(self, settings: &mut Settings) {
        settings.disabled = self.enabled.map_or(settings.disabled, |enabled| !enabled);
        settings.disable_reason.take_if(|_| !settings.disabled);
        settings.name = self.name.unwrap_or_else(|| std::mem::take(&mut settings.name));
        if let Some(permissions) = self.permissions {
            settings.permissions = permissions;
        }
        for (field, value) in self.fields {
            if field == EXPIRY {
                settings.expires_at = value.and_then(|value| value.as_i64());
            } else {
                settings.limits.set(field, value);
            }
        }
    }
}
