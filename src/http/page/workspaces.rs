//! How each workspace fares: does it answer, what is spent of its budgets, what holds it, do the clocks agree.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::domain::ids::WorkspaceName;
use crate::domain::policy::{Policy, WorkspaceLimits};
use crate::domain::report::StatusReport;
use crate::domain::report::holds::HoldReport;
use crate::engine::WorkspaceHealth;
use crate::http::page::words::{away, grouped};
use crate::telemetry::observation::Observation;

pub(super) fn section(
    observation: &Observation,
    report: &StatusReport,
    policy: &Policy,
    spent: &BTreeMap<WorkspaceName, usize>,
) -> Markup {
    html! {
        @if !policy.workspaces.is_empty() {
            section aria-labelledby="workspaces" {
                h2 #workspaces { "Workspaces" }
                ul.workspaces {
                    @for (name, limits) in &policy.workspaces {
                        li id={ "workspace-" (name) } {
                            h3 { (name) }
                            dl {
                                dt { "Answers" }
                                dd { (answers(observation, name)) }
                                dt { "Keys made this hour" }
                                dd { (budget(limits, spent.get(name))) }
                                dt { "Under way" }
                                dd { (places(limits, under_way(report, name))) }
                                dt { "Breaker and holds" }
                                dd { (restraint(&report.holds, name)) }
                                @if let Some(reach) = observation.workspaces.get(name) { (surroundings(reach)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn answers(observation: &Observation, name: &WorkspaceName) -> Markup {
    let Some(reach) = observation.workspaces.get(name) else { return html! { "not asked yet" } };
    let last = reach.last_answer;
    html! {
        @match (&reach.failing, last) {
            (None, None) => { "not asked yet" },
            (None, Some(last)) => { "yes, last " (away(last, observation.at)) },
            (Some(failure), None) => { strong.bad { "no" } ": " (failure.kind.label()) },
            (Some(failure), Some(last)) => {
                strong.bad { "no" } ": " (failure.kind.label()) ", last " (away(last, observation.at))
            },
        }
    }
}

fn budget(limits: &WorkspaceLimits, spent: Option<&usize>) -> String {
    let limit = usize::try_from(limits.mints_per_hour).unwrap_or(usize::MAX);
    match spent {
        Some(spent) => format!("{} of {}", grouped(*spent), grouped(limit)),
        None => format!("unknown, of {}", grouped(limit)),
    }
}

fn under_way(report: &StatusReport, name: &WorkspaceName) -> usize {
    let here = |it: &&crate::domain::report::CredentialReport| {
        it.rotation.is_some() && it.workspace.as_ref() == Some(name)
    };
    report.credentials.iter().filter(here).count()
}

fn places(limits: &WorkspaceLimits, under_way: usize) -> String {
    match limits.overlaps_at_once {
        usize::MAX => format!("{} rotations", grouped(under_way)),
        places => format!("{} of {} rotations", grouped(under_way), grouped(places)),
    }
}

/// What is in force for the workspace as a whole.
fn restraint(holds: &[HoldReport], name: &WorkspaceName) -> Markup {
    let over = |hold: &&HoldReport| {
        hold.scope == "fleet" || (hold.scope == "workspace" && hold.name.as_deref() == Some(name.as_str()))
    };
    let over: Vec<&HoldReport> = holds.iter().filter(over).collect();
    html! {
        @if over.is_empty() { "nothing is held" }
        @for (index, hold) in over.iter().enumerate() {
            @if index > 0 { "; " }
            @if hold.is_breakers() { strong.bad { "tripped" } ": " (hold.what.label()) " is held" }
            @else { (hold.what.label()) " is held by " (hold.by) }
        }
    }
}

/// Seconds between the clocks that are a breath, not a difference.
const AGREED_SECONDS: u64 = 2;

fn surroundings(reach: &WorkspaceHealth) -> Markup {
    html! {
        @if let Some(skew) = reach.clock_skew_seconds {
            dt { "Clocks" }
            dd {
                @if skew.unsigned_abs() <= AGREED_SECONDS { "agree" }
                @else { "the provider's is " (skew.unsigned_abs()) " s " (if skew > 0 { "ahead" } else { "behind" }) }
            }
        }
        @if let Some(foreign) = reach.foreign_keys.filter(|foreign| *foreign > 0) {
            dt { "Foreign keys" }
            dd { (grouped(foreign)) }
        }
    }
}
