//! The activity: what was done and by whom, from the audit log, newest first.

use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::domain::audit::{ChainedAct, canonical};
use crate::http::page::format::{self, grouped, relative};
use crate::http::page::layout::{self, Page};
use crate::http::public::PublicState;
use crate::ports::journal;

/// Records on one page.
const RECORDS: u64 = 100;

/// Said in the record of an event for programs only.
const FOR_PROGRAMS: [&str; 2] = ["entry", "entry_sha256"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// Only records with a smaller number.
    before: String,
}

pub(super) async fn page(shared: &PublicState, query: &Query) -> Result<Page, journal::Error> {
    let (journal, now) = (shared.handle.journal(), shared.handle.context().clock.now());
    let head = journal.audit_head().await?.sequence;
    let end = query.before.parse::<u64>().unwrap_or(u64::MAX).clamp(1, head.saturating_add(1)) - 1;
    let after = end.saturating_sub(RECORDS);
    let limit = usize::try_from(end - after).unwrap_or(0);
    let records = if limit == 0 { Vec::new() } else { journal.audit(after, limit).await? };
    let body = html! {
        h1 { "Activity" }
        p.lede { "Who did what, newest first, from the audit log. " code { "rekeyd audit verify" } " tells whether it is whole." }
        @if records.is_empty() { p { "Nothing has happened yet." } }
        ol.feed { @for record in records.iter().rev() { (one(record, now)) } }
        nav.pager aria-label="Pages of the activity" {
            @if end < head { a rel="prev" href=(layout::ACTIVITY) { "Newest" } }
            @if end > 0 { span { (grouped_number(after + 1)) " to " (grouped_number(end)) " of " (grouped_number(head)) } }
            @if after > 0 { a rel="next" href={ (layout::ACTIVITY) "?before=" (after + 1) } { "Older" } }
        }
    };
    Ok(Page {
        status: StatusCode::OK,
        section: Some(layout::ACTIVITY),
        title: "activity".to_owned(),
        at: Some(now),
        body,
    })
}

fn grouped_number(number: u64) -> String {
    grouped(usize::try_from(number).unwrap_or(usize::MAX))
}

fn one(record: &ChainedAct, now: Timestamp) -> Markup {
    let act = &record.act;
    let details = act.details.iter().filter(|(name, _)| !FOR_PROGRAMS.contains(&name.as_str()));
    html! {
        li id={ "act-" (record.sequence) } {
            span.when { (relative(act.at, now)) }
            span.what {
                strong { (format::spaced(&act.what)) }
                @if let Some(credential) = &act.credential { " " a href={ "/credentials/" (credential) } { (credential) } }
                @else if let Some(workspace) = &act.workspace { " " (workspace) }
            }
            span.by { (act.actor.to_string()) }
            span.details {
                @for (index, (name, value)) in details.enumerate() {
                    @if index > 0 { ", " }
                    (format::spaced(name)) " "
                    @if let Some(text) = value.as_str() { (text) } @else { code { (canonical(value)) } }
                }
            }
        }
    }
}
