//! How the workspace behaves as long as nothing is faulty: its API version, limits and lags, and where the provider is
//! known to answer in more than one way, which one.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::sandbox::analytics::rules::AnalyticsRules;
use crate::sandbox::api_version::ApiVersion;

/// Every field has a default, so that a rehearsal names only what it is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    pub api_version: ApiVersion,
    pub errors: ErrorStyle,
    /// What a wrong key gets: 401 as documented, or 400 as seen.
    pub wrong_key_status: u16,
    /// How a listing shows a key that was made with `"all"`.
    pub all_is_listed: AllIsListed,
    pub keys_per_account: Option<usize>,
    pub accounts_max: usize,
    /// Keys without an expiry are refused.
    pub never_expiring_forbidden: bool,
    /// Concurrency limits may be set, and third-party disabling is off where a key does not say.
    pub enterprise: bool,
    /// The provider refuses private and loopback addresses in `allowed_ips`; a rehearsal on one machine needs them.
    pub private_addresses_allowed: bool,
    /// How long a new key is refused.
    pub activation_lag: SignedDuration,
    /// How old what a listing shows is.
    pub listing_lag: SignedDuration,
    /// How long a disabled or deleted key goes on working.
    pub revocation_lag: SignedDuration,
    /// How late use shows in the analytics.
    pub usage_lag: SignedDuration,
    /// A caller without `workspace_analytics_full_read` sees only its own use.
    pub usage_is_narrowed: bool,
    pub analytics: AnalyticsRules,
    /// How far the `Date` header is ahead.
    pub date_skew: SignedDuration,
}

/// The body of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorStyle {
    Current,
    Legacy,
}

/// How a listing shows unrestricted permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllIsListed {
    Null,
    /// As the full list of the API version in which the key is listed.
    Expanded,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            api_version: ApiVersion::November2026,
            errors: ErrorStyle::Current,
            wrong_key_status: 401,
            all_is_listed: AllIsListed::Null,
            keys_per_account: None,
            accounts_max: 20,
            never_expiring_forbidden: false,
            enterprise: true,
            private_addresses_allowed: false,
            activation_lag: SignedDuration::ZERO,
            listing_lag: SignedDuration::ZERO,
            revocation_lag: SignedDuration::ZERO,
            usage_lag: SignedDuration::ZERO,
            usage_is_narrowed: false,
            analytics: AnalyticsRules::default(),
            date_skew: SignedDuration::ZERO,
        }
    }
}
