//! The workspace's own audit log, where the plan has one: what was done to keys, by whom. Read page by page, and seldom:
//! the provider allows thirty requests a minute.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::classify::Meaning;
use crate::adapters::elevenlabs::transport::{Call, Mutability, Reply};
use crate::domain::audit::compare::{Deed, WorkspaceLogEntry};
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::ports::workspace_log::WorkspaceLog;

const PAGE: &str = "100";
/// Below what a minute allows.
const PAGES_MAX: usize = 25;
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
const TEXT_CHARACTERS_MAX: usize = 200;

#[derive(Deserialize)]
struct Page {
    entries: Vec<Value>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[async_trait]
impl WorkspaceLog for ElevenLabs {
    async fn entries(&self, since: Timestamp) -> Result<Vec<WorkspaceLogEntry>, Failure> {
        self.audit_log(since).await
    }
}

impl ElevenLabs {
    /// What the workspace's audit log shows was done to keys from `since` on. Changes nothing.
    ///
    /// # Errors
    /// It cannot be read, or is too long to be read at once: the message says what to do.
    pub async fn audit_log(&self, since: Timestamp) -> Result<Vec<WorkspaceLogEntry>, Failure> {
        let mut cursor: Option<String> = None;
        let mut logged = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.audit_page(since, cursor.as_deref()).await?;
            logged.extend(page.entries.iter().filter_map(entry));
            match page.next_cursor.filter(|_| page.has_more) {
                Some(next) if Some(&next) != cursor.as_ref() => cursor = Some(next),
                Some(_) | None => return Ok(logged),
            }
        }
        let why = "reading the workspace's audit log: it has too many entries to be read at once; ask for less with a later --since";
        Err(Failure::rejected(Kind::LimitReached, why))
    }

    async fn audit_page(&self, since: Timestamp, cursor: Option<&str>) -> Result<Page, Failure> {
        let mut url = self.routes.audit_log();
        url.query_pairs_mut().append_pair("limit", PAGE);
        url.query_pairs_mut().append_pair("time_from_unix_ms", &since.as_millisecond().to_string());
        if let Some(cursor) = cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let attempt = "reading the workspace's audit log".to_owned();
        let call = Call::new(attempt, Mutability::ReadOnly, Method::GET, url);
        let mut accepted = match self.transport.send(&call).await? {
            Reply::Accepted(accepted) => accepted,
            Reply::Refused(refusal) => {
                let meaning = refusal.meaning();
                let why = match meaning {
                    Meaning::MissingPermission => "the admin key lacks the permission `audit_log_read`",
                    Meaning::Forbidden => "this workspace has none for us: it takes an Enterprise plan",
                    Meaning::NoSuchRoute => "this workspace does not have it",
                    Meaning::Invalid
                    | Meaning::BadKey
                    | Meaning::NoCredits
                    | Meaning::Throttled
                    | Meaning::NoSuchThing
                    | Meaning::Conflict
                    | Meaning::LimitReached
                    | Meaning::ServerError
                    | Meaning::RequestTimeout
                    | Meaning::Page
                    | Meaning::Redirect
                    | Meaning::Nonsense => meaning.explanation(),
                };
                return Err(self.transport.refused_as(
                    &call,
                    &refusal,
                    Certainty::Rejected,
                    meaning.kind(),
                    why,
                ));
            }
        };
        let mut text = Vec::new();
        let read = accepted.read(PAGE_BYTES_MAX, &mut text).await;
        read.map_err(|shortfall| self.transport.cut_short(&call, &shortfall))?;
        serde_json::from_slice(&text).map_err(|error| {
            let why = format!(
                "the answer cannot be understood at line {}, column {}",
                error.line(),
                error.column()
            );
            self.transport.senseless(&call, &why)
        })
    }
}

/// An entry about a key; `None` for any other. Under which name the key's id stands in it is not documented: whoever
/// knows the id finds it.
fn entry(entry: &Value) -> Option<WorkspaceLogEntry> {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let activity = text("/activity_name")?;
    if !activity.contains("API Key") {
        return None;
    }
    let deed = match activity.rsplit(' ').next()? {
        "Creation" => Deed::Created,
        "Deletion" => Deed::Deleted,
        _ => Deed::Changed,
    };
    let at = Timestamp::from_millisecond(entry.get("time")?.as_i64()?).ok()?;
    let mut texts = BTreeSet::new();
    gather(entry, &mut texts);
    let id = text("/id").unwrap_or_default();
    Some(WorkspaceLogEntry { id, at, deed, user: text("/actor/user/uid"), texts })
}

fn gather(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() <= TEXT_CHARACTERS_MAX => {
            texts.insert(text.clone());
            // In an address it is one part of several.
            texts.extend(text.split('/').map(str::to_owned));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(fields) => fields.values().for_each(|value| gather(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
