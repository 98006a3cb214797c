//! The list of credentials: compact, to be narrowed by condition and text, a page at a time.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::{CredentialHealth, CredentialReport, StatusReport};
use crate::domain::time::age;
use crate::http::page::filter::{ATTENTION, Filter, ROWS};
use crate::http::page::words::{self, away, grouped};

/// `told` of them stand above already.
pub(super) fn section(
    report: &StatusReport,
    rest: &[&CredentialReport],
    filter: &Filter,
    told: usize,
    now: Timestamp,
) -> Markup {
    let (page, pages) = filter.page(rest.len());
    let first = (page - 1) * ROWS;
    html! {
        section #list aria-labelledby="list-title" {
            h2 #list-title { (title(report, rest.len(), filter, told)) }
            @if !report.credentials.is_empty() { (form(filter)) }
            @if !rest.is_empty() {
                // The roles stay when a narrow window stacks the cells.
                table.rows role="table" {
                    caption.unseen { "Credentials, the worst first" }
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { "Credential" }
                        th role="columnheader" scope="col" { "CredentialHealth" }
                        th.wide role="columnheader" scope="col" { "Phase" }
                        th.wide role="columnheader" scope="col" { "Workspace" }
                        th.wide role="columnheader" scope="col" { "Key made" }
                        th role="columnheader" scope="col" { "Next" }
                    } }
                    tbody role="rowgroup" { @for report in rest.iter().skip(first).take(ROWS) { (row(report, now)) } }
                }
            }
            @if pages > 1 { (pager(filter, page, pages, rest.len())) }
        }
    }
}

fn title(report: &StatusReport, rest: usize, filter: &Filter, told: usize) -> String {
    let all = report.credentials.len();
    match (filter.is_on(), rest) {
        (true, 0) => format!("None of {} credentials is like that", grouped(all)),
        (true, 1) => format!("1 of {} credentials", grouped(all)),
        (true, rest) => format!("{} of {} credentials", grouped(rest), grouped(all)),
        (false, 0) if told > 0 => "There is no other credential".to_owned(),
        (false, 0) => "No credential".to_owned(),
        (false, rest) if told > 0 => format!("Everything else: {}", grouped(rest)),
        (false, rest) => words::count(rest, "credential", "credentials"),
    }
}

fn form(filter: &Filter) -> Markup {
    let options = [(ATTENTION, "that need you")];
    html! {
        search {
            form.filter method="get" action="/#list" {
                p {
                    label for="q" { "Text" }
                    input #q type="search" name="q" value=(filter.text()) maxlength="200" autocomplete="off" spellcheck="false";
                }
                p {
                    label for="show" { "CredentialHealth" }
                    select #show name="show" {
                        option value="" { "any" }
                        @for (value, label) in options {
                            option value=(value) selected[filter.shown() == Some(value)] { (label) }
                        }
                        @for condition in CredentialHealth::ALL {
                            @let label = condition.label();
                            option value=(label) selected[filter.shown() == Some(label)] { (label) }
                        }
                    }
                }
                button type="submit" { "Show" }
                @if filter.is_on() { a.clear href="/" { "Show everything" } }
            }
        }
    }
}

fn row(report: &CredentialReport, now: Timestamp) -> Markup {
    html! {
        tr role="row" id={ "row-" (report.credential) } {
            th role="rowheader" scope="row" {
                (words::link(report))
                @if report.health != CredentialHealth::Fine || report.attention { span.summary { (words::said(&report.summary)) } }
            }
            td role="cell" { (words::tag(report.health)) }
            td.wide role="cell" {
                @if let Some(rotation) = &report.rotation {
                    (words::phase(rotation.phase)) " " (age(rotation.phase_since, now))
                }
            }
            td.wide role="cell" { @if let Some(workspace) = &report.workspace { (workspace) } }
            td.wide role="cell" { @if let Some(since) = report.key_since { (away(since, now)) } }
            td role="cell" { (next(report, now)) }
        }
    }
}

/// The next instant at which something is planned.
pub(super) fn next(report: &CredentialReport, now: Timestamp) -> Markup {
    let Some(rotation) = &report.rotation else {
        return html! {
            @if report.requested { "asked for" }
            @else if let Some(due) = report.next_due { "due " (away(due, now)) }
        };
    };
    let waits = rotation.waits_until.filter(|until| *until > now);
    html! {
        @match (waits, rotation.deadline) {
            (Some(until), _) => { "goes on " (away(until, now)) },
            (None, Some(deadline)) => { "deadline " (away(deadline, now)) },
            (None, None) => {},
        }
    }
}

fn pager(filter: &Filter, page: usize, pages: usize, rows: usize) -> Markup {
    let (first, last) = ((page - 1) * ROWS + 1, (page * ROWS).min(rows));
    html! {
        nav.pager aria-label="Pages of the list" {
            @if page > 1 { a rel="prev" href=(filter.address(page - 1)) { "Previous" } }
            span { (grouped(first)) " to " (grouped(last)) " of " (grouped(rows)) }
            @if page < pages { a rel="next" href=(filter.address(page + 1)) { "Next" } }
        }
    }
}
