//! The cards of the credentials that need attention: one each, or one for many with the same cause.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::{CredentialHealth, CredentialReport};
use crate::domain::time::age;
use crate::http::page::accounts::Accounts;
use crate::http::page::cause::{Cause, Entry};
use crate::http::page::filter::{ATTENTION, Filter};
use crate::http::page::format::{self, command};
use crate::http::page::impact;
use crate::http::page::runbook;

/// The largest number of cards; further credentials are in the list.
pub(super) const CARDS: usize = 12;

/// The names on a card of many.
const NAMES: usize = 50;

/// `all` need attention.
pub(super) fn section(shown: &[Entry<'_>], all: usize, accounts: &Accounts<'_>, now: Timestamp) -> Markup {
    let on_cards: usize = shown.iter().map(|entry| entry.members().count()).sum();
    html! {
        section aria-labelledby="needs-attention" {
            h2 #needs-attention { "Needs attention" }
            @for entry in shown {
                @match entry {
                    Entry::One(report) => (one(report, accounts, now)),
                    Entry::Many(cause, members) => (many(cause, members, now)),
                }
            }
            @if all > on_cards {
                p { a href={ "/?show=" (ATTENTION) "#list" } { "All " (format::grouped(all)) " that need attention" } }
            }
        }
    }
}

fn one(report: &CredentialReport, accounts: &Accounts<'_>, now: Timestamp) -> Markup {
    let phase = report.rotation.as_ref().map(|it| (it.parked_in.unwrap_or(it.phase), it.phase_since));
    let name = &report.credential;
    html! {
        article class={ "card " (format::severity(report, now)) } id={ "card-" (name) } {
            h3 { (format::link(report)) " " (format::tag(report, now)) }
            p.where {
                @if let Some(workspace) = &report.workspace { (workspace) }
                @if let Some(account) = accounts.name(report).filter(|account| *account != name.as_str()) { " · " (account) }
                @if let Some((phase, since)) = phase {
                    " · " (if report.health == CredentialHealth::Parked { "parked, was in " } else { "in " })
                    (format::phase(phase)) " since " (age(since, now))
                }
            }
            p.summary { (format::inline(&report.summary)) }
            p.impact { strong { "Impact:" } " " (runbook::prose(&impact::impact(report, now))) }
            @if let Some(next) = &report.next_command { (command(next)) }
            @else if let Some(action) = impact::action(report, now) {
                p.impact { strong { "Action:" } " " (runbook::prose(&action)) }
            }
            p.more { a href={ "/credentials/" (name) "#commands" } { "All commands for " (name) } }
        }
    }
}

fn many(cause: &Cause, members: &[&CredentialReport], now: Timestamp) -> Markup {
    let first = members.first();
    let workspace = first.and_then(|it| it.workspace.as_ref());
    let list = list(cause, workspace.map(|it| it.as_str()));
    html! {
        article class={ "card " (first.map_or("warn", |it| format::severity(it, now))) } id={ "cause-" (cause.slug) "-" (workspace.map_or("", |it| it.as_str())) } {
            h3 { a href=(list) { (format::count(members.len(), "credential", "credentials")) " " (cause.words) } }
            @if let Some(workspace) = workspace { p.where { (workspace) } }
            @if let Some(first) = first {
                p.summary { (first.credential) ": " (format::inline(&first.summary)) }
                p.impact { strong { "Impact:" } " " (runbook::prose(&impact::impact(first, now))) }
                @if let Some(action) = impact::action(first, now) {
                    p.impact { strong { "Action:" } " " (runbook::prose(&action)) }
                }
            }
            details.names id={ "names-" (cause.slug) "-" (workspace.map_or("", |it| it.as_str())) } {
                summary { "Which ones" }
                ul { @for member in members.iter().take(NAMES) { li { (format::link(member)) } } }
                @if members.len() > NAMES { p { a href=(list) { "All " (format::grouped(members.len())) } } }
            }
        }
    }
}

/// The URL of the list of all that have the cause.
pub(super) fn list(cause: &Cause, workspace: Option<&str>) -> String {
    let workspace = workspace.unwrap_or_default().to_owned();
    Filter { cause: cause.slug.clone(), workspace, ..Filter::default() }.url(1)
}
