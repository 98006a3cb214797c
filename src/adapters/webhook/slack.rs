//! Slack's incoming webhooks: one message, or a digest of several notifications.

use serde_json::{Value, json};

use crate::adapters::webhook::MessageFormat;
use crate::domain::notification::{Notification, NotificationEvent, Severity};
use crate::domain::sanitize::shortened;

/// The limits of Slack's Block Kit.
const SECTION_CHARACTERS_MAX: usize = 3000;
const HEADER_CHARACTERS_MAX: usize = 150;
const LINE_CHARACTERS_MAX: usize = 280;
/// Further lines are counted.
const LINES_MAX: usize = 10;
pub(super) const BATCH_MAX: usize = 500;

pub(super) fn message(notification: &Notification, format: &MessageFormat) -> Value {
    let text = format.text(notification, escaped);
    blocks(&format!("{} {}", mark(notification), notification.alert.subject), &text)
}

/// The most severe first, then the number of further notifications.
pub(super) fn digest(notifications: &[Notification], format: &MessageFormat) -> Value {
    let mut sorted: Vec<&Notification> = notifications.iter().collect();
    sorted.sort_by_key(|notification| {
        (notification.event == NotificationEvent::Resolved, std::cmp::Reverse(notification.alert.severity))
    });
    let line = |notification: &&Notification| {
        let alert = &notification.alert;
        let line = format!("{} {}: {}", mark(notification), alert.subject, alert.summary);
        escaped(&shortened(&line, LINE_CHARACTERS_MAX / 2))
    };
    let mut lines: Vec<String> = sorted.iter().take(LINES_MAX).map(line).collect();
    if notifications.len() > LINES_MAX {
        lines.push(format!("… and {} more", notifications.len() - LINES_MAX));
    }
    lines.push("next: rekeyd status".to_owned());
    blocks(&format!("{} notifications from {}", notifications.len(), format.source), &lines.join("\n"))
}

fn blocks(header: &str, text: &str) -> Value {
    json!({
        "text": shortened(text, SECTION_CHARACTERS_MAX),
        "blocks": [
            {
                "type": "header",
                "text": { "type": "plain_text", "text": shortened(header, HEADER_CHARACTERS_MAX) },
            },
            {
                "type": "section",
                "text": { "type": "mrkdwn", "text": shortened(text, SECTION_CHARACTERS_MAX) },
            },
        ],
    })
}

/// The severity as text, not only as a colour.
fn mark(notification: &Notification) -> &'static str {
    match (notification.event, notification.alert.severity) {
        (NotificationEvent::Resolved, _) => "✅ resolved:",
        (NotificationEvent::Happened, _) => "ℹ️",
        (NotificationEvent::Opened | NotificationEvent::Changed, Severity::Page) => "🔴 page:",
        (NotificationEvent::Opened | NotificationEvent::Changed, Severity::Ticket) => "🟠 ticket:",
        (NotificationEvent::Opened | NotificationEvent::Changed, Severity::Info) => "ℹ️ info:",
    }
}

/// Escapes Slack's control characters, so that no value can mention users or create links.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Slack responds with one word.
pub(super) fn meaning(status: u16, body: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 9] = [
        ("invalid_payload", "Slack rejected the message"),
        ("invalid_token", "the webhook URL is no longer valid; create a new webhook"),
        ("no_service", "the webhook is disabled or deleted; create a new webhook"),
        ("no_team", "the Slack workspace of the webhook is deleted"),
        ("team_disabled", "the Slack workspace of the webhook is disabled"),
        ("channel_not_found", "the Slack channel of the webhook is deleted"),
        ("channel_is_archived", "the Slack channel of the webhook is archived"),
        ("action_prohibited", "an administrator of the Slack workspace disabled this"),
        ("posting_to_general_channel_denied", "the webhook may not post to that channel"),
    ];
    if status == 200 {
        return Some("Slack posted the message");
    }
    KNOWN.iter().find(|(word, _)| body.trim() == *word).map(|(_, meaning)| *meaning)
}
