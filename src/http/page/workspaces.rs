//! The state of each workspace: reachability, mint budget, rotations, holds and clock skew.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::domain::ids::WorkspaceName;
use crate::domain::policy::{Policy, WorkspaceLimits};
use crate::domain::report::StatusReport;
use crate::domain::report::holds::HoldReport;
use crate::engine::WorkspaceHealth;
use crate::http::page::format::{grouped, relative};
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
                                dt { "Reachable" }
                                dd { (reachability(observation, name)) }
                                dt { "Keys created this hour" }
                                dd { (budget(limits, spent.get(name))) }
                                dt { "In progress" }
                                dd { (in_progress(limits, rotations(report, name))) }
                                dt { "Holds" }
                                dd { (active_holds(&report.holds, name)) }
                                @if let Some(health) = observation.workspaces.get(name) { (clocks_and_keys(health)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn reachability(observation: &Observation, name: &WorkspaceName) -> Markup {
    let Some(health) = observation.workspaces.get(name) else { return html! { "not checked yet" } };
    let last = health.last_answer;
    html! {
        @match (&health.failing, last) {
            (None, None) => { "not checked yet" },
            (None, Some(last)) => { "yes, last " (relative(last, observation.at)) },
            (Some(failure), None) => { strong.bad { "no" } ": " (failure.kind.label()) },
            (Some(failure), Some(last)) => {
                strong.bad { "no" } ": " (failure.kind.label()) ", last " (relative(last, observation.at))
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

fn rotations(report: &StatusReport, name: &WorkspaceName) -> usize {
    let here = |it: &&crate::domain::report::CredentialReport| {
        it.rotation.is_some() && it.workspace.as_ref() == Some(name)
    };
    report.credentials.iter().filter(here).count()
}

fn in_progress(limits: &WorkspaceLimits, rotations: usize) -> String {
    match limits.overlaps_at_once {
        usize::MAX => format!("{} rotations", grouped(rotations)),
        limit => format!("{} of {} rotations", grouped(rotations), grouped(limit)),
    }
}

/// The holds on the whole workspace.
fn active_holds(holds: &[HoldReport], name: &WorkspaceName) -> Markup {
    let over = |hold: &&HoldReport| {
        hold.scope == "fleet" || (hold.scope == "workspace" && hold.name.as_deref() == Some(name.as_str()))
    };
    let over: Vec<&HoldReport> = holds.iter().filter(over).collect();
    html! {
        @if over.is_empty() { "none" }
        @for (index, hold) in over.iter().enumerate() {
            @if index > 0 { "; " }
            @if hold.is_breakers() { strong.bad { "breaker tripped" } ": " (hold.what.label()) }
            @else { (hold.what.label()) ", by " (hold.by) }
        }
    }
}

/// The largest skew that is shown as none, in seconds.
const SKEW_SHOWN_FROM: u64 = 2;

fn clocks_and_keys(health: &WorkspaceHealth) -> Markup {
    html! {
        @if let Some(until) = health.silent_until {
            dt { "Silent" }
            dd { "until " (format!("{until:.0}")) ", as ElevenLabs asked" }
        }
        @if let Some(skew) = health.clock_skew_seconds {
            dt { "Clock skew" }
            dd {
                @if skew.unsigned_abs() <= SKEW_SHOWN_FROM { "none" }
                @else { "provider " (skew.unsigned_abs()) " s " (if skew > 0 { "ahead" } else { "behind" }) }
            }
        }
        @if let Some(foreign) = health.foreign_keys.filter(|foreign| *foreign > 0) {
            dt { "Foreign keys" }
            dd { (grouped(foreign)) }
        }
    }
}
