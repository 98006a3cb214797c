//! `GET /v1/usage/character-stats`: deprecated. By key it was seen empty, and how it names a key is unknown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::analytics::records::NAME_COLUMN;
use crate::sandbox::answer::Call;
use crate::sandbox::refusal::{Complaint, Refusal};
use crate::sandbox::workspace::Workspace;

const BUCKETS_MAX: i64 = 10_000;

impl Workspace {
    pub(in crate::sandbox) fn character_statistics(
        &self,
        call: &Call,
        caller: usize,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        let parameter = |name: &str| call.query.get(name).map(String::as_str);
        let mut complaints = Vec::new();
        // Milliseconds, whatever the name says.
        let mut milliseconds = |name: &str| {
            let read = parameter(name).and_then(|text| text.parse::<i64>().ok());
            if read.is_none() {
                let at = vec!["query".to_owned(), name.to_owned()];
                let message = "Input should be a valid integer".to_owned();
                complaints.push(Complaint { at, message, kind: "int_parsing" });
            }
            read.unwrap_or_default()
        };
        let (start, end) = (milliseconds("start_unix"), milliseconds("end_unix"));
        if !complaints.is_empty() {
            return Err(Refusal::Unprocessable(complaints));
        }
        let interval: i64 = if parameter("aggregation_interval") == Some("hour") { 3600 } else { 86_400 };
        let first = start.div_euclid(1000).div_euclid(interval);
        let count = (end.div_euclid(1000).div_euclid(interval) - first + 1).clamp(0, BUCKETS_MAX);
        let by_key = matches!(parameter("breakdown_type"), Some("api_keys" | "all_api_keys"));
        let shown_until = self.shown_until(now).as_second();
        let mut usage: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for ((second, spent_by), credits) in &self.usage.0 {
            let in_time = (start..=end).contains(&(second * 1000)) && *second <= shown_until;
            if !in_time || !self.sees(caller, spent_by) || (by_key && !self.rules.analytics.statistics_by_key)
            {
                continue;
            }
            let name = self.cell(spent_by, NAME_COLUMN).as_str().unwrap_or_default().to_owned();
            let label = if by_key { name } else { "All".to_owned() };
            let buckets = usize::try_from(count).unwrap_or_default();
            let row = usage.entry(label).or_insert_with(|| vec![0; buckets]);
            let index = usize::try_from(second.div_euclid(interval) - first).unwrap_or(usize::MAX);
            if let Some(cell) = row.get_mut(index) {
                *cell += credits;
            }
        }
        let time: Vec<i64> = (0..count).map(|index| (first + index) * interval * 1000).collect();
        Ok(json!({"time": time, "usage": usage}))
    }
}
