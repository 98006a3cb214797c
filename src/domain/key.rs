//! A key as the provider lists it, its permissions and limits, and how those of two keys are compared (I3).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::ids::{KeyId, Nonce, ServiceAccountId};
use crate::domain::sharing::SharingGroups;

/// One ElevenLabs API key, as a listing shows it. Its value is never part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub id: KeyId,
    pub account: ServiceAccountId,
    pub name: String,
    /// For people only; nothing is ever matched on it.
    pub hint: String,
    pub created_at: Option<Timestamp>,
    pub enabled: bool,
    pub disable_reason: Option<DisableReason>,
    pub attributes: KeyAttributes,
    pub expires_at: Option<Timestamp>,
    /// `hashed_xi_api_key`: the provider's own hash, by which its usage analytics name a key.
    pub usage_hash: Option<String>,
    /// Credits used in the current billing period.
    pub character_count: Option<i64>,
}

impl Key {
    #[must_use]
    pub fn nonce(&self) -> Option<Nonce> {
        Nonce::find_in(&self.name)
    }

    /// Whether the provider accepts the key, as far as a listing can tell.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.enabled && self.expires_at.is_none_or(|expiry| expiry > now)
    }
}

/// Why the provider says that a key is disabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisableReason {
    TrialEnded,
    SubscriptionDowngrade,
    ExposedPublicly,
    SelfDisabled,
    /// A reason that this version does not know.
    Other(String),
}

/// What a key may do. Names are the provider's and opaque: it adds some every few months.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// A listing that shows none: most likely unrestricted.
    Unlisted,
    /// A listing, or a policy, that says `"all"`.
    All,
    Only(BTreeSet<String>),
}

impl Permissions {
    #[must_use]
    pub fn is_unrestricted(&self) -> bool {
        match self {
            Self::Unlisted | Self::All => true,
            Self::Only(_) => false,
        }
    }

    /// What these allow and `ceiling` does not, for a person; `None` if that is nothing.
    #[must_use]
    pub fn beyond(&self, ceiling: &Self) -> Option<String> {
        match (self, ceiling) {
            (_, Self::Unlisted | Self::All) => None,
            (Self::Unlisted | Self::All, Self::Only(_)) => Some("everything".to_owned()),
            (Self::Only(own), Self::Only(most)) => {
                let beyond: Vec<&str> = own.difference(most).map(String::as_str).collect();
                (!beyond.is_empty()).then(|| beyond.join(", "))
            }
        }
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted => f.write_str("unlisted (unrestricted)"),
            Self::All => f.write_str("all"),
            Self::Only(names) => {
                f.write_str(&names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Everything of a key that its successor must have too (I3): its permissions, and its limits, which only the
/// provider's adapter understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAttributes {
    pub permissions: Permissions,
    #[serde(flatten)]
    pub limits: Limits,
}

impl KeyAttributes {
    /// With these permissions and no limit.
    #[must_use]
    pub fn of(permissions: Permissions) -> Self {
        Self { permissions, limits: Limits::default() }
    }

    /// Names what differs between these attributes and `other`'s; empty if they are the same. Permissions compare as
    /// sets; `all`, unlisted and an explicit list are three different things.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let permissions = (self.permissions != other.permissions).then(|| "permissions".to_owned());
        let (own, others) = (&self.limits.0, &other.limits.0);
        let names: BTreeSet<&String> = own.keys().chain(others.keys()).collect();
        let limits = names.into_iter().filter(|name| own.get(*name) != others.get(*name)).cloned();
        permissions.into_iter().chain(limits).collect()
    }
}

/// A key's limits by the provider's names for them, each in the one form that the adapter gives it: equal limits have
/// equal values. A limit that is not set is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Value>")]
pub struct Limits(BTreeMap<String, Value>);

impl Limits {
    /// Adds a limit, if it is set.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        let value = value.map_or(Value::Null, Into::into);
        if !value.is_null() {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// Sets a limit, or, with `None`, lifts it.
    pub fn set(&mut self, name: &str, value: Option<Value>) {
        self.0.remove(name);
        *self = std::mem::take(self).with(name, value);
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }
}

/// Reads what journals hold: before 0.1.0 a limit that is not set was `null`, and three limits lay in `concurrency`.
impl From<BTreeMap<String, Value>> for Limits {
    fn from(written: BTreeMap<String, Value>) -> Self {
        let mut limits = Self::default();
        for (name, value) in written {
            if let ("concurrency", Value::Object(calls)) = (name.as_str(), &value) {
                let old = [
                    ("text_to_speech", "tts_concurrency_limit"),
                    ("dubbing", "dubbing_concurrency_limit"),
                    ("music", "music_concurrency_limit"),
                ];
                for (old, name) in old {
                    limits = limits.with(name, calls.get(old).cloned());
                }
            } else {
                limits = limits.with(&name, Some(value));
            }
        }
        limits
    }
}

/// Networks in their shortest form, sorted, so that `10.0.0.1` and `10.0.0.1/32` are one. A text that is no network is
/// kept as it is.
#[must_use]
pub fn canonical_networks<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let canonical = |text: &str| match network(text) {
        Some(network) if network.prefix_len() == network.max_prefix_len() => network.addr().to_string(),
        Some(network) => network.trunc().to_string(),
        None => text.to_owned(),
    };
    let networks: BTreeSet<String> = texts.into_iter().map(canonical).collect();
    networks.into_iter().collect()
}

/// An address, or a network with its prefix length.
#[must_use]
pub fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// What a new key is created with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRequest {
    #[serde(alias = "grants")]
    pub attributes: KeyAttributes,
    /// Computed afresh from policy, never copied from the old key.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Every key of a workspace at one moment, and what the provider's clock said then.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    pub accounts: Vec<Account>,
    /// How far the provider's `Date` is ahead of our clock, in seconds; `None` if it sent none.
    pub clock_skew_seconds: Option<i64>,
}

/// A service account and its keys.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: ServiceAccountId,
    pub name: String,
    /// `None`: this version of the API does not list them.
    pub groups: Option<SharingGroups>,
    pub keys: Vec<Key>,
}

