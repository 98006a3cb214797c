//! Lists service accounts and keys. Lenient where the provider may add or leave out, and closed where a guess could
//! hide a key: a listing that may be incomplete, or that contradicts itself, is no listing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::classify::Meaning;
use crate::adapters::elevenlabs::headers::provider_time;
use crate::adapters::elevenlabs::routes::is_one_segment;
use crate::adapters::elevenlabs::transport::{Accepted, Call, Mutability, Reply};
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::domain::ids::{KeyId, ServiceAccountId};
use crate::domain::key::{
    Account, DisableReason, Inventory, Key, KeyAttributes, Limits, Permissions, canonical_networks,
};
use crate::domain::sanitize::is_unseen;
use crate::domain::secret::SecretValue;
use crate::domain::sharing::SharingGroups;

/// Some ten thousand keys.
const LISTING_BYTES_MAX: usize = 8 * 1024 * 1024;
const REASON_CHARACTERS_MAX: usize = 64;

impl ElevenLabs {
    pub(super) async fn list_workspace(&self) -> Result<Inventory, Failure> {
        let attempt = "listing the workspace's service accounts".to_owned();
        let call = Call::new(attempt, Mutability::ReadOnly, Method::GET, self.routes.service_accounts());
        let (listed, clock_skew_seconds) = self.fetch::<Workspace>(&call).await?;
        let accounts = listed.into_accounts().map_err(|why| self.transport.senseless(&call, &why))?;
        Ok(Inventory { accounts, clock_skew_seconds })
    }

    pub(super) async fn list_account(&self, account: &ServiceAccountId) -> Result<Vec<Key>, Failure> {
        let attempt = format!("listing the keys of service account `{account}`");
        let call = Call::new(attempt, Mutability::ReadOnly, Method::GET, self.routes.keys(account.as_str()));
        let (listed, _) = self.fetch::<Keys>(&call).await?;
        listed.into_keys(account).map_err(|why| self.transport.senseless(&call, &why))
    }

    /// Lists with another key than the admin key in use, to see whether it could be the admin key.
    pub(super) async fn prove_admin_key(&self, value: &SecretValue) -> Result<(), Failure> {
        let print = value.fingerprint();
        let attempt =
            format!("listing the workspace with the key of fingerprint {print}, which is to administer it");
        let call = Call {
            key: Some(value),
            fresh: true,
            ..Call::new(attempt, Mutability::ReadOnly, Method::GET, self.routes.service_accounts())
        };
        match self.transport.send(&call).await? {
            Reply::Accepted(accepted) => {
                let (listed, _) = self.understand::<Workspace>(&call, accepted).await?;
                listed.into_accounts().map_err(|why| self.transport.senseless(&call, &why))?;
                Ok(())
            }
            Reply::Refused(refusal) => {
                let meaning = refusal.meaning();
                let (kind, explanation) = if meaning == Meaning::MissingPermission {
                    (Kind::Forbidden, "the key may not administer the workspace")
                } else {
                    meaning.of_a_new_key()
                };
                Err(self.transport.refused_as(&call, &refusal, Certainty::Rejected, kind, explanation))
            }
        }
    }

    pub(super) async fn fetch<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
    ) -> Result<(T, Option<i64>), Failure> {
        let accepted = self.transport.ask(call).await?;
        self.understand(call, accepted).await
    }

    async fn understand<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        mut accepted: Accepted<'_>,
    ) -> Result<(T, Option<i64>), Failure> {
        let skew = clock_skew(&accepted);
        let mut body = Vec::new();
        let whole = accepted.read(LISTING_BYTES_MAX, &mut body).await;
        let with_id = |failure| Failure { request_id: accepted.request_id.clone(), ..failure };
        whole.map_err(|shortfall| with_id(self.transport.cut_short(call, &shortfall)))?;
        let listed = serde_json::from_slice(&body).map_err(|error| {
            let why = format!("the listing cannot be understood: {}", complaint(&error));
            with_id(self.transport.failure(call, Certainty::Rejected, Kind::Garbled, &why))
        })?;
        Ok((listed, skew))
    }
}

/// What the parser dislikes, without quoting the answer: only the names of our own fields.
fn complaint(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let ours = ["missing field", "duplicate field"].iter().any(|safe| text.starts_with(safe));
    if ours { text } else { format!("line {}, column {}", error.line(), error.column()) }
}

