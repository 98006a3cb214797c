//! The page of one credential.

use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::CredentialReport;
use crate::domain::report::why::WhyReport;
use crate::http::page::detail::Detail;
use crate::http::page::evidence;
use crate::http::page::format::{self, command, instant};
use crate::http::page::history;
use crate::http::page::impact;
use crate::http::page::layout::Page;
use crate::http::page::rotation;
use crate::http::page::runbook::{self, Entry};
use crate::http::page::timeline;

pub(super) fn page(detail: &Detail) -> Page {
    let WhyReport { at, credential: report, .. } = &detail.why;
    let now = *at;
    let entries = impact::entries(report, now);
    let body = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/" { "All credentials" } }
        h1 { (report.credential) " " (format::tag(report.health)) }
        p.lede aria-live="polite" { (format::inline(&report.summary)) }
        p.impact { strong { "Impact:" } " " (runbook::prose(&impact::impact(report, now))) }
        (next(report))
        @for (index, entry) in entries.iter().enumerate() { (of_runbook(entry, index == 0)) }
        (findings(report, now))
        (held(report, now))
        (timeline::section(report, now))
        (rotation::section(&detail.why, detail.progress.as_ref()))
        (evidence::consumers(&detail.why))
        (evidence::section(&detail.why))
        (overview(report))
        (history::section(detail, now))
    };
    let state = if report.attention { "needs attention" } else { report.health.label() };
    Page { status: StatusCode::OK, title: format!("{} {state}", report.credential), at: Some(now), body }
}

fn next(report: &CredentialReport) -> Markup {
    html! {
        @if let Some(next) = &report.next_command {
            section aria-labelledby="next" {
                h2 #next { "Next command" }
                (command(next))
            }
        } @else if report.attention {
            section aria-labelledby="next" {
                h2 #next { "Next command" }
                p { "No rekeyd command applies; see the runbook entry." }
            }
        }
    }
}

/// The first entry is expanded, the others are collapsed.
fn of_runbook(entry: &Entry, is_first: bool) -> Markup {
    html! {
        details.runbook open[is_first] id={ "runbook-" (entry.title.replace(|c: char| !c.is_ascii_alphanumeric(), "-")) } {
            summary { "Runbook: " em { (runbook::prose(&entry.title)) } }
            @for paragraph in &entry.meaning { p { (runbook::prose(paragraph)) } }
            @if let Some(action) = &entry.action { p { strong { "Action: " } (runbook::prose(action)) } }
            @if let Some(verify) = &entry.verify { p { strong { "Verify: " } (runbook::prose(verify)) } }
        }
    }
}

fn findings(report: &CredentialReport, now: Timestamp) -> Markup {
    html! {
        @if !report.findings.is_empty() {
            section aria-labelledby="findings" {
                h2 #findings { "Findings" }
                @for finding in &report.findings {
                    article.card.warn {
                        h3 { (format::spaced(finding.kind.label())) }
                        p.where {
                            "since " (instant(finding.since, now))
                            @if let Some(key) = &finding.key { " · key " code { (key) } }
                        }
                        p.summary { (format::inline(&finding.detail)) }
                    }
                }
            }
        }
    }
}

fn held(report: &CredentialReport, now: Timestamp) -> Markup {
    html! { @if !report.held.is_empty() { (super::fleet::holds(&report.held, now)) } }
}

/// The identity of the credential and its destinations.
fn overview(report: &CredentialReport) -> Markup {
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut put = |label, text: Option<String>| facts.extend(text.map(|text| (label, text)));
    put("Workspace", report.workspace.as_ref().map(ToString::to_string));
    put("Service account", report.account.as_ref().map(ToString::to_string));
    put("Key", report.key_id.as_ref().map(ToString::to_string));
    put("Fingerprint", report.fingerprint.as_ref().map(ToString::to_string));
    html! {
        section aria-labelledby="what" {
            h2 #what { "Overview" }
            dl.facts {
                @for (label, text) in facts { dt { (label) } dd { code { (text) } } }
                @if let Some(used) = &report.last_use {
                    dt { "Last used" }
                    dd { (format::inline(&used.told(|at| format!("{at:.0}")))) }
                }
                @for destination in &report.destinations {
                    dt { "Destination" }
                    dd {
                        code { (destination.destination) } ", " (destination.state.label())
                        @if let Some(version) = &destination.version { ", version " code { (version) } }
                        @if destination.is_empty { "; it is empty: nobody reads it yet" }
                    }
                }
            }
        }
    }
}
