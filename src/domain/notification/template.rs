//! The words of a notice: a text with placeholders in braces. What is put in is never looked at again, and a line whose
//! placeholders all turn out empty is left out.

use crate::domain::notification::Notification;

/// Each with what stands in its place.
pub const PLACEHOLDERS: [(&str, &str); 11] = [
    ("news", "opened, changed, resolved or happened"),
    ("severity", "page, ticket or info"),
    ("subject", "the credential, the workspace, or rekeyd"),
    ("workspace", "the workspace, where there is one"),
    ("what", "the trouble in one word, as in the runbook"),
    ("summary", "what is wrong, in one line"),
    ("next", "what to type next; empty when it is over"),
    ("runbook", "where the runbook tells of it"),
    ("since", "since when"),
    ("source", "the channel's `source`"),
    ("key", "the key by which notices of one trouble belong together"),
];

/// What is said where a channel has no words of its own.
pub const DEFAULT: &str = "[{severity}] {news}: {subject}: {summary}\nnext: {next}\nrunbook: {runbook}";

/// A text whose placeholders are all known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// It is not shown: it could be anything.
    #[error("it has a placeholder that there is not")]
    Unknown,
    #[error("it has a brace without its other half")]
    Unbalanced,
}

/// What the channel itself adds.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
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
    /// Why it cannot be one.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        for line in text.lines() {
            for piece in pieces(line)? {
                if let Piece::Placeholder(name) = piece
                    && !PLACEHOLDERS.iter().any(|(known, _)| *known == name)
                {
                    return Err(BadTemplate::Unknown);
                }
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The text about a letter, with `escape` applied to all that is put in.
    #[must_use]
    pub fn fill(&self, letter: &Notification, around: Around<'_>, escape: impl Fn(&str) -> String) -> String {
        let lines = self.0.lines().filter_map(|line| {
            // Parsed before.
            let pieces = pieces(line).unwrap_or_default();
            let (mut filled, mut asked, mut given) = (String::new(), false, false);
            for piece in pieces {
                match piece {
                    Piece::Plain(text) => filled.push_str(text),
                    Piece::Placeholder(name) => {
                        let value = value(name, letter, around);
                        asked = true;
                        given |= !value.is_empty();
                        filled.push_str(&escape(&value));
                    }
                }
            }
            (!asked || given).then_some(filled)
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

fn value(name: &str, letter: &Notification, around: Around<'_>) -> String {
    let trouble = &letter.trouble;
    match name {
        "news" => letter.news.label().to_owned(),
        "severity" => trouble.severity.label().to_owned(),
        "subject" => trouble.subject.to_string(),
        "workspace" => trouble.subject.workspace().map(ToString::to_string).unwrap_or_default(),
        "what" => trouble.what.clone(),
        "summary" => trouble.summary.clone(),
        "next" => letter.next().unwrap_or_default().to_owned(),
        "runbook" => around.runbook.to_owned(),
        "since" => trouble.since.to_string(),
        "source" => around.source.to_owned(),
        "key" => around.key.to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::domain::ids::ChannelName;
    use crate::domain::notification::{Alert, News, Severity, Subject};

    fn letter(news: News, summary: &str) -> Notification {
        let trouble = Alert {
            key: "a".to_owned(),
            severity: Severity::Page,
            what: "breaker".to_owned(),
            subject: Subject::Rekeyd,
            summary: summary.to_owned(),
            next: Some("rekeyd resume --all".to_owned()),
            anchor: String::new(),
            since: Timestamp::UNIX_EPOCH,
            passes_within: SignedDuration::ZERO,
        };
        Notification::new(&ChannelName::new("chat").unwrap(), news, &trouble, Timestamp::UNIX_EPOCH)
    }

    fn filled(text: &str, news: News, summary: &str) -> String {
        let around = Around { source: "eu", runbook: "", key: "eu/a" };
        Template::parse(text)
            .unwrap()
            .fill(&letter(news, summary), around, |value| value.replace('<', "&lt;"))
    }

    #[test]
    fn placeholders_are_filled_once_and_empty_lines_left_out() {
        let text =
            "<b> {severity}/{news} {subject}\nrunbook: {runbook}\n{summary} ({key})\nnext: {next}\nplain";
        assert_eq!(
            filled(text, News::Opened, "{next} <x>"),
            "<b> page/opened rekeyd\n{next} &lt;x> (eu/a)\nnext: rekeyd resume --all\nplain"
        );
        assert_eq!(filled("{news}\nnext: {next}", News::Resolved, "x"), "resolved");
    }

    #[test]
    fn what_is_no_placeholder_is_refused_and_not_shown() {
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
