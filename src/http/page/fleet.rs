//! The fleet page: problems first, then workspaces, then the list of all other credentials.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::failure::Kind;
use crate::domain::hold::HoldKind;
use crate::domain::ids::WorkspaceName;
use crate::domain::policy::Policy;
use crate::domain::report::holds::HoldReport;
use crate::domain::report::{CredentialHealth, CredentialReport, StatusReport};
use crate::domain::time::age;
use crate::http::page::conditions;
use crate::http::page::filter::{ATTENTION, Filter};
use crate::http::page::format::{self, command, count, relative};
use crate::http::page::impact;
use crate::http::page::layout::Page;
use crate::http::page::list;
use crate::http::page::runbook;
use crate::http::page::workspaces;
use crate::telemetry::observation::Observation;

/// The largest number of cards; further credentials are in the list.
const CARDS: usize = 12;

pub(super) fn page(
    observation: &Observation,
    report: &StatusReport,
    filter: &Filter,
    policy: &Policy,
    spent: &BTreeMap<WorkspaceName, usize>,
) -> Page {
    let now = observation.at;
    let mut needy: Vec<&CredentialReport> = report.credentials.iter().filter(|it| it.attention).collect();
    needy.sort_by_key(|it| !impact::is_urgent(it, now));
    let rest: Vec<&CredentialReport> = if filter.is_on() {
        report.credentials.iter().filter(|it| filter.matches(it)).collect()
    } else {
        let quiet = report.credentials.iter().filter(|it| !it.attention);
        needy.iter().skip(CARDS).copied().chain(quiet).collect()
    };
    let body = html! {
        h1 aria-live="polite" { (headline(report, needy.len())) }
        (counts(report, needy.len(), filter))
        (banners(observation))
        @if !filter.is_on() {
            @if !needy.is_empty() { (cards(&needy, now)) }
            @if !report.holds.is_empty() { (holds(&report.holds, now)) }
            (workspaces::section(observation, report, policy, spent))
        }
        (list::section(report, &rest, filter, needy.len().min(CARDS), now))
    };
    Page { status: StatusCode::OK, title: title(observation, report, needy.len()), at: Some(now), body }
}

fn title(observation: &Observation, report: &StatusReport, needy: usize) -> String {
    if !observation.is_alive() {
        return "engine stalled".to_owned();
    }
    match needy {
        0 if report.attention => "rekeyd needs attention".to_owned(),
        0 => "no problems".to_owned(),
        1 => "1 needs attention".to_owned(),
        many => format!("{} need attention", format::grouped(many)),
    }
}

fn headline(report: &StatusReport, needy: usize) -> String {
    let all = report.credentials.len();
    match (needy, all) {
        (0, _) if report.attention => daemon_headline(report).to_owned(),
        (0, 0) => "No credentials yet".to_owned(),
        (0, _) => "No problems".to_owned(),
        (1, 1) => "The only credential needs attention".to_owned(),
        (1, all) => format!("1 of {} credentials needs attention", format::grouped(all)),
        (needy, all) => {
            format!("{} of {} credentials need attention", format::grouped(needy), format::grouped(all))
        }
    }
}

/// The problem of the daemon, if no credential needs attention.
fn daemon_headline(report: &StatusReport) -> &'static str {
    let condition = report.conditions.iter().find(|condition| condition.kind.needs_an_operator());
    if report.holds.iter().any(HoldReport::is_breakers) {
        "A circuit breaker has tripped"
    } else {
        condition.map_or("A notification channel fails", |condition| conditions::title(condition.kind))
    }
}

