//! `POST /v1/workspace/analytics/usage`: charges by whole days, for workspaces that are billed by money.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::analytics::query::Query;
use crate::sandbox::answer::Call;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::workspace::Workspace;

const DAY_SECONDS: i64 = 86_400;
/// Columns of which two at most may be grouped by, and two only with a filter on one.
const DEAR: [&str; 8] = [
    "user_id",
    "hashed_xi_api_key",
    "region",
    "reporting_workspace_id",
    "billing_group_id",
    "product_type",
    "surface",
    "actor",
];
/// A group's cells, what was spent, and by how many charges.
type Row = (Vec<Value>, i64, i64);

const USD_PER_CREDIT: f64 = 0.0001;

impl Workspace {
    pub(in crate::sandbox) fn charges_by_day(
        &self,
        call: &Call,
        caller: usize,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        self.check_full_read(caller)?;
        let mut query = Query::read(&call.body)?;
        let start = query.milliseconds("start_time", true).unwrap_or_default();
        let end = query.milliseconds("end_time", true).unwrap_or_default();
        let interval = query.positive("interval_seconds", DAY_SECONDS, i64::MAX);
        if interval % DAY_SECONDS != 0 {
            query.complain("interval_seconds", "Input should be a multiple of 86400", "multiple_of");
        }
        let groups = query.groups();
        let filters = query.filters(self.rules.analytics.filters_are_refused, &[]);
        let dear: Vec<&String> = groups.iter().filter(|group| DEAR.contains(&group.as_str())).collect();
        let is_filtered = filters.iter().any(|filter| dear.iter().any(|group| **group == filter.column));
        if dear.len() > 2 || (dear.len() == 2 && !is_filtered) {
            query.complain("group_by", "Too many of these columns at a time", "value_error");
        }
        query.finish()?;
        let shown_until = self.shown_until(now).as_second();
        let mut rows: BTreeMap<(i64, Vec<String>), Row> = BTreeMap::new();
        for ((second, spent_by), credits) in &self.usage.0 {
            let in_time = (start..end).contains(&(second * 1000)) && *second <= shown_until;
            if in_time && self.sees(caller, spent_by) && self.passes(&filters, spent_by) {
                let bucket = second.div_euclid(interval) * interval;
                let cells: Vec<Value> = groups.iter().map(|group| self.cell(spent_by, group)).collect();
                let key = (bucket, cells.iter().map(ToString::to_string).collect());
                let row = rows.entry(key).or_insert((cells, 0, 0));
                (row.1, row.2) = (row.1 + credits, row.2 + 1);
            }
        }
        let rows = rows.into_iter().map(|((bucket, _), (mut cells, credits, count))| {
            cells.push(json!(Timestamp::from_second(bucket).unwrap_or_default().to_string()));
            #[expect(clippy::cast_precision_loss, reason = "no workspace here spends that much")]
            cells.extend([json!(credits as f64 * USD_PER_CREDIT), json!(count)]);
            cells
        });
        let names =
            groups.iter().map(String::as_str).chain(["timestamp", "total_cost", "total_charge_count"]);
        let kinds = groups.iter().map(|_| "String").chain(["DateTime", "Float", "Int"]);
        let units = groups.iter().map(|_| Value::Null).chain([Value::Null, json!("usd"), Value::Null]);
        Ok(json!({
            "columns": names.collect::<Vec<_>>(),
            "column_types": kinds.collect::<Vec<_>>(),
            "column_units": units.collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        }))
    }
}
