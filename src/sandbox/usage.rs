//! What was spent, and the analytics query over it: `usage-by-product-over-time`, grouped by hashed key or not.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::sandbox::answer::Call;
use crate::sandbox::key::{StoredKey, later};
use crate::sandbox::refusal::{Complaint, Refusal};
use crate::sandbox::request;
use crate::sandbox::workspace::Workspace;

const HASH_COLUMN: &str = "hashed_xi_api_key";
const EARLIEST_MILLISECONDS: i64 = 1_577_836_800_000;

/// Credits by second and by key (its position among the keys).
#[derive(Default)]
pub(super) struct UsageLog(BTreeMap<(i64, usize), i64>);

impl UsageLog {
    pub(super) fn record(&mut self, now: Timestamp, key: usize, credits: i64) {
        *self.0.entry((now.as_second(), key)).or_default() += credits;
    }
}

struct Query {
    start: i64,
    end: i64,
    interval: i64,
    by_key: bool,
    /// Hashes that a filter lets through.
    only: Option<BTreeSet<String>>,
}

impl Workspace {
    pub(super) fn usage_by_product(
        &self,
        call: &Call,
        caller: usize,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let query = Query::read(request::fields(&call.body)?)?;
        let seen_until = later(now, SignedDuration::ZERO - self.rules.usage_lag).as_second();
        let sees_all = self.sees_all_usage(caller);
        let mut rows: BTreeMap<(i64, Option<usize>), i64> = BTreeMap::new();
        for ((second, position), credits) in &self.usage.0 {
            let in_time = (query.start..query.end).contains(&(second * 1000)) && *second <= seen_until;
            let visible = sees_all || *position == caller;
            if in_time && visible && self.passes(&query, *position) {
                let bucket = second.div_euclid(query.interval) * query.interval;
                *rows.entry((bucket, query.by_key.then_some(*position))).or_default() += credits;
            }
        }
        Ok(self.table(&query, &rows))
    }

    fn sees_all_usage(&self, caller: usize) -> bool {
        let settings = self.keys.get(caller).and_then(StoredKey::last_settings);
        !self.rules.usage_is_narrowed
            || settings.is_some_and(|settings| settings.permissions.allows("workspace_analytics_full_read"))
    }

    fn passes(&self, query: &Query, position: usize) -> bool {
        let key = self.keys.get(position);
        query.only.as_ref().is_none_or(|only| key.is_some_and(|key| only.contains(&key.usage_hash())))
    }

    fn table(&self, query: &Query, rows: &BTreeMap<(i64, Option<usize>), i64>) -> Value {
        let mut table: Vec<Value> = Vec::new();
        for ((second, position), credits) in rows {
            let at = Timestamp::from_second(*second).unwrap_or_default().to_string();
            let key = position.and_then(|position| self.keys.get(position));
            let name = key.and_then(StoredKey::last_settings).map(|settings| settings.name.clone());
            table.push(match key {
                Some(key) => json!([key.usage_hash(), at, credits, 0.0, name]),
                None => json!([at, credits, 0.0]),
            });
        }
        if query.by_key {
            json!({
                "columns": [HASH_COLUMN, "timestamp", "total_usage", "total_cost", "api_key_name"],
                "column_types": ["String", "DateTime", "Float", "Float", "String"],
                "column_units": [null, null, "credits", "usd", null],
                "rows": table,
            })
        } else {
            json!({
                "columns": ["timestamp", "total_usage", "total_cost"],
                "column_types": ["DateTime", "Float", "Float"],
                "column_units": [null, "credits", "usd"],
                "rows": table,
            })
        }
    }
}

impl Query {
    fn read(fields: &Map<String, Value>) -> Result<Self, Refusal> {
        let mut complaints = Vec::new();
        let mut milliseconds = |field: &str| match fields.get(field) {
            None => {
                complaints.push(Complaint::about(field, "Field required", "missing"));
                0
            }
            Some(value) => value.as_i64().filter(|ms| *ms >= EARLIEST_MILLISECONDS).unwrap_or_else(|| {
                let message = format!("Input should be greater than or equal to {EARLIEST_MILLISECONDS}");
                complaints.push(Complaint::about(field, message, "greater_than_equal"));
                0
            }),
        };
        let (start, end) = (milliseconds("start_time"), milliseconds("end_time"));
        let interval = match fields.get("interval_seconds").map(Value::as_i64) {
            None => 60,
            Some(Some(seconds)) if seconds >= 1 => seconds,
            Some(_) => {
                let message = "Input should be greater than or equal to 1";
                complaints.push(Complaint::about("interval_seconds", message, "greater_than_equal"));
                60
            }
        };
        if !complaints.is_empty() {
            return Err(Refusal::Unprocessable(complaints));
        }
        let groups = fields.get("group_by").and_then(Value::as_array);
        let by_key = groups.is_some_and(|groups| groups.iter().any(|group| group == HASH_COLUMN));
        let filters = fields.get("filters").and_then(Value::as_array);
        let only = filters.and_then(|filters| filters.iter().find_map(key_filter));
        Ok(Self { start, end, interval, by_key, only })
    }
}

/// The hashes of an `in` or `eq` filter on the key; other filters let everything through.
fn key_filter(filter: &Value) -> Option<BTreeSet<String>> {
    if filter["column"] != HASH_COLUMN || !(filter["operation"] == "in" || filter["operation"] == "eq") {
        return None;
    }
    let values = filter["values"].as_array()?;
    Some(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