/// How far the provider's clock is ahead of ours. `Date` is cut to the second, so it is half a second late on
/// average; ours is read before and after the answer.
fn clock_skew(accepted: &Accepted<'_>) -> Option<i64> {
    let provider = provider_time(accepted.headers())?.as_millisecond() + 500;
    let ours = i64::midpoint(accepted.asked_at.as_millisecond(), accepted.answered_at.as_millisecond());
    Some((provider - ours + 500).div_euclid(1000))
}

#[derive(Deserialize)]
struct Workspace {
    #[serde(rename = "service-accounts", alias = "service_accounts")]
    accounts: Vec<ListedAccount>,
    #[serde(default, alias = "has-more")]
    has_more: Value,
    #[serde(default, alias = "next-cursor")]
    next_cursor: Value,
}

#[derive(Deserialize)]
struct ListedAccount {
    #[serde(alias = "service-account-user-id")]
    service_account_user_id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "api-keys", alias = "api_keys")]
    keys: Vec<ListedKey>,
    /// Of any type: groups that make no sense must not cost the listing.
    #[serde(default, alias = "default-sharing-groups")]
    default_sharing_groups: Value,
    #[serde(default, alias = "has-more")]
    has_more: Value,
    #[serde(default, alias = "next-cursor")]
    next_cursor: Value,
}

#[derive(Deserialize)]
struct Keys {
    #[serde(rename = "api-keys", alias = "api_keys")]
    keys: Vec<ListedKey>,
    #[serde(default, alias = "has-more")]
    has_more: Value,
    #[serde(default, alias = "next-cursor")]
    next_cursor: Value,
}

/// A key's name and id are required: without the one a lost key is not found, without the other nothing is.
#[derive(Deserialize)]
struct ListedKey {
    #[serde(alias = "key-id")]
    key_id: String,
    name: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default, alias = "service-account-user-id")]
    service_account_user_id: Option<String>,
    #[serde(default)]
    created_at_unix: Option<Number>,
    #[serde(default)]
    is_disabled: Option<bool>,
    #[serde(default)]
    disable_reason: Option<String>,
    #[serde(default)]
    permissions: Option<ListedPermissions>,
    #[serde(default)]
    character_limit: Option<Number>,
    #[serde(default)]
    character_count: Option<Number>,
    #[serde(default)]
    hashed_xi_api_key: Option<String>,
    #[serde(default)]
    allowed_ips: Option<Vec<String>>,
    #[serde(default)]
    third_party_disable_allowed: Option<bool>,
    #[serde(default)]
    platform_limits: Option<PlatformLimits>,
    #[serde(default)]
    expires_at_unix: Option<Number>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ListedPermissions {
    Names(BTreeSet<String>),
    Word(String),
}

#[derive(Deserialize, Default)]
struct PlatformLimits {
    #[serde(default)]
    concurrency: Option<Limit>,
    #[serde(default)]
    dubbing_concurrency: Option<Limit>,
    #[serde(default)]
    music_concurrency: Option<Limit>,
}

#[derive(Deserialize)]
struct Limit {
    #[serde(default)]
    limit: Option<Number>,
}

impl Workspace {
    fn into_accounts(self) -> Result<Vec<Account>, String> {
        check_complete(&self.has_more, &self.next_cursor)?;
        let (mut accounts_seen, mut keys_seen) = (BTreeSet::new(), BTreeSet::new());
        let mut accounts = Vec::with_capacity(self.accounts.len());
        for listed in self.accounts {
            let ListedAccount {
                service_account_user_id,
                name,
                keys,
                default_sharing_groups,
                has_more,
                next_cursor,
            } = listed;
            let id = account_id(service_account_user_id)?;
            let keys = Keys { keys, has_more, next_cursor }.into_keys(&id)?;
            if !accounts_seen.insert(id.clone()) {
                return Err(format!("the listing shows service account `{id}` twice"));
            }
            if let Some(key) = keys.iter().find(|key| !keys_seen.insert(key.id.clone())) {
                return Err(format!("the listing shows key `{}` twice", key.id));
            }
            let groups = groups(&default_sharing_groups);
            accounts.push(Account { id, name: name.unwrap_or_default(), groups, keys });
        }
        Ok(accounts)
    }
}

impl Keys {
    fn into_keys(self, account: &ServiceAccountId) -> Result<Vec<Key>, String> {
        check_complete(&self.has_more, &self.next_cursor)?;
        self.keys.into_iter().map(|listed| listed.into_key(account)).collect()
    }
}

