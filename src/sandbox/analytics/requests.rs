//! `POST /v1/workspace/analytics/requests`: the request log. No cursor: who wants more moves the bound of time.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::analytics::query::{Filter, Query};
use crate::sandbox::analytics::records::{HASH_COLUMN, LoggedCall, NAME_COLUMN};
use crate::sandbox::analytics::rules::RequestLogNames;
use crate::sandbox::answer::Call;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::workspace::Workspace;

const PAGE: i64 = 100;
const PAGE_MAX: i64 = 1000;

impl Workspace {
    pub(in crate::sandbox) fn request_log(
        &self,
        call: &Call,
        caller: usize,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        self.check_full_read(caller)?;
        let mut query = Query::read(&call.body)?;
        let start = query.milliseconds("start_time", false);
        let end = query.milliseconds("end_time", false);
        if start.is_none() && end.is_none() {
            query.complain("start_time", "start_time or end_time is required", "missing");
        }
        let limit = query.positive("limit", PAGE, PAGE_MAX);
        let newest_first = match query.text("sort") {
            Some("asc") => false,
            Some("desc") => true,
            _ => end.is_some(),
        };
        let key_column = self.key_column();
        let names: Vec<&str> = key_column.into_iter().chain(["endpoint"]).collect();
        let filters = query.filters(self.rules.analytics.filters_are_refused || key_column.is_none(), &names);
        query.finish()?;
        let shown_until = self.shown_until(now);
        let range = start.unwrap_or(i64::MIN)..end.unwrap_or(i64::MAX);
        let mut found: Vec<&LoggedCall> = self.calls.0.iter().collect();
        found.retain(|logged| {
            range.contains(&logged.at.as_millisecond())
                && logged.at <= shown_until
                && self.sees(caller, &logged.call)
                && filters.iter().all(|filter| self.passes_log(filter, logged))
        });
        if newest_first {
            found.reverse();
        }
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(self.log_table(key_column, &found))
    }

    fn key_column(&self) -> Option<&'static str> {
        match self.rules.analytics.request_log_names {
            RequestLogNames::Nothing => None,
            RequestLogNames::Hash => Some(HASH_COLUMN),
            RequestLogNames::Id => Some("api_key_id"),
            RequestLogNames::Name => Some(NAME_COLUMN),
        }
    }

    fn passes_log(&self, filter: &Filter, logged: &LoggedCall) -> bool {
        match filter.column.as_str() {
            "api_key_id" => filter.takes(&self.key_id(logged)),
            "endpoint" => filter.takes(&json!(logged.call.route.to_string())),
            column => filter.takes(&self.cell(&logged.call, column)),
        }
    }

    fn key_id(&self, logged: &LoggedCall) -> Value {
        json!(self.keys.get(logged.call.key).map(|key| key.id.clone()))
    }

    fn log_table(&self, key_column: Option<&str>, found: &[&LoggedCall]) -> Value {
        let usual = ["request_id", "timestamp", "endpoint", "response_time_ms", "success", "request_source"];
        let kinds = ["String", "DateTime", "String", "Int", "Bool", "String"];
        let units = [Value::Null, Value::Null, Value::Null, json!("ms"), Value::Null, Value::Null];
        let text = self.rules.analytics.everything_is_text;
        let rows = found.iter().map(|logged| {
            let mut cells = vec![
                json!(logged.request_id),
                json!(logged.at.to_string()),
                json!(logged.call.route.to_string()),
                if text { json!("12") } else { json!(12) },
                if text { json!(logged.succeeded.to_string()) } else { json!(logged.succeeded) },
                json!(logged.call.source),
            ];
            cells.extend(key_column.map(|column| match column {
                "api_key_id" => self.key_id(logged),
                column => self.cell(&logged.call, column),
            }));
            cells
        });
        json!({
            "columns": usual.iter().copied().chain(key_column).collect::<Vec<_>>(),
            "column_types": kinds.iter().copied().chain(key_column.map(|_| "String")).collect::<Vec<_>>(),
            "column_units": units.into_iter().chain(key_column.map(|_| Value::Null)).collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}
