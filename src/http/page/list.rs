//! The list of credentials, with a filter, an order and pages.

use std::collections::BTreeSet;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::ids::WorkspaceName;
use crate::domain::report::{CredentialHealth, CredentialReport, StatusReport};
use crate::domain::time::age;
use crate::http::page::cards;
use crate::http::page::cause::{Cause, Entry, entries};
use crate::http::page::filter::{ATTENTION, CALM, Filter, ROWS};
use crate::http::page::format::{self, grouped, relative};
use crate::http::page::order::{Column, Order};

/// `shown` cards are already above.
pub(super) fn section(
    report: &StatusReport,
    rest: &[&CredentialReport],
    filter: &Filter,
    shown: usize,
    now: Timestamp,
) -> Markup {
    // Who asks for certain rows, or for an order, wants to see each.
    let is_plain = !filter.is_on() && filter.order().is_none();
    let rows = if is_plain { entries(rest) } else { rest.iter().map(|it| Entry::One(it)).collect() };
    let (page, pages) = filter.page(rows.len());
    let first = (page - 1) * ROWS;
    html! {
        section #list aria-labelledby="list-title" {
            h2 #list-title aria-live="polite" { (title(report, rest.len(), filter, shown)) }
            @if !report.credentials.is_empty() { (form(report, filter)) }
            @if !rest.is_empty() {
                // The roles survive when a narrow window stacks the cells.
                table.rows role="table" {
                    caption.unseen { (caption(filter)) }
                    thead role="rowgroup" { tr role="row" { @for column in Column::ALL { (header(column, filter)) } } }
                    tbody role="rowgroup" {
                        @for entry in rows.iter().skip(first).take(ROWS) {
                            @match entry {
                                Entry::One(report) => (row(report, now)),
                                Entry::Many(cause, members) => (many(cause, members, now)),
                            }
                        }
                    }
                }
            }
            @if pages > 1 { (pager(filter, page, pages, rows.len())) }
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

fn caption(filter: &Filter) -> String {
    match filter.order() {
        None => "Credentials, most severe first".to_owned(),
        Some(order) => {
            let way = if order.is_descending { "descending" } else { "ascending" };
            format!("Credentials by {}, {way}", order.column.title().to_lowercase())
        }
    }
}

fn header(column: Column, filter: &Filter) -> Markup {
    let order = filter.order();
    let sorted = order.filter(|order| order.column == column);
    let sorted = sorted.map(|order| if order.is_descending { "descending" } else { "ascending" });
    html! {
        th.wide[column.is_wide()] role="columnheader" scope="col" aria-sort=[sorted] {
            a href=(filter.sorted_by(Order::after(order, column))) { (column.title()) }
        }
    }
}

/// Works without JavaScript; with it, the list follows each change.
fn form(report: &StatusReport, filter: &Filter) -> Markup {
    let workspaces: BTreeSet<&str> =
        report.credentials.iter().filter_map(|it| it.workspace.as_ref()).map(WorkspaceName::as_str).collect();
    let order = filter.order().map(Order::text);
    let kept = [
        ("calm", filter.is_calm().then_some(CALM)),
        ("cause", Some(filter.cause.as_str()).filter(|cause| !cause.is_empty())),
        ("sort", order.as_deref()),
    ];
    html! {
        search {
            form.filter method="get" action="/#list" {
                @for (name, value) in kept {
                    @if let Some(value) = value { input type="hidden" name=(name) value=(value); }
                }
                p {
                    label for="q" { "Text" }
                    input #q type="search" name="q" value=(filter.text()) maxlength="200" autocomplete="off" spellcheck="false";
                }
                @if workspaces.len() > 1 || !filter.workspace.is_empty() {
                    p {
                        label for="workspace" { "Workspace" }
                        select #workspace name="workspace" {
                            option value="" { "any" }
                            @for name in workspaces { option value=(name) selected[filter.workspace == name] { (name) } }
                        }
                    }
                }
                p {
                    label for="show" { "Condition" }
                    select #show name="show" {
                        option value="" { "any" }
                        option value=(ATTENTION) selected[filter.shown() == Some(ATTENTION)] { "needs attention" }
                        @for condition in CredentialHealth::ALL {
                            @let label = condition.label();
                            option value=(label) selected[filter.shown() == Some(label)] { (format::spaced(label)) }
                        }
                    }
                }
                button type="submit" { "Show" }
                @if filter.is_on() || filter.order().is_some() { a.clear href="/#list" { "Clear" } }
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
            td role="cell" { (format::tag(report, now)) }
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

/// Many with one cause, in one row.
fn many(cause: &Cause, members: &[&CredentialReport], now: Timestamp) -> Markup {
    let first = members.first();
    let workspace = first.and_then(|it| it.workspace.as_ref()).map_or("", |it| it.as_str());
    html! {
        tr.many role="row" id={ "rows-" (cause.slug) "-" (workspace) } {
            th role="rowheader" scope="row" {
                a href=(cards::list(cause, Some(workspace))) { (format::count(members.len(), "credential", "credentials")) " " (cause.words) }
                @if let Some(first) = first { span.summary { "such as " (first.credential) ": " (format::inline(&first.summary)) } }
            }
            td role="cell" { @if let Some(first) = first { (format::tag(first, now)) } }
            td.wide role="cell" {}
            td.wide role="cell" { (workspace) }
            td.wide role="cell" {}
            td role="cell" {}
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
