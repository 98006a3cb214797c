//! The body that the three analytics queries share: a stretch of time, groups, and filters.

use serde_json::{Map, Value};

use crate::sandbox::analytics::records::Call;
use crate::sandbox::answer::Body;
use crate::sandbox::refusal::{Complaint, Refusal};
use crate::sandbox::request;
use crate::sandbox::workspace::Workspace;

const EARLIEST_MILLISECONDS: i64 = 1_577_836_800_000;
const COLUMNS: [&str; 17] = [
    "product_type",
    "model",
    "voice_id",
    "user_id",
    "fiat_currency",
    "fiat_charge_type",
    "region",
    "reporting_workspace_id",
    "request_source",
    "resource_id",
    "subresource_id",
    "request_queue_type",
    "voice_multiplier",
    "hashed_xi_api_key",
    "billing_group_id",
    "surface",
    "actor",
];
const OPERATIONS: [&str; 4] = ["in", "eq", "not_in", "neq"];

/// A query as it was asked, with every complaint that there is about it.
pub(super) struct Query<'a> {
    fields: &'a Map<String, Value>,
    complaints: Vec<Complaint>,
}

/// A condition on a column that holds text.
pub(super) struct Filter {
    pub(super) column: String,
    is_negated: bool,
    values: Vec<Value>,
}

impl<'a> Query<'a> {
    pub(super) fn read(body: &'a Body) -> Result<Self, Refusal> {
        Ok(Self { fields: request::fields(body)?, complaints: Vec::new() })
    }

    pub(super) fn complain(&mut self, field: &str, message: impl Into<String>, kind: &'static str) {
        self.complaints.push(Complaint::about(field, message, kind));
    }

    pub(super) fn finish(self) -> Result<(), Refusal> {
        if self.complaints.is_empty() { Ok(()) } else { Err(Refusal::Unprocessable(self.complaints)) }
    }

    pub(super) fn milliseconds(&mut self, field: &str, required: bool) -> Option<i64> {
        let Some(value) = self.fields.get(field).filter(|value| required || !value.is_null()) else {
            if required {
                self.complain(field, "Field required", "missing");
            }
            return None;
        };
        let read = value.as_i64().filter(|milliseconds| *milliseconds >= EARLIEST_MILLISECONDS);
        if read.is_none() {
            let message = format!("Input should be greater than or equal to {EARLIEST_MILLISECONDS}");
            self.complain(field, message, "greater_than_equal");
        }
        read
    }

    pub(super) fn positive(&mut self, field: &str, default: i64, most: i64) -> i64 {
        let Some(value) = self.fields.get(field) else { return default };
        let read = value.as_i64().filter(|number| (1..=most).contains(number));
        read.unwrap_or_else(|| {
            self.complain(field, format!("Input should be from 1 to {most}"), "greater_than_equal");
            default
        })
    }

    pub(super) fn text(&self, field: &str) -> Option<&'a str> {
        self.fields.get(field)?.as_str()
    }

    pub(super) fn groups(&mut self) -> Vec<String> {
        let groups = self.fields.get("group_by").and_then(Value::as_array);
        let mut read = Vec::new();
        for group in groups.into_iter().flatten().filter_map(Value::as_str) {
            if COLUMNS.contains(&group) {
                read.push(group.to_owned());
            } else {
                self.complain("group_by", format!("Input should be a column: {group}"), "enum");
            }
        }
        read
    }

    /// `columns`: what may be filtered by.
    pub(super) fn filters(&mut self, refused: bool, columns: &[&str]) -> Vec<Filter> {
        let filters = self.fields.get("filters").and_then(Value::as_array);
        let mut read = Vec::new();
        for filter in filters.into_iter().flatten() {
            let (column, operation) = (filter["column"].as_str(), filter["operation"].as_str());
            let values = filter["values"].as_array();
            let known = column.filter(|column| COLUMNS.contains(column) || columns.contains(column));
            match (known, operation.filter(|operation| OPERATIONS.contains(operation)), values) {
                (Some(column), Some(operation), Some(values)) if !refused => read.push(Filter {
                    column: column.to_owned(),
                    is_negated: matches!(operation, "not_in" | "neq"),
                    values: values.clone(),
                }),
                _ => self.complain("filters", "Input should be a filter on a column", "value_error"),
            }
        }
        read
    }
}

impl Filter {
    pub(super) fn takes(&self, cell: &Value) -> bool {
        self.values.contains(cell) != self.is_negated
    }
}

impl Workspace {
    pub(super) fn passes(&self, filters: &[Filter], call: &Call) -> bool {
        filters.iter().all(|filter| filter.takes(&self.cell(call, &filter.column)))
    }
}
