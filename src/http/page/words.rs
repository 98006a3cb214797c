//! What every page writes alike: conditions, instants, commands, counts.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::phase::PhaseName;
use crate::domain::report::{CredentialHealth, CredentialReport};
use crate::domain::time::distance;

/// The condition as a word with a mark before it: the colour only repeats what the word says.
pub(super) fn tag(condition: CredentialHealth) -> Markup {
    html! { span class={ "tag " (group(condition)) } { (condition.label()) } }
}

/// How bad it is, of four: what the style sheet knows.
pub(super) fn group(condition: CredentialHealth) -> &'static str {
    match condition {
        CredentialHealth::Fine => "well",
        CredentialHealth::Rotating | CredentialHealth::Waiting => "busy",
        CredentialHealth::Retrying | CredentialHealth::OutOfSync => "warn",
        CredentialHealth::Parked | CredentialHealth::Blocked | CredentialHealth::Damaged => "bad",
    }
}

/// Its page.
pub(super) fn link(report: &CredentialReport) -> Markup {
    html! { a href={ "/credentials/" (report.credential) } { (report.credential) } }
}

/// `03:12:04`, of today.
pub(super) fn clock(at: Timestamp) -> Markup {
    html! { time datetime=(format!("{at:.0}")) { (at.strftime("%H:%M:%S UTC")) } }
}

/// How far away; the instant itself is in the element.
pub(super) fn away(at: Timestamp, now: Timestamp) -> Markup {
    if at == Timestamp::MAX {
        return html! { "never" };
    }
    html! { time datetime=(format!("{at:.0}")) title=(full(at)) { (distance(at, now)) } }
}

/// The instant, and how far away it is.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    if at == Timestamp::MAX {
        return html! { "never" };
    }
    html! { time datetime=(format!("{at:.0}")) { (full(at)) } " " span.away { "(" (distance(at, now)) ")" } }
}

fn full(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// What rekeyd says of something: names in backticks are code, and instants are as everywhere else on the page.
pub(super) fn said(text: &str) -> Markup {
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

/// What to type: selected as a whole by a click, and copied by a button where there is a script.
pub(super) fn command(command: &str) -> Markup {
    html! {
        div.command {
            code { @for (index, word) in command.split(' ').enumerate() { @if index > 0 { " " } span.word { (word) } } }
            button.copy type="button" aria-label={ "Copy the command " (command) } { "Copy" }
        }
    }
}

/// A phase in words.
pub(super) fn phase(phase: PhaseName) -> String {
    spaced(phase.label())
}

/// A label as words: `old_key_unusable`, the word of metrics and runbook, is `old key unusable`.
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
    let mut told = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_has_code_and_instants_and_is_escaped() {
        let told = said("`a<b>`: not before 2026-11-25T04:15:31.885380929Z; and <i>").into_string();
        let time = "<time datetime=\"2026-11-25T04:15:31Z\">2026-11-25 04:15:31 UTC</time>";
        assert_eq!(told, format!("<code>a&lt;b&gt;</code>: not before {time}; and &lt;i&gt;"));
    }

    #[test]
    fn large_counts_are_grouped() {
        for (number, told) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), told);
        }
        assert_eq!(count(1, "key", "keys"), "1 key");
    }
}
