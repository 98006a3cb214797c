//! The fleet at a glance: what is wrong first, in words; then workspaces; then everything else, in a list.

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
use crate::http::page::filter::{ATTENTION, Filter};
use crate::http::page::impact;
use crate::http::page::layout::Page;
use crate::http::page::list;
use crate::http::page::remarks;
use crate::http::page::runbook;
use crate::http::page::words::{self, away, command, count};
use crate::http::page::workspaces;
use crate::telemetry::observation::Observation;

/// Of those that need a person; more are in the list that the count leads to.
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
        (notices(observation))
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
        return "engine stands still".to_owned();
    }
    match needy {
        0 if report.attention => "rekeyd needs you".to_owned(),
        0 => "nothing needs you".to_owned(),
        1 => "1 needs you".to_owned(),
        many => format!("{} need you", words::grouped(many)),
    }
}

fn headline(report: &StatusReport, needy: usize) -> String {
    let all = report.credentials.len();
    match (needy, all) {
        (0, _) if report.attention => beside(report).to_owned(),
        (0, 0) => "There is no credential yet".to_owned(),
        (0, _) => "Nothing needs you".to_owned(),
        (1, 1) => "The only credential needs you".to_owned(),
        (1, all) => format!("1 of {} credentials needs you", words::grouped(all)),
        (needy, all) => {
            format!("{} of {} credentials need you", words::grouped(needy), words::grouped(all))
        }
    }
}

/// What needs a person where no credential does.
fn beside(report: &StatusReport) -> &'static str {
    let remark = report.conditions.iter().find(|remark| remark.kind.needs_an_operator());
    if report.holds.iter().any(HoldReport::is_breakers) {
        "A breaker has tripped"
    } else {
        remark.map_or("A channel of notifications fails", |remark| remarks::title(remark.kind))
    }
}

/// Each a link to those that it counts.
fn counts(report: &StatusReport, needy: usize, filter: &Filter) -> Markup {
    let such = |condition| report.credentials.iter().filter(|it| it.health == condition).count();
    let current = |label| (filter.shown() == Some(label)).then_some("true");
    html! {
        nav aria-label="Credentials by condition" {
            ul.counts {
                @if needy > 0 {
                    li { a href={ "/?show=" (ATTENTION) "#list" } aria-current=[current(ATTENTION)] {
                        strong { (words::grouped(needy)) } (if needy == 1 { " needs you" } else { " need you" })
                    } }
                }
                @for condition in CredentialHealth::ALL.into_iter().rev() {
                    @let count = such(condition);
                    @if count > 0 {
                        li { a class=(words::group(condition)) href={ "/?show=" (condition.label()) "#list" }
                            aria-current=[current(condition.label())] {
                            strong { (words::grouped(count)) } " " (condition.label())
                        } }
                    }
                }
            }
        }
    }
}

/// What is wrong with the daemon itself, or with all of a workspace.
fn notices(observation: &Observation) -> Markup {
    html! {
        @if !observation.is_alive() {
            div.notice.bad {
                h2 { "The engine's loop stands still" }
                p {
                    @if let Some(beat) = observation.heartbeat.beat { "It last went round " (away(beat, observation.at)) ". " }
                    "Keys go on working, but nothing is rotated. To restart the daemon is safe at any moment."
                }
                (command("systemctl restart rekeyd"))
            }
        }
        @if observation.status.draining {
            div.notice { h2 { "rekeyd is stopping" } p { "Every rotation goes on to its next journalled point." } }
        }
        @if observation.status.reload_refused.is_some() {
            div.notice.warn {
                h2 { "The newest policy was refused" }
                p { "The one before is in force. " code { "rekeyd check" } " says what is wrong with the new one." }
                (command("rekeyd check /etc/rekeyd/policy.toml"))
            }
        }
        @for remark in &observation.conditions { (remarks::notice(remark)) }
        @for (name, reach) in &observation.workspaces {
            @if let Some(failure) = &reach.failing {
                div.notice.warn {
                    @if matches!(failure.kind, Kind::Unauthenticated | Kind::Forbidden) {
                        h2 { "Workspace " (name) " refuses the admin key" }
                    } @else {
                        h2 { "Workspace " (name) " does not answer as it should" }
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
        section aria-labelledby="needs-you" {
            h2 #needs-you { "What needs you" }
            @for report in needy.iter().take(CARDS) { (card(report, now)) }
            @if needy.len() > CARDS {
                p {
                    a href={ "/?show=" (ATTENTION) "#list" } { "All " (words::grouped(needy.len())) " that need you" }
                }
            }
        }
    }
}

fn card(report: &CredentialReport, now: Timestamp) -> Markup {
    let phase = report.rotation.as_ref().map(|it| (it.parked_in.unwrap_or(it.phase), it.phase_since));
    let group = if impact::is_urgent(report, now) { "bad" } else { words::group(report.health) };
    html! {
        article class={ "card " (group) } id={ "card-" (report.credential) } {
            h3 { (words::link(report)) " " (words::tag(report.health)) }
            p.where {
                @if let Some(workspace) = &report.workspace { (workspace) }
                @if let Some((phase, since)) = phase {
                    " · " (if report.health == CredentialHealth::Parked { "parked in " } else { "in " })
                    (words::phase(phase)) " since " (age(since, now))
                }
            }
            p.summary { (words::said(&report.summary)) }
            p.hurt { strong { "Is anyone hurt?" } " " (runbook::prose(&impact::hurt(report, now))) }
            @if let Some(next) = &report.next_command { (command(next)) }
            @else if let Some(to_do) = impact::to_do(report, now) {
                p.hurt { strong { "What to do?" } " " (runbook::prose(&to_do)) }
            }
        }
    }
}

/// Breakers and pauses, whatever they are about.
pub(super) fn holds(holds: &[HoldReport], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="held" {
            h2 #held { (count(holds.len(), "hold in force", "holds in force")) }
            @for hold in holds {
                @let group = if hold.is_breakers() { "bad" } else { "busy" };
                article class={ "card " (group) } {
                    h3 { (what_is_held(hold)) }
                    p.where { "by " (hold.by) " since " (away(hold.since, now)) }
                    @if !hold.why.is_empty() { p.summary { (hold.why) } }
                    (command(&hold.next_command))
                }
            }
        }
    }
}

fn what_is_held(hold: &HoldReport) -> String {
    let what = match hold.what {
        HoldKind::Everything => "Everything",
        HoldKind::Minting => "Minting",
        HoldKind::Revoking => "Revoking",
    };
    match (hold.scope, &hold.name) {
        ("workspace", Some(name)) => format!("{what} is held in workspace {name}"),
        (_, Some(name)) => format!("{what} is held for {name}"),
        (_, None) => format!("{what} is held everywhere"),
    }
}
