//! A key as the provider lists it, what it grants, and how two keys' grants are compared (I3).

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{KeyId, Nonce, ServiceAccountId};

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
    pub grants: Grants,
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

/// Everything of a key that its successor must have too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    pub permissions: Permissions,
    /// Credits per billing period; `None` is unlimited.
    #[serde(default)]
    pub character_limit: Option<i64>,
    /// `None` is any address.
    #[serde(default)]
    pub allowed_ips: Option<BTreeSet<Network>>,
    /// `None` is the workspace's or plan's default.
    #[serde(default)]
    pub third_party_disable_allowed: Option<bool>,
    #[serde(default)]
    pub concurrency: Concurrency,
}

impl Grants {
    #[must_use]
    pub fn of(permissions: Permissions) -> Self {
        Self {
            permissions,
            character_limit: None,
            allowed_ips: None,
            third_party_disable_allowed: None,
            concurrency: Concurrency::default(),
        }
    }

    /// Names what differs between these grants and `other`'s; empty if they are the same. Lists compare as sets,
    /// addresses as networks, and `all`, unlisted and an explicit list are three different things.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let Self { permissions, character_limit, allowed_ips, third_party_disable_allowed, concurrency } =
            self;
        [
            (*permissions == other.permissions, "permissions"),
            (*character_limit == other.character_limit, "character_limit"),
            (*allowed_ips == other.allowed_ips, "allowed_ips"),
            (
                *third_party_disable_allowed == other.third_party_disable_allowed,
                "third_party_disable_allowed",
            ),
            (concurrency.text_to_speech == other.concurrency.text_to_speech, "tts_concurrency_limit"),
            (concurrency.dubbing == other.concurrency.dubbing, "dubbing_concurrency_limit"),
            (concurrency.music == other.concurrency.music, "music_concurrency_limit"),
        ]
        .into_iter()
        .filter_map(|(same, name)| (!same).then_some(name))
        .collect()
    }
}

/// Calls at a time; `None` is the plan's own limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    #[serde(default)]
    pub text_to_speech: Option<i64>,
    #[serde(default)]
    pub dubbing: Option<i64>,
    #[serde(default)]
    pub music: Option<i64>,
}

/// An address or a network in its shortest form, so that `10.0.0.1` and `10.0.0.1/32` are one. A text that is
/// neither is kept as it is: the provider said it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Network(String);

impl Network {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Network {
    fn from(text: String) -> Self {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse(), prefix.parse::<u32>().ok()),
            None => (text.parse(), Some(u32::MAX)),
        };
        let (Ok(address), Some(prefix)) = (address, prefix) else {
            return Self(text);
        };
        Self(match address {
            IpAddr::V4(v4) if prefix >= 32 => v4.to_string(),
            IpAddr::V4(v4) => {
                let kept = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
                format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(v4.to_bits() & kept))
            }
            IpAddr::V6(v6) if prefix >= 128 => v6.to_string(),
            IpAddr::V6(v6) => {
                let kept = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                format!("{}/{prefix}", std::net::Ipv6Addr::from_bits(v6.to_bits() & kept))
            }
        })
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.0
    }
}

/// What a mint asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRequest {
    pub grants: Grants,
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
    pub keys: Vec<Key>,
}

impl Inventory {
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
        let short = |text: &str| String::from(Network::from(text.to_owned()));
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
            assert_eq!(short(written), meant, "{written}");
        }
    }

    #[test]
    fn each_difference_is_named_and_representations_of_all_are_not_mixed_up() {
        let only = |names: &[&str]| Permissions::Only(names.iter().map(|&name| name.to_owned()).collect());
        let base = Grants::of(only(&["text_to_speech", "a_permission_of_2031"]));
        let mut other = base.clone();
        assert!(base.differences(&other).is_empty());
        other.permissions = only(&["text_to_speech"]);
        other.character_limit = Some(0);
        other.concurrency.music = Some(1);
        assert_eq!(base.differences(&other), ["permissions", "character_limit", "music_concurrency_limit"]);
        let (null, all) = (Grants::of(Permissions::Unlisted), Grants::of(Permissions::All));
        assert_eq!(null.differences(&all), ["permissions"]);
    }
}
