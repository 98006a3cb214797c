//! A key of the workspace: its settings over time, and the calls made with it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::secret::Fingerprint;
use crate::domain::time::later;
use crate::sandbox::api_version::ApiVersion;
use crate::sandbox::route::Route;
use crate::sandbox::rules::{AllIsListed, Rules};
use crate::sandbox::settings::{Granted, Settings};

/// One key, for ever: a deleted key is kept, so that the truth can be told afterwards.
pub struct StoredKey {
    pub id: String,
    /// A person's key has no service account and is in no listing.
    pub account: Option<String>,
    pub value: String,
    pub print: Fingerprint,
    pub created: Timestamp,
    /// From when on it is accepted.
    active_from: Timestamp,
    /// Oldest first and never empty; `None` is deleted.
    versions: Vec<(Timestamp, Option<Settings>)>,
    /// A key that was disabled or deleted goes on working until then.
    lingers_until: Timestamp,
    pub character_count: i64,
    pub(super) calls: BTreeMap<Route, Calls>,
    /// Accepted calls by request source.
    pub(super) callers: BTreeMap<String, u64>,
}

/// What became of the calls of one route with one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    pub accepted: u64,
    /// By code.
    pub refused: BTreeMap<String, u64>,
    pub last_accepted_at: Option<Timestamp>,
    pub last_refused_at: Option<Timestamp>,
}

/// What a key is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Enabled,
    Disabled,
    Expired,
    Deleted,
}

impl StoredKey {
    #[must_use]
    pub fn new(
        id: String,
        account: Option<String>,
        value: String,
        settings: Settings,
        now: Timestamp,
        activation_lag: SignedDuration,
    ) -> Self {
        Self {
            id,
            account,
            print: Fingerprint::of(value.as_bytes()),
            value,
            created: now,
            active_from: later(now, activation_lag),
            versions: vec![(now, Some(settings))],
            lingers_until: now,
            character_count: 0,
            calls: BTreeMap::new(),
            callers: BTreeMap::new(),
        }
    }

    /// The settings now; `None` if the key is deleted.
    #[must_use]
    pub fn settings(&self) -> Option<&Settings> {
        self.versions.last().and_then(|(_, settings)| settings.as_ref())
    }

    /// The last settings that the key had.
    pub(super) fn last_settings(&self) -> Option<&Settings> {
        self.versions.iter().rev().find_map(|(_, settings)| settings.as_ref())
    }

    /// The settings as a listing shows them that is `lag` behind.
    pub(super) fn settings_seen(&self, now: Timestamp, lag: SignedDuration) -> Option<&Settings> {
        if lag.is_zero() {
            return self.settings();
        }
        let seen = self.versions.iter().rev().find(|(since, _)| later(*since, lag) <= now);
        seen.and_then(|(_, settings)| settings.as_ref())
    }

    pub(super) fn change(
        &mut self,
        settings: Option<Settings>,
        now: Timestamp,
        revocation_lag: SignedDuration,
    ) {
        let dies = self.settings().is_some_and(|old| !old.disabled)
            && settings.as_ref().is_none_or(|new| new.disabled);
        if dies {
            self.lingers_until = later(now, revocation_lag);
        }
        self.versions.push((now, settings));
    }

    pub(super) fn state(&self, now: Timestamp) -> State {
        match self.settings() {
            None => State::Deleted,
            Some(settings) if settings.disabled => State::Disabled,
            Some(settings) if is_expired(settings, now) => State::Expired,
            Some(_) => State::Enabled,
        }
    }

    /// The settings under which the provider accepts the key now, if it does.
    pub(super) fn accepted_under(&self, now: Timestamp) -> Option<&Settings> {
        if now < self.active_from {
            return None;
        }
        match self.state(now) {
            State::Enabled => self.settings(),
            State::Disabled | State::Deleted if now < self.lingers_until => self.last_settings(),
            State::Disabled | State::Deleted | State::Expired => None,
        }
    }

    /// When the key was last changed into what it is.
    pub(super) fn changed(&self) -> Timestamp {
        self.versions.last().map_or(self.created, |(since, _)| *since)
    }

    /// The key as the provider lists it with these settings.
    pub(super) fn listed(&self, settings: &Settings, rules: &Rules) -> Value {
        let permissions = match (&settings.permissions, rules.all_is_listed) {
            (Granted::All, AllIsListed::Null) => Value::Null,
            (Granted::All, AllIsListed::Expanded) => rules.api_version.permissions().collect(),
            (Granted::Only(names), _) => json!(names),
        };
        let mut fields = json!({
            "name": settings.name,
            "hint": hint(&self.value),
            "key_id": self.id,
            "service_account_user_id": self.account,
            "created_at_unix": self.created.as_second(),
            "is_disabled": settings.disabled,
            "permissions": permissions,
            "character_limit": settings.limits.get("character_limit"),
            "character_count": self.character_count,
        });
        if rules.api_version >= ApiVersion::September2026 {
            fields["disable_reason"] = json!(settings.disable_reason);
            fields["hashed_xi_api_key"] = json!(self.usage_hash());
            fields["allowed_ips"] = json!(settings.limits.get("allowed_ips"));
            fields["third_party_disable_allowed"] = json!(settings.limits.get("third_party_disable_allowed"));
            fields["platform_limits"] = platform_limits(settings, self.character_count);
        }
        if rules.api_version >= ApiVersion::November2026 {
            fields["expires_at_unix"] = json!(settings.expires_at);
        }
        fields
    }

    /// `hashed_xi_api_key`. Not a plain digest of the value: a client cannot compute it.
    pub(super) fn usage_hash(&self) -> String {
        let digest =
            Sha256::new().chain_update("the sandbox's own salt").chain_update(&self.value).finalize();
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

fn hint(value: &str) -> String {
    value.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect()
}

fn is_expired(settings: &Settings, now: Timestamp) -> bool {
    settings.expires_at.is_some_and(|expiry| expiry <= now.as_second())
}

/// Null, as it is for a key without a limit of its own.
fn platform_limits(settings: &Settings, credits_used: i64) -> Value {
    if settings.enterprise_field().is_none() {
        return Value::Null;
    }
    let limit = |name| json!({ "limit": settings.limits.get(name) });
    json!({
        "credits": {"limit": settings.character_limit(), "usage": credits_used},
        "pvc": {"limit": null},
        "concurrency": limit("tts_concurrency_limit"),
        "dubbing_concurrency": limit("dubbing_concurrency_limit"),
        "music_concurrency": limit("music_concurrency_limit"),
    })
}
