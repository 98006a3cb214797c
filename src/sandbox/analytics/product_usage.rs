//! `usage-by-product-over-time`: credits in buckets of time, grouped by any of the known columns.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::analytics::query::Query;
use crate::sandbox::analytics::records::{HASH_COLUMN, NAME_COLUMN};
use crate::sandbox::analytics::rules::{Columns, KeyColumns};
use crate::sandbox::answer::Call;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::workspace::Workspace;

/// A column: its name, type, unit, and the cell of each row.
struct Column {
    name: String,
    kind: &'static str,
    unit: Option<&'static str>,
    cells: Vec<Value>,
}

/// A group's cells, the key's name, and what was spent.
type Row = (i64, Vec<Value>, Value, i64);

impl Workspace {
    pub(in crate::sandbox) fn usage_by_product(
        &self,
        call: &Call,
        caller: usize,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        self.check_full_read(caller)?;
        let mut query = Query::read(&call.body)?;
        let start = query.milliseconds("start_time", true).unwrap_or_default();
        let end = query.milliseconds("end_time", true).unwrap_or_default();
        let interval = query.positive("interval_seconds", 60, i64::MAX);
        let groups = query.groups();
        let filters = query.filters(self.rules.analytics.filters_are_refused, &[]);
        query.finish()?;
        if self.rules.analytics.billed_by_money {
            let message = "this workspace is billed by cost: use /v1/workspace/analytics/usage".to_owned();
            return Err(Refusal::Unwanted { parameter: "end_time", message });
        }
        let shown_until = self.shown_until(now).as_second();
        // By text, so that the order is one: position of the key first, as it was made.
        let mut rows: BTreeMap<(i64, Vec<(usize, String)>), Row> = BTreeMap::new();
        for ((second, spent_by), credits) in &self.usage.0 {
            let in_time = (start..end).contains(&(second * 1000)) && *second <= shown_until;
            if !in_time || !self.sees(caller, spent_by) || !self.passes(&filters, spent_by) {
                continue;
            }
            let bucket = second.div_euclid(interval) * interval;
            let cells: Vec<Value> = groups.iter().map(|group| self.cell(spent_by, group)).collect();
            let sorted_by = groups.iter().zip(&cells).map(|(group, cell)| match group.as_str() {
                HASH_COLUMN => (spent_by.key, String::new()),
                _ => (0, cell.to_string()),
            });
            let name = self.cell(spent_by, NAME_COLUMN);
            let row = rows.entry((bucket, sorted_by.collect())).or_insert((bucket, cells, name, 0));
            row.3 += credits;
        }
        Ok(self.table(&groups, &rows.into_values().collect::<Vec<_>>()))
    }

    fn table(&self, groups: &[String], rows: &[Row]) -> Value {
        let rules = &self.rules.analytics;
        let each = |cell: &dyn Fn(&Row) -> Value| rows.iter().map(cell).collect::<Vec<_>>();
        let text = |name: &str, cells| Column { name: name.to_owned(), kind: "String", unit: None, cells };
        let hash_is_shown = matches!(rules.key_columns, KeyColumns::HashAndName | KeyColumns::Hash);
        let grouped = groups.iter().enumerate().filter(|(_, group)| hash_is_shown || *group != HASH_COLUMN);
        let grouped =
            grouped.map(|(index, group)| text(group, each(&|row| row.1.get(index).cloned().into())));
        let time = each(&|row| json!(Timestamp::from_second(row.0).unwrap_or_default().to_string()));
        let time = Column { name: "timestamp".to_owned(), kind: "DateTime", unit: None, cells: time };
        let credits = |name: &str| Column {
            name: name.to_owned(),
            kind: "Float",
            unit: Some("credits"),
            cells: each(&|row| json!(row.3)),
        };
        let mut columns: Vec<Column> = match rules.columns {
            Columns::Live => {
                let cost = each(&|_| json!(0.0));
                let cost =
                    Column { name: "total_cost".to_owned(), kind: "Float", unit: Some("usd"), cells: cost };
                grouped.chain([time, credits("total_usage"), cost]).collect()
            }
            Columns::Documented => {
                std::iter::once(time).chain(grouped).chain([credits("credits_used")]).collect()
            }
        };
        let name_is_shown = matches!(rules.key_columns, KeyColumns::HashAndName | KeyColumns::Name);
        if name_is_shown && groups.iter().any(|group| group == HASH_COLUMN) {
            columns.push(text(NAME_COLUMN, each(&|row| row.2.clone())));
        }
        written(&columns, rows.len(), rules.everything_is_text)
    }
}

fn written(columns: &[Column], rows: usize, everything_is_text: bool) -> Value {
    let cell = |column: &Column, row: usize| match column.cells.get(row) {
        Some(Value::Number(number)) if everything_is_text => json!(number.to_string()),
        Some(cell) => cell.clone(),
        None => Value::Null,
    };
    let unit = |column: &Column| match column.unit {
        None if everything_is_text => json!(if column.kind == "DateTime" { "" } else { "null" }),
        unit => json!(unit),
    };
    json!({
        "columns": columns.iter().map(|column| &column.name).collect::<Vec<_>>(),
        "column_types": columns.iter().map(|column| column.kind).collect::<Vec<_>>(),
        "column_units": columns.iter().map(unit).collect::<Vec<_>>(),
        "rows": (0..rows)
            .map(|row| columns.iter().map(|column| cell(column, row)).collect::<Vec<_>>())
            .collect::<Vec<_>>(),
    })
}
