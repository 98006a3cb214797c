//! Where workspaces are known, or suspected, to differ in what their analytics show.

use serde::{Deserialize, Serialize};

/// Every field has a default, so that a rehearsal names only what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnalyticsRules {
    pub columns: Columns,
    /// Numbers and units as the documentation's examples have them: all as text, units empty or `"null"`.
    pub everything_is_text: bool,
    /// By which columns usage that is grouped by key names it.
    pub key_columns: KeyColumns,
    /// The analytics hash keys in another way than the listing.
    pub hashes_differ: bool,
    /// A filter is a 422.
    pub filters_are_refused: bool,
    /// All analytics need `workspace_analytics_full_read`, in place of showing callers without it their own use.
    pub full_read_is_required: bool,
    /// Usage by product is refused, and only charges by day are there.
    pub billed_by_money: bool,
    /// The column of the request log that names the key, if there is one.
    pub request_log_names: RequestLogNames,
    /// The deprecated statistic by key shows something; it was seen empty.
    pub statistics_by_key: bool,
}

/// What columns are called, and in which order they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Columns {
    /// `total_usage` and `total_cost`, as a live workspace was seen to answer.
    Live,
    /// `credits_used`, after the time, as in the documentation's example.
    Documented,
}

/// How usage by key names the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyColumns {
    HashAndName,
    Hash,
    Name,
    None,
}

/// How the request log names the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestLogNames {
    /// As the documentation's example: not at all.
    Nothing,
    /// `hashed_xi_api_key`.
    Hash,
    /// `api_key_id`.
    Id,
    /// `api_key_name`.
    Name,
}

impl Default for AnalyticsRules {
    fn default() -> Self {
        Self {
            columns: Columns::Live,
            everything_is_text: false,
            key_columns: KeyColumns::HashAndName,
            hashes_differ: false,
            filters_are_refused: false,
            full_read_is_required: false,
            billed_by_money: false,
            request_log_names: RequestLogNames::Nothing,
            statistics_by_key: false,
        }
    }
}
