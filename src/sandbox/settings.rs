//! The settings of a key: what a caller may request, and how a PATCH changes them.

use crate::sandbox::api_version::ApiVersion;

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
    pub character_limit: Option<i64>,
    /// Normalised: every entry has a prefix length.
    pub allowed_ips: Option<Vec<String>>,
    pub third_party_disable_allowed: Option<bool>,
    pub tts_concurrency_limit: Option<i64>,
    pub dubbing_concurrency_limit: Option<i64>,
    pub music_concurrency_limit: Option<i64>,
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
            character_limit: None,
            allowed_ips: None,
            third_party_disable_allowed: None,
            tts_concurrency_limit: None,
            dubbing_concurrency_limit: None,
            music_concurrency_limit: None,
            expires_at: None,
            disabled: false,
            disable_reason: None,
        }
    }

    /// The first limit that only Enterprise workspaces may set.
    #[must_use]
    pub fn enterprise_field(&self) -> Option<&'static str> {
        [
            (self.tts_concurrency_limit, "tts_concurrency_limit"),
            (self.dubbing_concurrency_limit, "dubbing_concurrency_limit"),
            (self.music_concurrency_limit, "music_concurrency_limit"),
        ]
        .into_iter()
        .find_map(|(limit, field)| limit.map(|_| field))
    }

    /// The permissions as a list.
    #[must_use]
    pub fn expanded_permissions(&self, api_version: ApiVersion) -> Vec<String> {
        match &self.permissions {
            Granted::All => api_version.permissions().map(str::to_owned).collect(),
            Granted::Only(names) => names.clone(),
        }
    }
}

/// What a PATCH wants of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<T> {
    Keep,
    Clear,
    Set(T),
}

impl<T: Clone> Change<T> {
    /// The field after the change, from what it was.
    #[must_use]
    pub fn applied_to(&self, old: Option<T>) -> Option<T> {
        match self {
            Self::Keep => old,
            Self::Clear => None,
            Self::Set(new) => Some(new.clone()),
        }
    }
}

/// A PATCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    pub enabled: Option<bool>,
    pub name: Option<String>,
    pub permissions: Option<Granted>,
    pub character_limit: Change<i64>,
    pub allowed_ips: Change<Vec<String>>,
    pub third_party_disable_allowed: Change<bool>,
    pub tts_concurrency_limit: Change<i64>,
    pub dubbing_concurrency_limit: Change<i64>,
    pub music_concurrency_limit: Change<i64>,
    pub expires_at: Change<i64>,
}

impl KeyChange {
    /// The settings after the change. Enabling forgets why the key was disabled.
    #[must_use]
    pub fn applied_to(&self, old: &Settings) -> Settings {
        let disabled = self.enabled.map_or(old.disabled, |enabled| !enabled);
        Settings {
            name: self.name.clone().unwrap_or_else(|| old.name.clone()),
            permissions: self.permissions.clone().unwrap_or_else(|| old.permissions.clone()),
            character_limit: self.character_limit.applied_to(old.character_limit),
            allowed_ips: self.allowed_ips.applied_to(old.allowed_ips.clone()),
            third_party_disable_allowed: self
                .third_party_disable_allowed
                .applied_to(old.third_party_disable_allowed),
            tts_concurrency_limit: self.tts_concurrency_limit.applied_to(old.tts_concurrency_limit),
            dubbing_concurrency_limit: self
                .dubbing_concurrency_limit
                .applied_to(old.dubbing_concurrency_limit),
            music_concurrency_limit: self.music_concurrency_limit.applied_to(old.music_concurrency_limit),
            expires_at: self.expires_at.applied_to(old.expires_at),
            disabled,
            disable_reason: old.disable_reason.clone().filter(|_| disabled),
        }
    }
}
