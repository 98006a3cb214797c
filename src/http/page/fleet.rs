//! The fleet page: problems first, then workspaces, then the list of all other credentials.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::failure::Kind;
use crate::domain::ids::WorkspaceName;
use crate::domain::policy::Policy;
use crate::domain::report::holds::HoldReport;
use crate::domain::report::{CredentialReport, StatusReport};
use crate::http::page::accounts::Accounts;
use crate::http::page::cards::{self, CARDS};
use crate::http::page::cause::{self, Entry, entries};
use crate::http::page::conditions;
use crate::http::page::counts;
use crate::http::page::filter::Filter;
use crate::http::page::format::{self, command, count, relative};
use crate::http::page::impact;
use crate::http::page::layout::{self, Page};
use crate::http::page::list;
use crate::http::page::workspaces;
use crate::telemetry::observation::Observation;

pub(super) fn page(
    observation: &Observation,
    report: &StatusReport,
    filter: &Filter,
    policy: &Policy,
    spent: &BTreeMap<WorkspaceName, usize>,
) -> Page {
    let now = observation.at;
    let accounts = Accounts::new(observation, policy);
    let mut needy: Vec<&CredentialReport> = report.credentials.iter().filter(|it| it.attention).collect();
    needy.sort_by_key(|it| !impact::is_urgent(it, now));
    let problems = entries(&needy);
    let (shown, further) = problems.split_at(problems.len().min(CARDS));
    let mut rest: Vec<&CredentialReport> = if filter.is_on() {
        let matches = |it: &&CredentialReport| filter.matches(it, accounts.name(it));
        report.credentials.iter().filter(matches).collect()
    } else {
        let quiet = report.credentials.iter().filter(|it| !it.attention);
        further.iter().flat_map(Entry::members).chain(quiet).collect()
    };
    if let Some(order) = filter.order() {
        order.sort(&mut rest, now);
    }
    let body = html! {
        h1 aria-live="polite" { (headline(report, needy.len())) }
        (counts::nav(report, filter))
        (banners(observation))
        @if !filter.is_on() {
            @if !needy.is_empty() { (cards::section(shown, needy.len(), &accounts, now)) }
            @if !report.holds.is_empty() { (holds(&report.holds, now)) }
            (workspaces::section(observation, report, policy, spent))
        }
        (list::section(report, &rest, filter, shown.len(), now))
    };
    Page {
        status: StatusCode::OK,
        section: Some(layout::FLEET),
        title: title(observation, report, needy.len()),
        at: Some(now),
        body,
    }
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
        // A workspace that fails has a banner of its own below.
        @for condition in observation.conditions.iter().filter(|it| !it.kind.is_a_failing_workspace()) {
            (conditions::banner(condition))
        }
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

/// All holds: pauses and tripped breakers.
pub(super) fn holds(holds: &[HoldReport], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="held" {
            h2 #held { (count(holds.len(), "hold", "holds")) }
            @for hold in holds {
                @let group = if hold.is_breakers() { "bad" } else { "busy" };
                article class={ "card " (group) } {
                    h3 { (cause::title(hold)) }
                    p.where { "by " (hold.by) " since " (relative(hold.since, now)) }
                    @if !hold.why.is_empty() { p.summary { (hold.why) } }
                    (command(&hold.next_command))
                }
            }
        }
    }
}