impl ListedKey {
    fn into_key(self, account: &ServiceAccountId) -> Result<Key, String> {
        let id = KeyId::new(self.key_id)
            .ok()
            .filter(|id| is_one_segment(id.as_str()))
            .ok_or("a key's id in the listing is not well formed")?;
        if self.service_account_user_id.is_some_and(|owner| owner != account.as_str()) {
            return Err(format!("the listing shows key `{id}` under another service account than its own"));
        }
        let number = |field: &str, number: Option<Number>| {
            number
                .map(|number| {
                    whole(&number).ok_or_else(|| format!("`{field}` of key `{id}` is not a whole number"))
                })
                .transpose()
        };
        let limit = |field: &str, limit: Option<Limit>| number(field, limit.and_then(|limit| limit.limit));
        let permissions = match self.permissions {
            None => Permissions::Unlisted,
            Some(ListedPermissions::Names(names)) => Permissions::Only(names),
            Some(ListedPermissions::Word(word)) if word == "all" => Permissions::All,
            Some(ListedPermissions::Word(_)) => {
                return Err(format!("the permissions of key `{id}` are neither a list nor `all`"));
            }
        };
        let limits = self.platform_limits.unwrap_or_default();
        let networks =
            self.allowed_ips.as_ref().map(|list| canonical_networks(list.iter().map(String::as_str)));
        let limits = Limits::default()
            .with("character_limit", number("character_limit", self.character_limit)?)
            .with("allowed_ips", networks)
            .with("third_party_disable_allowed", self.third_party_disable_allowed)
            .with("tts_concurrency_limit", limit("platform_limits.concurrency", limits.concurrency)?)
            .with(
                "dubbing_concurrency_limit",
                limit("platform_limits.dubbing_concurrency", limits.dubbing_concurrency)?,
            )
            .with(
                "music_concurrency_limit",
                limit("platform_limits.music_concurrency", limits.music_concurrency)?,
            );
        Ok(Key {
            account: account.clone(),
            name: self.name,
            hint: self.hint.unwrap_or_default(),
            created_at: number("created_at_unix", self.created_at_unix)?
                .and_then(|at| Timestamp::from_second(at).ok()),
            enabled: !self.is_disabled.unwrap_or(false),
            disable_reason: self.disable_reason.map(|reason| disable_reason(&reason)),
            attributes: KeyAttributes { permissions, limits },
            expires_at: number("expires_at_unix", self.expires_at_unix)?.map(instant),
            usage_hash: self.hashed_xi_api_key,
            character_count: number("character_count", self.character_count)?,
            id,
        })
    }
}

/// `None` if they are not listed, or not all of them can be read: half of them would look like a change.
fn groups(listed: &Value) -> Option<SharingGroups> {
    fn text(value: Option<&Value>) -> Option<&str> {
        value.and_then(Value::as_str).filter(|text| !text.is_empty())
    }
    listed.as_array()?.iter().try_fold(SharingGroups::default(), |groups, entry| {
        let id = text(entry.pointer("/group/id")).or_else(|| text(entry.get("group_id")))?;
        Some(groups.with(id, text(entry.get("permission_level"))?))
    })
}

fn account_id(text: String) -> Result<ServiceAccountId, String> {
    ServiceAccountId::new(text)
        .ok()
        .filter(|id| is_one_segment(id.as_str()))
        .ok_or_else(|| "a service account's id in the listing is not well formed".to_owned())
}

/// No version of these listings has pages. One that says that there is more must not pass for the whole.
fn check_complete(has_more: &Value, next_cursor: &Value) -> Result<(), String> {
    let says_yes = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(list) => !list.is_empty(),
        Value::Object(_) | Value::Bool(true) => true,
    };
    if says_yes(has_more) || says_yes(next_cursor) {
        return Err("the listing is one page of several, which this version cannot follow".to_owned());
    }
    Ok(())
}

/// A number that may be written as `3` or `3.0`; one beyond all counting is the greatest there is.
fn whole(number: &Number) -> Option<i64> {
    let fraction =
        || number.as_f64().filter(|f| f.fract() == 0.0).and_then(|f| format!("{f:.0}").parse().ok());
    number.as_i64().or_else(|| number.as_u64().map(|_| i64::MAX)).or_else(fraction)
}

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second > 0 { Timestamp::MAX } else { Timestamp::MIN })
}

fn disable_reason(text: &str) -> DisableReason {
    match text {
        "trial_ended" => DisableReason::TrialEnded,
        "subscription_downgrade" => DisableReason::SubscriptionDowngrade,
        "exposed_publicly" => DisableReason::ExposedPublicly,
        "self_disabled" => DisableReason::SelfDisabled,
        other => DisableReason::Other(
            other.chars().filter(|c| !is_unseen(*c)).take(REASON_CHARACTERS_MAX).collect(),
        ),
    }
}
