//! The text of a notification: a template with placeholders in braces. Values are not expanded again, and a line whose
//! placeholders are all empty is omitted.

use crate::domain::notification::Notification;

/// Each placeholder with its meaning.
pub const PLACEHOLDERS: [(&str, &str); 11] = [
    ("event", "opened, changed, resolved or happened"),
    ("severity", "page, ticket or info"),
    ("subject", "the credential, the workspace, or rekeyd"),
    ("workspace", "the workspace, if any"),
    ("reason", "the label of the incident, as in the runbook"),
    ("summary", "what is wrong, in one line"),
    ("next", "the next command; empty when resolved"),
    ("runbook", "the URL of the runbook entry"),
    ("since", "when the condition started"),
    ("source", "`source` of the channel"),
    ("key", "the deduplication key of the incident"),
];

/// Earlier names of placeholders, which existing policies may contain.
const EARLIER: [(&str, &str); 2] = [("news", "event"), ("what", "reason")];

/// The text of a channel without `text`.
pub const DEFAULT: &str = "[{severity}] {event}: {subject}: {summary}\nnext: {next}\nrunbook: {runbook}";

/// A text whose placeholders are all valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

/// Why a text is not a valid template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// The name is not shown: it could be a secret.
    #[error("unknown placeholder")]
    Unknown,
    #[error("unbalanced brace")]
    Unbalanced,
}

/// The values that come from the channel.
#[derive(Debug, Clone, Copy)]
pub struct ChannelContext<'a> {
    pub source: &'a str,
    pub runbook: &'a str,
    pub key: &'a str,
}

enum Piece<'a> {
    Plain(&'a str),
    Placeholder(&'a str),
}

impl Template {
    /// # Errors
    /// The text has an unknown placeholder or an unbalanced brace.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        for line in text.lines() {
            for piece in pieces(line)? {
                if let Piece::Placeholder(name) = piece
                    && !PLACEHOLDERS.iter().chain(&EARLIER).any(|(known, _)| *known == name)
                {
                    return Err(BadTemplate::Unknown);
                }
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// Fills the template from a notification, with `escape` applied to every value.
    #[must_use]
    pub fn fill(
        &self,
        notification: &Notification,
        channel: ChannelContext<'_>,
        escape: impl Fn(&str) -> String,
    ) -> String {
        let lines = self.0.lines().filter_map(|line| {
            // `parse` has accepted the text.
            let pieces = pieces(line).unwrap_or_default();
            let (mut filled, mut has_placeholder, mut has_value) = (String::new(), false, false);
            for piece in pieces {
                match piece {
                    Piece::Plain(text) => filled.push_str(text),
                    Piece::Placeholder(name) => {
                        let value = value(name, notification, channel);
                        has_placeholder = true;
                        has_value |= !value.is_empty();
                        filled.push_str(&escape(&value));
                    }
                }
            }
            (!has_placeholder || has_value).then_some(filled)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Default for Template {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

fn pieces(line: &str) -> Result<Vec<Piece<'_>>, BadTemplate> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or(BadTemplate::Unbalanced)?;
        if before.contains('}') {
            return Err(BadTemplate::Unbalanced);
        }
        found.push(Piece::Plain(before));
        found.push(Piece::Placeholder(name));
        rest = behind;
    }
    if rest.contains('}') {
        return Err(BadTemplate::Unbalanced);
    }
    found.push(Piece::Plain(rest));
    Ok(found)
}

fn value(name: &str, notification: &Notification, channel: ChannelContext<'_>) -> String {
    let alert = &notification.alert;
    let name = EARLIER.iter().find(|(earlier, _)| *earlier == name).map_or(name, |(_, current)| current);
    match name {
        "event" => notification.event.label().to_owned(),
        "severity" => alert.severity.label().to_owned(),
        "subject" => alert.subject.to_string(),
        "workspace" => alert.subject.workspace().map(ToString::to_string).unwrap_or_default(),
        "reason" => alert.reason.clone(),
        "summary" => alert.summary.clone(),
        "next" => notification.next().unwrap_or_default().to_owned(),
        "runbook" => channel.runbook.to_owned(),
        "since" => alert.since.to_string(),
        "source" => channel.source.to_owned(),
        "key" => channel.key.to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::domain::ids::ChannelName;
    use crate::domain::notification::{Alert, NotificationEvent, Severity, Subject};

    fn notification(event: NotificationEvent, summary: &str) -> Notification {
        let alert = Alert {
            key: "a".to_owned(),
            severity: Severity::Page,
            reason: "breaker".to_owned(),
            subject: Subject::Rekeyd,
            summary: summary.to_owned(),
            next: Some("rekeyd resume --all".to_owned()),
            anchor: String::new(),
            since: Timestamp::UNIX_EPOCH,
            grace: SignedDuration::ZERO,
        };
        Notification::new(&ChannelName::new("chat").unwrap(), event, &alert, Timestamp::UNIX_EPOCH)
    }

    fn filled(text: &str, event: NotificationEvent, summary: &str) -> String {
        let channel = ChannelContext { source: "eu", runbook: "", key: "eu/a" };
        Template::parse(text)
            .unwrap()
            .fill(&notification(event, summary), channel, |value| value.replace('<', "&lt;"))
    }

    #[test]
    fn placeholders_are_filled_once_and_empty_lines_left_out() {
        let text =
            "<b> {severity}/{event} {subject}\nrunbook: {runbook}\n{summary} ({key})\nnext: {next}\nplain";
        assert_eq!(
            filled(text, NotificationEvent::Opened, "{next} <x>"),
            "<b> page/opened rekeyd\n{next} &lt;x> (eu/a)\nnext: rekeyd resume --all\nplain"
        );
        assert_eq!(filled("{event}\nnext: {next}", NotificationEvent::Resolved, "x"), "resolved");
    }

    #[test]
    fn earlier_placeholders_are_still_valid() {
        let text = "{news} {what}";
        assert!(Template::parse(text).is_ok());
        assert_eq!(filled(text, NotificationEvent::Opened, "x"), "opened breaker");
    }

    #[test]
    fn an_invalid_template_is_rejected_and_not_shown() {
        for (text, expected) in [
            ("{sumary}", BadTemplate::Unknown),
            ("{}", BadTemplate::Unknown),
            ("{{summary}}", BadTemplate::Unbalanced),
            ("{summary", BadTemplate::Unbalanced),
            ("summary}", BadTemplate::Unbalanced),
            ("a } {summary}", BadTemplate::Unbalanced),
        ] {
            assert_eq!(Template::parse(text), Err(expected), "{text}");
        }
        for (name, _) in PLACEHOLDERS {
            assert!(Template::parse(&format!("{{{name}}}")).is_ok(), "{name}");
        }
        assert_eq!(Template::parse(DEFAULT), Ok(Template::default()));
    }
}
