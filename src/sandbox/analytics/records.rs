//! The calls that the workspace remembers, and which of them a caller may see.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::time::earlier;
use crate::sandbox::key::StoredKey;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::route::Route;
use crate::sandbox::workspace::Workspace;

pub(super) const HASH_COLUMN: &str = "hashed_xi_api_key";
pub(super) const NAME_COLUMN: &str = "api_key_name";
pub(super) const FULL_READ: &str = "workspace_analytics_full_read";
pub(in crate::sandbox) const REGION: &str = "sandbox";
const CALLS_MAX: usize = 20_000;

/// Who made a call and what for: what use is grouped by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sandbox) struct Call {
    /// The key's position among the keys.
    pub(in crate::sandbox) key: usize,
    pub(in crate::sandbox) route: Route,
    pub(in crate::sandbox) source: String,
    pub(in crate::sandbox) model: Option<String>,
}

/// Credits by second and by call.
#[derive(Default)]
pub(in crate::sandbox) struct UsageLog(pub(super) BTreeMap<(i64, Call), i64>);

impl UsageLog {
    pub(in crate::sandbox) fn record(&mut self, now: Timestamp, call: Call, credits: i64) {
        *self.0.entry((now.as_second(), call)).or_default() += credits;
    }
}

/// The newest calls, whatever they cost, oldest first.
#[derive(Default)]
pub(in crate::sandbox) struct CallLog(pub(super) VecDeque<LoggedCall>);

pub(super) struct LoggedCall {
    pub(super) at: Timestamp,
    pub(super) call: Call,
    pub(super) request_id: String,
    pub(super) succeeded: bool,
}

impl CallLog {
    pub(in crate::sandbox) fn record(&mut self, at: Timestamp, call: Call, id: String, succeeded: bool) {
        if self.0.len() >= CALLS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(LoggedCall { at, call, request_id: id, succeeded });
    }
}

impl Workspace {
    /// Until when use is shown.
    pub(super) fn shown_until(&self, now: Timestamp) -> Timestamp {
        earlier(now, self.rules.usage_lag)
    }

    /// # Errors
    /// `MissingPermission`, where the workspace asks for it.
    pub(super) fn check_full_read(&self, caller: usize) -> Result<(), Refusal> {
        if self.rules.analytics.full_read_is_required && !self.may(caller, FULL_READ) {
            return Err(Refusal::MissingPermission(FULL_READ.to_owned()));
        }
        Ok(())
    }

    pub(super) fn may(&self, caller: usize, permission: &str) -> bool {
        let settings = self.keys.get(caller).and_then(StoredKey::last_settings);
        settings.is_some_and(|settings| settings.permissions.allows(permission))
    }

    /// Whether the caller is shown what this call did.
    pub(super) fn sees(&self, caller: usize, call: &Call) -> bool {
        call.key == caller || !self.rules.usage_is_narrowed || self.may(caller, FULL_READ)
    }

    /// A call's value in a column; null where the column does not apply.
    pub(super) fn cell(&self, call: &Call, column: &str) -> Value {
        let key = self.keys.get(call.key);
        match column {
            HASH_COLUMN => json!(key.map(|key| self.analytics_hash(key))),
            NAME_COLUMN => {
                let settings = key.and_then(StoredKey::last_settings);
                json!(settings.map(|settings| settings.name.clone()))
            }
            "user_id" => {
                json!(key.map(|key| key.account.clone().unwrap_or_else(|| "administrator".to_owned())))
            }
            "product_type" => json!(product(call.route)),
            "model" => json!(call.model),
            "region" => json!(REGION),
            "request_source" => json!(call.source),
            "reporting_workspace_id" => json!(self.id),
            _ => Value::Null,
        }
    }

    fn analytics_hash(&self, key: &StoredKey) -> String {
        let hash = key.usage_hash();
        if self.rules.analytics.hashes_differ { hash.chars().rev().collect() } else { hash }
    }
}

fn product(route: Route) -> Option<&'static str> {
    (route == Route::TextToSpeech).then_some("TTS")
}
