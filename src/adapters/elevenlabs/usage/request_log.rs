//! The request log: single calls, charged or not. Whether it has a column for the key differs, and is found out.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::usage::rows::{Names, Told, Uses, only_names, telling};
use crate::adapters::elevenlabs::usage::table::Table;
use crate::adapters::elevenlabs::usage::{EARLIEST_MILLISECONDS, NoTable, Span, cell};
use crate::domain::ids::KeyId;
use crate::domain::key::Key;
use crate::domain::usage::Use;

const PAGE: i64 = 1000;
/// For two keys.
const PAGES_MAX: usize = 10;
/// The log may write down whole seconds only.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(1);
/// Workspaces do not change often.
const FOUND_OUT_LASTS: SignedDuration = SignedDuration::from_mins(10);

/// What was found out about the log, and when.
#[derive(Default)]
pub(in crate::adapters::elevenlabs) struct LogColumn(Mutex<Option<(Timestamp, Result<String, String>)>>);

impl LogColumn {
    fn known(&self, now: Timestamp) -> Option<Result<String, String>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, column) = known.as_ref()?;
        (now.duration_since(*at).abs() < FOUND_OUT_LASTS).then(|| column.clone())
    }

    fn learn(&self, now: Timestamp, column: Result<String, String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, column));
    }
}

/// The calls that were read so far, by what tells one from another.
type Calls = BTreeMap<String, (KeyId, Use)>;

impl ElevenLabs {
    /// The calls with `keys`, which the usage analytics know by `hashes` as well, and from when on they are whole.
    pub(super) async fn request_log(
        &self,
        keys: &[Key],
        hashes: &Names,
        span: &Span,
    ) -> (Timestamp, Result<Told, String>) {
        match self.read_log(keys, hashes, span).await {
            Ok((since, told)) => (since, Ok(told)),
            Err(why) => (span.since, Err(why)),
        }
    }

    async fn read_log(&self, keys: &[Key], hashes: &Names, span: &Span) -> Result<(Timestamp, Told), String> {
        let column = match self.log_column.known(span.until) {
            Some(known) => known?,
            None => {
                let found = self.find_key_column(span).await;
                self.log_column.learn(span.until, found.clone());
                found?
            }
        };
        let (names, untold) = self.names_in_log(keys, hashes, &column).await?;
        let (mut end, mut calls) = (span.end_milliseconds(), Calls::new());
        let mut filtered = true;
        for _ in 0..PAGES_MAX.saturating_mul(keys.len().div_ceil(2)) {
            let filter = filtered.then_some((column.as_str(), &names));
            let table = match self.ask_log(span, end, PAGE, filter).await {
                Ok(table) => table,
                Err(NoTable::NotLikeThis(_)) if filtered => {
                    filtered = false;
                    continue;
                }
                Err(trouble) => return Err(trouble.why()),
            };
            let oldest = take_in(&table, &column, &names, span, &mut calls)?;
            let full = i64::try_from(table.rows.len()).unwrap_or(i64::MAX) >= PAGE;
            let Some(oldest) = oldest.filter(|_| full) else {
                return Ok((span.since, Told { uses: grouped(calls), untold }));
            };
            // The bound may or may not be part of what is asked for: the oldest calls are read twice.
            let next = oldest.as_millisecond().saturating_add(1);
            if next >= end {
                return Err("the request log has more calls at one instant than one page holds".to_owned());
            }
            end = next;
        }
        // Busier than can be read: what was read is whole from there on.
        let from = Timestamp::from_millisecond(end).map_err(|_| "the request log's times make no sense")?;
        Ok((from.max(span.since), Told { uses: grouped(calls), untold }))
    }

    async fn find_key_column(&self, span: &Span) -> Result<String, String> {
        let table = self.ask_log(span, span.end_milliseconds(), 1, None).await.map_err(NoTable::why)?;
        let is_key = |name: &str| name.contains("api_key") || name == "key_id";
        let named = |part: &str| table.first_named(|name| is_key(name) && name.contains(part));
        let found = named("hash").or_else(|| named("_id")).or_else(|| table.first_named(is_key));
        found.map(|(_, name)| name.to_owned()).ok_or_else(|| {
            format!("the request log has no column for the key: its columns are {}", table.described())
        })
    }

    /// The texts that may stand for each key in that column, and the keys that it cannot tell apart.
    async fn names_in_log(
        &self,
        keys: &[Key],
        hashes: &Names,
        column: &str,
    ) -> Result<(Names, BTreeMap<KeyId, String>), String> {
        if !column.contains("name") {
            let known = |key: &Key| hashes.get(&key.id).into_iter().flatten().cloned();
            let texts = |key: &Key| known(key).chain(key.usage_hash.clone()).chain([key.id.to_string()]);
            let names = keys.iter().map(|key| (key.id.clone(), texts(key).collect())).collect();
            return Ok((names, BTreeMap::new()));
        }
        let listed = self.list_workspace().await.map_err(|failure| failure.message)?;
        Ok(only_names(keys, &listed, "the request log tells"))
    }

    /// The newest calls before `end`.
    async fn ask_log(
        &self,
        span: &Span,
        end: i64,
        limit: i64,
        only: Option<(&str, &Names)>,
    ) -> Result<Table, NoTable> {
        let start = span.since.as_millisecond().max(EARLIEST_MILLISECONDS);
        let mut body = json!({"start_time": start, "end_time": end, "limit": limit, "sort": "desc"});
        if let (Some((column, names)), Some(fields)) = (only, body.as_object_mut()) {
            let values: Vec<&String> = names.values().flatten().collect();
            let filter = json!([{"column": column, "operation": "in", "values": values}]);
            fields.insert("filters".to_owned(), filter);
        }
        self.query("the request log", self.routes.request_log(), body).await
    }
}

/// Adds a page's calls of the keys to `calls`; returns the time of the page's oldest call of anybody.
fn take_in(
    table: &Table,
    column: &str,
    names: &Names,
    span: &Span,
    calls: &mut Calls,
) -> Result<Option<Timestamp>, String> {
    let time = table.time()?;
    let key_column = table.named(column).ok_or("the request log has lost its column for the key")?;
    let id_column = table.named("request_id");
    let mut oldest: Option<Timestamp> = None;
    for row in &table.rows {
        let from = cell::instant(row.get(time).unwrap_or(&Value::Null))?;
        if !span.may_hold(from) {
            return Err("a call in the request log is of another time than was asked for".to_owned());
        }
        oldest = Some(oldest.map_or(from, |oldest| oldest.min(from)));
        let Some(text) = row.get(key_column).and_then(cell::text) else { continue };
        let Some((key, _)) = names.iter().find(|(_, texts)| texts.contains(&text)) else { continue };
        let id = id_column.and_then(|index| cell::text(row.get(index)?));
        let id = id.unwrap_or_else(|| Value::Array(row.clone()).to_string());
        let until = from.saturating_add(RESOLUTION).unwrap_or(from);
        let used = Use { from, until, amount: 1, about: telling(table, row) };
        calls.insert(id, (key.clone(), used));
    }
    Ok(oldest)
}

fn grouped(calls: Calls) -> Uses {
    let mut uses = Uses::new();
    for (key, used) in calls.into_values() {
        uses.entry(key).or_default().push(used);
    }
    uses
}
