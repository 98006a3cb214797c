//! The table that every analytics query answers: columns found by name, by unit or by type, never by position.

use serde_json::Value;

use crate::adapters::elevenlabs::redaction::presentable;

const COLUMNS_MAX: usize = 64;
const NAME_CHARACTERS_MAX: usize = 64;
const TIMES: [&str; 8] =
    ["timestamp", "time", "time_bucket", "bucket", "bucket_start", "interval_start", "start_time", "date"];
const CREDITS: [&str; 6] =
    ["total_usage", "credits_used", "total_credits", "credits", "credit_usage", "total_credits_used"];
const COUNTS: [&str; 5] = ["usage", "total_cost", "cost", "total_charge_count", "request_count"];
const MONEY: [&str; 8] = ["usd", "eur", "gbp", "inr", "jpy", "brl", "pln", "fiat"];

/// A table with as many cells in each row as it has columns.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Value>>,
}

#[derive(Debug)]
struct Column {
    /// In lower case.
    name: String,
    kind: String,
    unit: String,
}

impl Table {
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut answer: Value = serde_json::from_slice(text)
            .map_err(|error| format!("it is not JSON: line {}, column {}", error.line(), error.column()))?;
        let names = answer.get("columns").and_then(Value::as_array).ok_or("it names no columns")?;
        if names.len() > COLUMNS_MAX {
            return Err(format!("it has {} columns", names.len()));
        }
        let beside = |field: &str, index: usize| {
            let text = answer.get(field)?.get(index)?.as_str()?;
            Some(text.trim().to_ascii_lowercase()).filter(|text| text != "null")
        };
        let mut columns: Vec<Column> = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let name = name.as_str().ok_or("a column's name is not a text")?.trim().to_ascii_lowercase();
            if columns.iter().any(|column| column.name == name) {
                return Err(format!("it has the column `{}` twice", shown(&name)));
            }
            let text = |field| beside(field, index).unwrap_or_default();
            columns.push(Column { name, kind: text("column_types"), unit: text("column_units") });
        }
        let Some(Value::Array(listed)) = answer.get_mut("rows").map(Value::take) else {
            return Err("it has no rows, not even none".to_owned());
        };
        let mut rows = Vec::with_capacity(listed.len());
        for row in listed {
            let Value::Array(cells) = row else { return Err("a row is not a list".to_owned()) };
            if cells.len() != columns.len() {
                return Err("a row has not as many cells as there are columns".to_owned());
            }
            rows.push(cells);
        }
        Ok(Self { columns, rows })
    }

    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    pub(super) fn first_named(&self, holds: impl Fn(&str) -> bool) -> Option<(usize, &str)> {
        let mut columns = self.columns.iter().enumerate();
        columns.find(|(_, column)| holds(&column.name)).map(|(index, column)| (index, column.name.as_str()))
    }

    /// The column of the time, by its name, else the only one that is a time by its type.
    pub(super) fn time(&self) -> Result<usize, String> {
        if let Some(index) = TIMES.iter().find_map(|name| self.named(name)) {
            return Ok(index);
        }
        let mut times = self.columns.iter().enumerate().filter(|(_, column)| column.kind == "datetime");
        match (times.next(), times.next()) {
            (Some((index, _)), None) => Ok(index),
            _ => Err(format!("no column for the time among {}", self.described())),
        }
    }

    /// The columns that tell how much, credits first: by unit, else by name.
    pub(super) fn amounts(&self) -> Result<Vec<usize>, String> {
        let by = |fits: &dyn Fn(&Column) -> bool| {
            let columns = self.columns.iter().enumerate().filter(|(_, column)| fits(column));
            columns.map(|(index, _)| index).collect::<Vec<_>>()
        };
        let mut found = by(&|column| column.unit == "credits");
        found.extend(by(&|column| CREDITS.contains(&column.name.as_str())));
        found.extend(by(&|column| MONEY.contains(&column.unit.as_str())));
        found.extend(by(&|column| COUNTS.contains(&column.name.as_str())));
        let mut amounts = Vec::new();
        for index in found {
            if !amounts.contains(&index) {
                amounts.push(index);
            }
        }
        if amounts.is_empty() {
            return Err(format!("no column for the credits among {}", self.described()));
        }
        Ok(amounts)
    }

    /// The columns' names, for people.
    pub(super) fn described(&self) -> String {
        let names: Vec<String> =
            self.columns.iter().map(|column| format!("`{}`", shown(&column.name))).collect();
        if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
    }
}

fn shown(name: &str) -> String {
    presentable(name, &[], NAME_CHARACTERS_MAX)
}