/// The number of credentials by condition, each with a link to the filtered list.
fn counts(report: &StatusReport, needy: usize, filter: &Filter) -> Markup {
    let number = |condition| report.credentials.iter().filter(|it| it.health == condition).count();
    let current = |label| (filter.shown() == Some(label)).then_some("true");
    html! {
        nav aria-label="Credentials by condition" {
            ul.counts {
                @if needy > 0 {
                    li { a href={ "/?show=" (ATTENTION) "#list" } aria-current=[current(ATTENTION)] {
                        strong { (format::grouped(needy)) } (if needy == 1 { " needs attention" } else { " need attention" })
                    } }
                }
                @for condition in CredentialHealth::ALL.into_iter().rev() {
                    @let count = number(condition);
                    @if count > 0 {
                        li { a class=(format::group(condition)) href={ "/?show=" (condition.label()) "#list" }
                            aria-current=[current(condition.label())] {
                            strong { (format::grouped(count)) } " " (format::spaced(condition.label()))
                        } }
                    }
                }
            }
        }
    }
}

/// Problems of the daemon and of workspaces.
fn banners(observation: &Observation) -> Markup {
    html! {
        @if !observation.is_alive() {
            div.notice.bad {
                h2 { "The engine loop has stalled" }
                p {
                    @if let Some(beat) = observation.heartbeat.beat { "Its last run was " (relative(beat, observation.at)) ". " }
                    "Keys keep working, but no key is rotated. A restart of the daemon is safe at any time."
                }
                (command("systemctl restart rekeyd"))
            }
        }
        @if observation.status.draining {
            div.notice { h2 { "rekeyd is stopping" } p { "Rotations continue up to their next journal entry." } }
        }
        @if observation.status.reload_refused.is_some() {
            div.notice.warn {
                h2 { "The newest policy was rejected" }
                p { "The previous policy stays in force. " code { "rekeyd check" } " reports the errors of the new one." }
                (command("rekeyd check /etc/rekeyd/policy.toml"))
            }
        }
        @for condition in &observation.conditions { (conditions::banner(condition)) }
        @for (name, health) in &observation.workspaces {
            @if let Some(failure) = &health.failing {
                div.notice.warn {
                    @if matches!(failure.kind, Kind::Unauthenticated | Kind::Forbidden) {
                        h2 { "Workspace " (name) " rejects the admin key" }
                    } @else {
                        h2 { "Workspace " (name) " is unreachable" }
                    }
                    p { (failure) }
                    (command("rekeyd doctor"))
                }
            }
        }
    }
}

fn cards(needy: &[&CredentialReport], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="needs-attention" {
            h2 #needs-attention { "Needs attention" }
            @for report in needy.iter().take(CARDS) { (card(report, now)) }
            @if needy.len() > CARDS {
                p {
                    a href={ "/?show=" (ATTENTION) "#list" } { "All " (format::grouped(needy.len())) " that need attention" }
                }
            }
        }
    }
}

fn card(report: &CredentialReport, now: Timestamp) -> Markup {
    let phase = report.rotation.as_ref().map(|it| (it.parked_in.unwrap_or(it.phase), it.phase_since));
    let group = if impact::is_urgent(report, now) { "bad" } else { format::group(report.health) };
    html! {
        article class={ "card " (group) } id={ "card-" (report.credential) } {
            h3 { (format::link(report)) " " (format::tag(report.health)) }
            p.where {
                @if let Some(workspace) = &report.workspace { (workspace) }
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
        }
    }
}

/// All holds: pauses and tripped breakers.
pub(super) fn holds(holds: &[HoldReport], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="held" {
            h2 #held { (count(holds.len(), "hold", "holds")) }
            @for hold in holds {
                @let group = if hold.is_breakers() { "bad" } else { "busy" };
                article class={ "card " (group) } {
                    h3 { (hold_title(hold)) }
                    p.where { "by " (hold.by) " since " (relative(hold.since, now)) }
                    @if !hold.why.is_empty() { p.summary { (hold.why) } }
                    (command(&hold.next_command))
                }
            }
        }
    }
}

fn hold_title(hold: &HoldReport) -> String {
    let what = match hold.what {
        HoldKind::Everything => "Everything",
        HoldKind::Minting => "Key creation",
        HoldKind::Revoking => "Revocation",
    };
    match (hold.scope, &hold.name) {
        ("workspace", Some(name)) => format!("{what} held in workspace {name}"),
        (_, Some(name)) => format!("{what} held for {name}"),
        (_, None) => format!("{what} held in all workspaces"),
    }
}
