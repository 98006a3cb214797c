//! The counts at the top: each credential is in exactly one of them, so that they add up to the whole.

use maud::{Markup, html};

use crate::domain::report::{CredentialHealth, CredentialReport, StatusReport};
use crate::http::page::filter::{ATTENTION, CALM, Filter};
use crate::http::page::format;

/// Those that need attention, then the others by condition, each with a link to the filtered list.
pub(super) fn nav(report: &StatusReport, filter: &Filter) -> Markup {
    let all = report.credentials.len();
    let needy = report.credentials.iter().filter(|it| it.attention).count();
    let plain = filter.q.is_empty() && filter.workspace.is_empty() && filter.cause.is_empty();
    let current = |label: &str, calm: bool| {
        (plain && filter.shown() == Some(label) && filter.is_calm() == calm).then_some("true")
    };
    html! {
        nav aria-label="Credentials by condition" {
            ul.counts {
                li { a href="/#list" aria-current=[(!filter.is_on()).then_some("true")] {
                    strong { (format::grouped(all)) } " in all"
                } }
                @if needy > 0 {
                    li { a.attention href={ "/?show=" (ATTENTION) "#list" } aria-current=[current(ATTENTION, false)] {
                        strong { (format::grouped(needy)) } (if needy == 1 { " needs attention" } else { " need attention" })
                    } }
                }
                @for condition in CredentialHealth::ALL.into_iter().rev() {
                    @let has = |it: &&CredentialReport| it.health == condition;
                    @let calm = report.credentials.iter().filter(has).filter(|it| !it.attention).count();
                    @let is_split = report.credentials.iter().filter(has).any(|it| it.attention);
                    @if calm > 0 {
                        li { a class=(format::group(condition)) href=(way(condition, is_split))
                            aria-current=[current(condition.label(), is_split)] {
                            strong { (format::grouped(calm)) } " " (format::spaced(condition.label()))
                        } }
                    }
                }
            }
        }
    }
}

/// Without those of the condition that are counted under attention.
fn way(condition: CredentialHealth, is_split: bool) -> String {
    let calm = if is_split { format!("&calm={CALM}") } else { String::new() };
    format!("/?show={}{calm}#list", condition.label())
}
