//! Slack's incoming webhooks: one message, or one digest of many.

use serde_json::{Value, json};

use crate::adapters::webhook::Words;
use crate::domain::notification::{News, Notification, Severity};
use crate::domain::sanitize::shortened;

/// Of a section's text, by Slack's reference of Block Kit.
const SECTION_CHARACTERS_MAX: usize = 3000;
const HEADER_CHARACTERS_MAX: usize = 150;
const LINE_CHARACTERS_MAX: usize = 280;
/// More than these are counted.
const LINES_MAX: usize = 10;
pub(super) const LETTERS_MAX: usize = 500;

pub(super) fn message(letter: &Notification, words: &Words) -> Value {
    let text = words.text(letter, escaped);
    told(&format!("{} {}", mark(letter), letter.trouble.subject), &text)
}

/// What is wrong first, then how much more there is.
pub(super) fn digest(letters: &[Notification], words: &Words) -> Value {
    let mut sorted: Vec<&Notification> = letters.iter().collect();
    sorted.sort_by_key(|letter| (letter.news == News::Resolved, std::cmp::Reverse(letter.trouble.severity)));
    let line = |letter: &&Notification| {
        let trouble = &letter.trouble;
        let what = format!("{} {}: {}", mark(letter), trouble.subject, trouble.summary);
        escaped(&shortened(&what, LINE_CHARACTERS_MAX / 2))
    };
    let mut lines: Vec<String> = sorted.iter().take(LINES_MAX).map(line).collect();
    if letters.len() > LINES_MAX {
        lines.push(format!("… and {} more", letters.len() - LINES_MAX));
    }
    lines.push("next: rekeyd status".to_owned());
    told(&format!("{} notices from {}", letters.len(), words.source), &lines.join("\n"))
}

fn told(header: &str, text: &str) -> Value {
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

/// In words: colours alone say nothing to some.
fn mark(letter: &Notification) -> &'static str {
    match (letter.news, letter.trouble.severity) {
        (News::Resolved, _) => "✅ resolved:",
        (News::Happened, _) => "ℹ️",
        (News::Opened | News::Changed, Severity::Page) => "🔴 page:",
        (News::Opened | News::Changed, Severity::Ticket) => "🟠 ticket:",
        (News::Opened | News::Changed, Severity::Info) => "ℹ️ info:",
    }
}

/// What Slack would take for its own marks: nobody can be mentioned, and no link be made, by what is put in.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Slack answers in one word.
pub(super) fn meaning(status: u16, body: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 9] = [
        ("invalid_payload", "it does not take the message as it is"),
        ("invalid_token", "the webhook's URL is no longer valid: make a new one"),
        ("no_service", "the webhook is disabled or deleted: make a new one"),
        ("no_team", "the Slack workspace of the webhook is gone"),
        ("team_disabled", "the Slack workspace of the webhook is disabled"),
        ("channel_not_found", "the Slack channel of the webhook is gone"),
        ("channel_is_archived", "the Slack channel of the webhook is archived"),
        ("action_prohibited", "an administrator of the Slack workspace forbids it"),
        ("posting_to_general_channel_denied", "the webhook may not post to that channel"),
    ];
    if status == 200 {
        return Some("Slack has posted it");
    }
    KNOWN.iter().find(|(word, _)| body.trim() == *word).map(|(_, meaning)| *meaning)
}
