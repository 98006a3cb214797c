//! The routes of the API that the sandbox has, each with the API version in which it appeared.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sandbox::api_version::ApiVersion;
use crate::sandbox::refusal::Refusal;

/// One operation of the API, as faults and counters name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    ListAccounts,
    CreateAccount,
    ListKeys,
    CreateKey,
    UpdateKey,
    DeleteKey,
    DisableKey,
    DisableSelf,
    ThirdPartyDisabling,
    User,
    Subscription,
    Models,
    TextToSpeech,
    Usage,
    Charges,
    RequestLog,
    CharacterStats,
    AuditLog,
}

impl Route {
    /// Whether the call administrates the workspace, so that it needs the right to manage service accounts.
    #[must_use]
    pub fn is_administration(self) -> bool {
        let version = ApiVersion::November2026;
        self.permission(version) == Some(version.management_permission())
    }

    /// What a key needs for the call, beside what its answer depends on.
    #[must_use]
    pub fn permission(self, api_version: ApiVersion) -> Option<&'static str> {
        match self {
            Self::ListAccounts
            | Self::CreateAccount
            | Self::ListKeys
            | Self::CreateKey
            | Self::UpdateKey
            | Self::DeleteKey
            | Self::DisableKey
            | Self::ThirdPartyDisabling => Some(api_version.management_permission()),
            Self::User | Self::Subscription => Some("user_read"),
            Self::TextToSpeech => Some("text_to_speech"),
            Self::AuditLog => Some("audit_log_read"),
            Self::DisableSelf
            | Self::Models
            | Self::Usage
            | Self::Charges
            | Self::RequestLog
            | Self::CharacterStats => None,
        }
    }
}

/// Prints as JSON names it, without quotes.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A route with what its path holds, in the path's order: account and key, or a voice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub route: Route,
    pub account: String,
    pub key: String,
}

const ACCOUNTS: &str = "/v1/service-accounts";
const KEYS: &str = "/v1/service-accounts/{}/api-keys";
const KEY: &str = "/v1/service-accounts/{}/api-keys/{}";
const DISABLE: &str = "/v1/service-accounts/{}/api-keys/{}/disable";
const USAGE: &str = "/v1/workspace/analytics/query/usage-by-product-over-time";

/// Method, path, route, and since when it is there.
const ROUTES: [(&str, &str, Route, ApiVersion); 18] = [
    ("GET", ACCOUNTS, Route::ListAccounts, ApiVersion::August2025),
    ("POST", ACCOUNTS, Route::CreateAccount, ApiVersion::September2026),
    ("GET", KEYS, Route::ListKeys, ApiVersion::August2025),
    ("POST", KEYS, Route::CreateKey, ApiVersion::August2025),
    ("PATCH", KEY, Route::UpdateKey, ApiVersion::August2025),
    ("DELETE", KEY, Route::DeleteKey, ApiVersion::August2025),
    ("POST", DISABLE, Route::DisableKey, ApiVersion::November2026),
    ("POST", "/v1/workspaces/api-keys/disable", Route::DisableSelf, ApiVersion::September2026),
    (
        "POST",
        "/v1/workspaces/api-keys/third-party-disabling",
        Route::ThirdPartyDisabling,
        ApiVersion::September2026,
    ),
    ("GET", "/v1/user", Route::User, ApiVersion::August2025),
    ("GET", "/v1/user/subscription", Route::Subscription, ApiVersion::August2025),
    ("GET", "/v1/models", Route::Models, ApiVersion::August2025),
    ("POST", "/v1/text-to-speech/{}", Route::TextToSpeech, ApiVersion::August2025),
    ("POST", USAGE, Route::Usage, ApiVersion::September2026),
    ("POST", "/v1/workspace/analytics/usage", Route::Charges, ApiVersion::November2026),
    ("POST", "/v1/workspace/analytics/requests", Route::RequestLog, ApiVersion::September2026),
    ("GET", "/v1/usage/character-stats", Route::CharacterStats, ApiVersion::August2025),
    ("GET", "/v1/workspace/audit-logs", Route::AuditLog, ApiVersion::September2026),
];

impl Target {
    /// Finds the route, as the API version has it.
    ///
    /// # Errors
    /// `UnknownRoute`, or `WrongMethod` where only the path is right.
    pub fn find(api_version: ApiVersion, method: &str, path: &str) -> Result<Self, Refusal> {
        let mut path_is_known = false;
        for (known_method, pattern, route, since) in ROUTES {
            let Some(holes) = fill(pattern, path).filter(|_| since <= api_version) else {
                continue;
            };
            path_is_known = true;
            if known_method == method {
                let mut holes = holes.into_iter();
                let mut next = || holes.next().unwrap_or_default();
                return Ok(Self { route, account: next(), key: next() });
            }
        }
        Err(if path_is_known { Refusal::WrongMethod } else { Refusal::UnknownRoute })
    }
}

/// What stands in the pattern's holes, if the path has the pattern.
fn fill(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut holes = Vec::new();
    let mut parts = path.split('/');
    for wanted in pattern.split('/') {
        match (wanted, parts.next()?) {
            ("{}", "") => return None,
            ("{}", part) => holes.push(part.to_owned()),
            (wanted, part) if wanted == part => {}
            (_, _) => return None,
        }
    }
    parts.next().is_none().then_some(holes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_from_its_api_version_on() {
        let path = "/v1/service-accounts/a/api-keys/k/disable";
        let found = Target::find(ApiVersion::November2026, "POST", path).unwrap();
        assert_eq!(found, Target { route: Route::DisableKey, account: "a".into(), key: "k".into() });
        assert_eq!(Target::find(ApiVersion::September2026, "POST", path), Err(Refusal::UnknownRoute));
        assert_eq!(Target::find(ApiVersion::November2026, "GET", path), Err(Refusal::WrongMethod));
        assert_eq!(Target::find(ApiVersion::August2025, "POST", ACCOUNTS), Err(Refusal::WrongMethod));
        for unknown in ["/", "", "/v1/users", "/v1/user/", "/v1/service-accounts//api-keys"] {
            assert_eq!(
                Target::find(ApiVersion::November2026, "GET", unknown),
                Err(Refusal::UnknownRoute),
                "{unknown}"
            );
        }
    }

    #[test]
    fn a_route_prints_as_json_names_it() {
        assert_eq!(Route::TextToSpeech.to_string(), "text_to_speech");
    }
}
