//! Generic webhooks: one JSON object for each notification, with a versioned schema.

use serde_json::{Value, json};

use crate::adapters::webhook::MessageFormat;
use crate::domain::notification::Notification;

/// Changes when a field is removed or changes its meaning, not when one is added.
const SCHEMA_VERSION: u32 = 1;

pub(super) fn body(notification: &Notification, format: &MessageFormat) -> Value {
    let alert = &notification.alert;
    json!({
        "schema_version": SCHEMA_VERSION,
        "id": notification.id,
        "event": notification.event,
        "key": format.key(notification),
        "severity": alert.severity,
        "reason": alert.reason,
        "subject": {
            "kind": alert.subject.kind(),
            "name": alert.subject.name(),
            "workspace": alert.subject.workspace(),
        },
        "summary": alert.summary,
        "text": format.text(notification, str::to_owned),
        "next": notification.next(),
        "runbook": format.runbook_url(notification),
        "since": alert.since,
        "at": notification.at,
        "source": format.source,
    })
}

pub(super) fn meaning(status: u16, _body: &str) -> Option<&'static str> {
    (200..300).contains(&status).then_some("accepted")
}
