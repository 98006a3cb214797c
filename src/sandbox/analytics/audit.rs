//! `GET /v1/workspace/audit-logs`: who administrated what. Enterprise only, and thirty requests a minute.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::domain::time::later;
use crate::sandbox::answer::Call;
use crate::sandbox::key::StoredKey;
use crate::sandbox::refusal::{Complaint, Refusal};
use crate::sandbox::workspace::Workspace;

const REQUESTS_PER_MINUTE: usize = 30;
const PAGE: usize = 50;
const PAGE_MAX: usize = 100;
const ENTRIES_MAX: usize = 20_000;
/// OCSF's class of changes of a managed entity.
const ENTITY_MANAGEMENT: u16 = 3004;
/// Who acts where no key does.
const DASHBOARD: &str = "administrator";

/// What was done to keys, oldest first.
#[derive(Default)]
pub(in crate::sandbox) struct AuditLog {
    entries: VecDeque<Entry>,
    /// Ever written, so that a cursor outlives what is dropped.
    written: usize,
    /// The user whose key acts just now; nobody's is somebody in the dashboard.
    pub(in crate::sandbox) actor: Option<String>,
    asked: HashMap<usize, VecDeque<Timestamp>>,
}

struct Entry {
    number: usize,
    at: Timestamp,
    actor: String,
    activity: &'static str,
    key: String,
}

impl AuditLog {
    pub(in crate::sandbox) fn record(&mut self, at: Timestamp, activity: &'static str, key: &str) {
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.pop_front();
        }
        let actor = self.actor.clone().unwrap_or_else(|| DASHBOARD.to_owned());
        self.entries.push_back(Entry { number: self.written, at, actor, activity, key: key.to_owned() });
        self.written += 1;
    }

    fn admit(&mut self, caller: usize, now: Timestamp) -> Result<(), Refusal> {
        let asked = self.asked.entry(caller).or_default();
        let minute_ago = later(now, SignedDuration::from_secs(-60));
        while asked.front().is_some_and(|at| *at <= minute_ago) {
            asked.pop_front();
        }
        if asked.len() >= REQUESTS_PER_MINUTE {
            return Err(Refusal::TooManyRequests);
        }
        asked.push_back(now);
        Ok(())
    }
}

impl Workspace {
    /// The user behind the caller's key.
    pub(in crate::sandbox) fn user_of(&self, caller: usize) -> String {
        let account = self.keys.get(caller).and_then(|key: &StoredKey| key.account.clone());
        account.unwrap_or_else(|| DASHBOARD.to_owned())
    }

    pub(in crate::sandbox) fn audit_log(
        &mut self,
        call: &Call,
        caller: usize,
        now: Timestamp,
    ) -> Result<Value, Refusal> {
        if !self.rules.enterprise {
            return Err(Refusal::NeedsEnterprise("audit_logs"));
        }
        self.audit.admit(caller, now)?;
        let number = |name: &str| match call.query.get(name).map(|text| text.parse::<i64>()) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => {
                let at = vec!["query".to_owned(), name.to_owned()];
                let message = "Input should be a valid integer".to_owned();
                Err(Refusal::Unprocessable(vec![Complaint { at, message, kind: "int_parsing" }]))
            }
        };
        let limit = number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
        let limit = limit.clamp(1, PAGE_MAX);
        let from = number("time_from_unix_ms")?.unwrap_or(i64::MIN);
        let to = number("time_to_unix_ms")?.unwrap_or(i64::MAX);
        let after = number("cursor")?.and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or(0);
        let activity = call.query.get("activity_name");
        let mut found = self.audit.entries.iter().filter(|entry| {
            entry.number >= after
                && (from..=to).contains(&entry.at.as_millisecond())
                && activity.is_none_or(|activity| activity == entry.activity)
        });
        let page: Vec<&Entry> = found.by_ref().take(limit).collect();
        let next = found.next().map(|entry| entry.number.to_string());
        let entries: Vec<Value> = page.into_iter().map(Entry::json).collect();
        Ok(json!({"entries": entries, "has_more": next.is_some(), "next_cursor": next}))
    }
}

impl Entry {
    fn json(&self) -> Value {
        json!({
            "id": format!("audit_{}", self.number),
            "time": self.at.as_millisecond(),
            "time_dt": self.at.to_string(),
            "activity_name": self.activity,
            "class_name": "Entity Management",
            "class_uid": ENTITY_MANAGEMENT,
            "status_id": 1,
            "severity_id": 1,
            "actor": {"user": {"uid": self.actor}},
            "message": self.activity,
            "unmapped": {"api_key_id": self.key},
        })
    }
}
