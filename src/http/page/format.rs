//! How every page shows conditions, instants, commands and numbers.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::phase::PhaseName;
use crate::domain::report::{CredentialHealth, CredentialReport};
use crate::domain::time::distance;
use crate::http::page::impact;

/// The condition as a label with a colour: what needs attention never looks like what only waits.
pub(super) fn tag(report: &CredentialReport, now: Timestamp) -> Markup {
    html! { span class={ "tag " (severity(report, now)) } { (spaced(report.health.label())) } }
}

/// The severity class of a credential.
pub(super) fn severity(report: &CredentialReport, now: Timestamp) -> &'static str {
    match (report.attention, group(report.health)) {
        (true, _) if impact::is_urgent(report, now) => "bad",
        (true, "well" | "busy" | "waits") => "warn",
        (_, group) => group,
    }
}

/// The severity class of the style sheet.
pub(super) fn group(condition: CredentialHealth) -> &'static str {
    match condition {
        CredentialHealth::Fine => "well",
        CredentialHealth::Rotating => "busy",
        CredentialHealth::Waiting => "waits",
        CredentialHealth::Retrying | CredentialHealth::OutOfSync => "warn",
        CredentialHealth::Parked
        | CredentialHealth::Blocked
        | CredentialHealth::Damaged
        | CredentialHealth::Failing => "bad",
    }
}

/// A link to the page of the credential.
pub(super) fn link(report: &CredentialReport) -> Markup {
    html! { a href={ "/credentials/" (report.credential) } { (report.credential) } }
}

/// The time of day, such as `03:12:04 UTC`.
pub(super) fn clock(at: Timestamp) -> Markup {
    html! { time datetime=(format!("{at:.0}")) { (at.strftime("%H:%M:%S UTC")) } }
}

/// The distance from now; the instant is in the title.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> Markup {
    if at == Timestamp::MAX {
        return html! { "never" };
    }
    html! { time datetime=(format!("{at:.0}")) title=(full(at)) { (distance(at, now)) } }
}

/// The instant with its distance from now.
pub(super) fn instant(at: Timestamp, now: Timestamp) -> Markup {
    if at == Timestamp::MAX {
        return html! { "never" };
    }
    html! { time.full datetime=(format!("{at:.0}")) { (full(at)) } " " span.away { "(" (distance(at, now)) ")" } }
}

fn full(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Renders a message: backticks become code, and instants have the format of the page.
pub(super) fn inline(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (dated(part)) }
        }
    }
}

fn dated(text: &str) -> Markup {
    html! {
        @for word in text.split_inclusive(char::is_whitespace) {
            @let end = word.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ';' | ',' | '.' | ')')).len();
            @let (bare, after) = word.split_at(end);
            @match bare.parse::<Timestamp>() {
                Ok(at) => { time datetime=(format!("{at:.0}")) { (full(at)) } (after) },
                Err(_) => (word),
            }
        }
    }
}

/// A command: a click selects it, and a button copies it if JavaScript is enabled.
pub(super) fn command(command: &str) -> Markup {
    html! {
        div.command {
            code { @for (index, word) in command.split(' ').enumerate() { @if index > 0 { " " } span.word { (word) } } }
            button.copy type="button" aria-label={ "Copy the command " (command) } { "Copy" }
        }
    }
}

/// An id with a button that copies it.
pub(super) fn id(text: &str) -> Markup {
    html! {
        span.id {
            code { (text) }
            button.copy type="button" aria-label={ "Copy " (text) } { "Copy" }
        }
    }
}

/// A link to another system.
pub(super) fn out(url: &str, text: &str) -> Markup {
    html! { a.out href=(url) rel="external noopener noreferrer" { (text) } }
}

/// The label of a phase as words.
pub(super) fn phase(phase: PhaseName) -> String {
    spaced(phase.label())
}

/// A label as words: `old_key_unusable` becomes `old key unusable`.
pub(super) fn spaced(label: &str) -> String {
    label.replace('_', " ")
}

/// `1 credential`, `1,000 credentials`.
pub(super) fn count(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(count)) }
}

/// `1,000`.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_code_and_instants_and_is_escaped() {
        let text = inline("`a<b>`: not before 2026-11-25T04:15:31.885380929Z; and <i>").into_string();
        let time = "<time datetime=\"2026-11-25T04:15:31Z\">2026-11-25 04:15:31 UTC</time>";
        assert_eq!(text, format!("<code>a&lt;b&gt;</code>: not before {time}; and &lt;i&gt;"));
    }

    #[test]
    fn large_counts_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
        assert_eq!(count(1, "key", "keys"), "1 key");
    }
}
