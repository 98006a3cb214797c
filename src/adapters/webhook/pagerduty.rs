//! PagerDuty's Events API v2: one incident for one trouble.

use serde_json::{Value, json};

use crate::adapters::webhook::Words;
use crate::domain::notification::{News, Notification, Severity};
use crate::domain::sanitize::shortened;
use crate::domain::secret::SecretValue;

/// By PagerDuty's reference of the Events API v2.
const DEDUP_KEY_CHARACTERS_MAX: usize = 255;
const SUMMARY_CHARACTERS_MAX: usize = 1024;

pub(super) fn event(letter: &Notification, words: &Words, routing_key: &SecretValue) -> Value {
    let dedup_key = shortened(&words.key(letter), DEDUP_KEY_CHARACTERS_MAX);
    let action = match letter.news {
        News::Opened | News::Changed | News::Happened => "trigger",
        News::Resolved => "resolve",
    };
    let mut event = json!({
        "routing_key": routing_key.expose(),
        "event_action": action,
        "dedup_key": dedup_key,
    });
    if letter.news == News::Resolved {
        return event;
    }
    let trouble = &letter.trouble;
    let summary = format!("{}: {}", trouble.subject, trouble.summary);
    if let Some(event) = event.as_object_mut() {
        event.insert("client".to_owned(), json!("rekeyd"));
        event.insert(
            "payload".to_owned(),
            json!({
                "summary": shortened(&summary, SUMMARY_CHARACTERS_MAX),
                "source": words.source,
                "severity": severity(trouble.severity),
                "timestamp": letter.at.to_string(),
                "component": trouble.subject.name(),
                "group": trouble.subject.workspace(),
                "class": trouble.what,
                "custom_details": {
                    "text": words.text(letter, str::to_owned),
                    "next": letter.next(),
                    "runbook": words.entry(letter),
                    "since": trouble.since,
                    "notice": letter.id,
                },
            }),
        );
        if words.runbook.starts_with("https://") {
            event.insert("links".to_owned(), json!([{ "href": words.entry(letter), "text": "runbook" }]));
        }
    }
    event
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Page => "critical",
        Severity::Ticket => "warning",
        Severity::Info => "info",
    }
}

pub(super) fn meaning(status: u16, _body: &str) -> Option<&'static str> {
    match status {
        202 => Some("PagerDuty has taken the event"),
        400 => {
            Some("PagerDuty refuses the event: is the routing key the one of an Events API v2 integration?")
        }
        _ => None,
    }
}