impl Inventory {
    /// What each account is called.
    #[must_use]
    pub fn names(&self) -> BTreeMap<ServiceAccountId, String> {
        self.accounts.iter().map(|account| (account.id.clone(), account.name.clone())).collect()
    }

    #[must_use]
    pub fn account(&self, id: &ServiceAccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == *id)
    }

    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<&Key> {
        self.keys().find(|key| key.id == *id)
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.accounts.iter().flat_map(|account| &account.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_compare_as_networks() {
        for (written, meant) in [
            ("203.0.113.7/32", "203.0.113.7"),
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::0:1/128", "2001:db8::1"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("::/0", "::/0"),
            ("office", "office"),
            ("10.0.0.1/x", "10.0.0.1/x"),
        ] {
            assert_eq!(canonical_networks([written]), [meant], "{written}");
        }
    }

    #[test]
    fn each_difference_is_named_and_representations_of_all_are_not_mixed_up() {
        let only = |names: &[&str]| Permissions::Only(names.iter().map(|&name| name.to_owned()).collect());
        let base = KeyAttributes::of(only(&["text_to_speech", "a_permission_of_2031"]));
        assert!(base.differences(&base.clone()).is_empty());
        let limits =
            Limits::default().with("character_limit", Some(0)).with("music_concurrency_limit", Some(1));
        let other = KeyAttributes { permissions: only(&["text_to_speech"]), limits };
        assert_eq!(base.differences(&other), ["permissions", "character_limit", "music_concurrency_limit"]);
        assert_eq!(other.differences(&base), ["permissions", "character_limit", "music_concurrency_limit"]);
        let (null, all) = (KeyAttributes::of(Permissions::Unlisted), KeyAttributes::of(Permissions::All));
        assert_eq!(null.differences(&all), ["permissions"]);
    }

    #[test]
    fn what_journals_held_before_is_read_as_the_same_attributes() {
        let old = r#"{"permissions":{"only":["text_to_speech"]},"character_limit":1000,"allowed_ips":["203.0.113.7"],"third_party_disable_allowed":null,"concurrency":{"text_to_speech":3,"dubbing":null,"music":1}}"#;
        let limits = Limits::default()
            .with("character_limit", Some(1000))
            .with("allowed_ips", Some(canonical_networks(["203.0.113.7/32"])))
            .with("tts_concurrency_limit", Some(3))
            .with("music_concurrency_limit", Some(1));
        let permissions = Permissions::Only(["text_to_speech".to_owned()].into());
        let meant = KeyAttributes { permissions, limits };
        let read: KeyAttributes = serde_json::from_str(old).unwrap();
        assert_eq!(read, meant);
        let written = serde_json::to_string(&meant).unwrap();
        assert_eq!(serde_json::from_str::<KeyAttributes>(&written).unwrap(), meant, "{written}");
        let bare: KeyAttributes = serde_json::from_str(r#"{"permissions":"unlisted"}"#).unwrap();
        assert_eq!(bare, KeyAttributes::of(Permissions::Unlisted));
        let request: KeyRequest = serde_json::from_str(&format!(r#"{{"grants":{old}}}"#)).unwrap();
        assert_eq!(request, KeyRequest { attributes: meant, expires_at: None });
    }
}
