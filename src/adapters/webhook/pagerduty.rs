//! PagerDuty's Events API v2: one incident for each alert.

use serde_json::{Value, json};

use crate::adapters::webhook::MessageFormat;
use crate::domain::notification::{Notification, NotificationEvent, Severity};
use crate::domain::sanitize::shortened;
use crate::domain::secret::SecretValue;

/// From PagerDuty's reference of the Events API v2.
const DEDUP_KEY_CHARACTERS_MAX: usize = 255;
const SUMMARY_CHARACTERS_MAX: usize = 1024;

pub(super) fn event(notification: &Notification, format: &MessageFormat, routing_key: &SecretValue) -> Value {
    let dedup_key = shortened(&format.key(notification), DEDUP_KEY_CHARACTERS_MAX);
    let action = match notification.event {
        NotificationEvent::Opened | NotificationEvent::Changed | NotificationEvent::Happened => "trigger",
        NotificationEvent::Resolved => "resolve",
    };
    let mut event = json!({
        "routing_key": routing_key.expose(),
        "event_action": action,
        "dedup_key": dedup_key,
    });
    if notification.event == NotificationEvent::Resolved {
        return event;
    }
    let alert = &notification.alert;
    let summary = format!("{}: {}", alert.subject, alert.summary);
    if let Some(event) = event.as_object_mut() {
        event.insert("client".to_owned(), json!("rekeyd"));
        event.insert(
            "payload".to_owned(),
            json!({
                "summary": shortened(&summary, SUMMARY_CHARACTERS_MAX),
                "source": format.source,
                "severity": severity(alert.severity),
                "timestamp": notification.at.to_string(),
                "component": alert.subject.name(),
                "group": alert.subject.workspace(),
                "class": alert.reason,
                "custom_details": {
                    "text": format.text(notification, str::to_owned),
                    "next": notification.next(),
                    "runbook": format.runbook_url(notification),
                    "since": alert.since,
                    "notification": notification.id,
                },
            }),
        );
        if format.runbook.starts_with("https://") {
            event.insert(
                "links".to_owned(),
                json!([{ "href": format.runbook_url(notification), "text": "runbook" }]),
            );
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
        202 => Some("PagerDuty accepted the event"),
        400 => Some(
            "PagerDuty rejected the event; check that the routing key belongs to an Events API v2 integration",
        ),
        _ => None,
    }
}
