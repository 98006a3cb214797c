//! A receiver of the operator's: one JSON object for one notice, of a shape that is a promise.

use serde_json::{Value, json};

use crate::adapters::webhook::Words;
use crate::domain::notification::Notification;

/// Changes when a field changes its meaning or goes; new fields may come.
const SCHEMA_VERSION: u32 = 1;

pub(super) fn notice(letter: &Notification, words: &Words) -> Value {
    let trouble = &letter.trouble;
    json!({
        "schema_version": SCHEMA_VERSION,
        "id": letter.id,
        "news": letter.news,
        "key": words.key(letter),
        "severity": trouble.severity,
        "what": trouble.what,
        "subject": {
            "kind": trouble.subject.kind(),
            "name": trouble.subject.name(),
            "workspace": trouble.subject.workspace(),
        },
        "summary": trouble.summary,
        "text": words.text(letter, str::to_owned),
        "next": letter.next(),
        "runbook": words.entry(letter),
        "since": trouble.since,
        "at": letter.at,
        "source": words.source,
    })
}

pub(super) fn meaning(status: u16, _body: &str) -> Option<&'static str> {
    (200..300).contains(&status).then_some("the receiver has taken it")
}
