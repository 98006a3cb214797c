//! The list of credentials, with a filter and pages.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::{CredentialHealth, CredentialReport, StatusReport};
use crate::domain::time::age;
use crate::http::page::filter::{ATTENTION, Filter, ROWS};
use crate::http::page::format::{self, grouped, relative};

/// `shown` credentials are already above, as cards.
pub(super) fn section(
    report: &StatusReport,
    rest: &[&CredentialReport],
    filter: &Filter,
    shown: usize,
    now: Timestamp,
) -> Markup {
    let (page, pages) = filter.page(rest.len());
    let first = (page - 1) * ROWS;
    html! {
        section #list aria-labelledby="list-title" {
            h2 #list-title { (title(report, rest.len(), filter, shown)) }
            @if !report.credentials.is_empty() { (form(filter)) }
            @if !rest.is_empty() {
                // The roles survive when a narrow window stacks the cells.
                table.rows role="table" {
                    caption.unseen { "Credentials, most severe first" }
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { "Credential" }
                        th role="columnheader" scope="col" { "Condition" }
                        th.wide role="columnheader" scope="col" { "Phase" }
                        th.wide role="columnheader" scope="col" { "Workspace" }
                        th.wide role="columnheader" scope="col" { "Key created" }
                        th role="columnheader" scope="col" { "Next" }
                    } }
                    tbody role="rowgroup" { @for report in rest.iter().skip(first).take(ROWS) { (row(report, now)) } }
                }
            }
            @if pages > 1 { (pager(filter, page, pages, rest.len())) }
        }
    }
}

fn title(report: &StatusReport, rest: usize, filter: &Filter, shown: usize) -> String {
    let all = report.credentials.len();
    match (filter.is_on(), rest) {
        (true, 0) => format!("0 of {} credentials", grouped(all)),
        (true, 1) => format!("1 of {} credentials", grouped(all)),
        (true, rest) => format!("{} of {} credentials", grouped(rest), grouped(all)),
        (false, 0) if shown > 0 => "No other credentials".to_owned(),
        (false, 0) => "No credentials".to_owned(),
        (false, rest) if shown > 0 => format!("Other credentials: {}", grouped(rest)),
        (false, rest) => format::count(rest, "credential", "credentials"),
    }
}

fn form(filter: &Filter) -> Markup {
    let options = [(ATTENTION, "needs attention")];
    html! {
        search {
            form.filter method="get" action="/#list" {
                p {
                    label for="q" { "Text" }
                    input #q type="search" name="q" value=(filter.text()) maxlength="200" autocomplete="off" spellcheck="false";
                }
                p {
                    label for="show" { "Condition" }
                    select #show name="show" {
                        option value="" { "any" }
                        @for (value, label) in options {
                            option value=(value) selected[filter.shown() == Some(value)] { (label) }
                        }
                        @for condition in CredentialHealth::ALL {
                            @let label = condition.label();
                            option value=(label) selected[filter.shown() == Some(label)] { (format::spaced(label)) }
                        }
                    }
                }
                button type="submit" { "Show" }
                @if filter.is_on() { a.clear href="/" { "Clear" } }
            }
        }
    }
}

fn row(report: &CredentialReport, now: Timestamp) -> Markup {
    html! {
        tr role="row" id={ "row-" (report.credential) } {
            th role="rowheader" scope="row" {
                (format::link(report))
                @if report.health != CredentialHealth::Fine || report.attention { span.summary { (format::inline(&report.summary)) } }
            }
            td role="cell" { (format::tag(report.health)) }
            td.wide role="cell" {
                @if let Some(rotation) = &report.rotation {
                    (format::phase(rotation.phase)) " " (age(rotation.phase_since, now))
                }
            }
            td.wide role="cell" { @if let Some(workspace) = &report.workspace { (workspace) } }
            td.wide role="cell" { @if let Some(since) = report.key_since { (relative(since, now)) } }
            td role="cell" { (next(report, now)) }
        }
    }
}

/// The next planned time.
pub(super) fn next(report: &CredentialReport, now: Timestamp) -> Markup {
    let Some(rotation) = &report.rotation else {
        return html! {
            @if report.requested { "requested" }
            @else if let Some(due) = report.next_due { "due " (relative(due, now)) }
        };
    };
    let waits = rotation.waits_until.filter(|until| *until > now);
    html! {
        @match (waits, rotation.deadline) {
            (Some(until), _) => { "continues " (relative(until, now)) },
            (None, Some(deadline)) => { "deadline " (relative(deadline, now)) },
            (None, None) => {},
        }
    }
}

fn pager(filter: &Filter, page: usize, pages: usize, rows: usize) -> Markup {
    let (first, last) = ((page - 1) * ROWS + 1, (page * ROWS).min(rows));
    html! {
        nav.pager aria-label="Pages of the list" {
            @if page > 1 { a rel="prev" href=(filter.url(page - 1)) { "Previous" } }
            span { (grouped(first)) " to " (grouped(last)) " of " (grouped(rows)) }
            @if page < pages { a rel="next" href=(filter.url(page + 1)) { "Next" } }
        }
    }
}
