//! The page of one credential.

use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::CredentialReport;
use crate::domain::report::why::WhyReport;
use crate::http::page::commands;
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
        h1 { (report.credential) " " (format::tag(report, now)) }
        p.lede aria-live="polite" { (format::inline(&report.summary)) }
        p.impact { strong { "Impact:" } " " (runbook::prose(&impact::impact(report, now))) }
        (next(detail))
        (commands::section(&detail.commands, report.next_command.as_deref()))
        @for (index, entry) in entries.iter().enumerate() { (of_runbook(entry, index == 0)) }
        (findings(report, now))
        (held(report, now))
        (timeline::section(report, now))
        (rotation::section(&detail.why, detail.progress.as_ref()))
        (evidence::consumers(&detail.why))
        (evidence::section(&detail.why))
        (overview(detail))
        (history::section(detail, now))
    };
    let state = if report.attention { "needs attention" } else { report.health.label() };
    Page {
        status: StatusCode::OK,
        section: None,
        title: format!("{} {state}", report.credential),
        at: Some(now),
        body,
    }
}

fn next(detail: &Detail) -> Markup {
    let report = &detail.why.credential;
    html! {
        @if let Some(next) = &report.next_command {
            section aria-labelledby="next" {
                h2 #next { "Next command" }
                (command(next))
                @if let Some(effect) = commands::effect(&detail.commands, next) { p.where { (format::inline(effect)) } }
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
                            @if let Some(key) = &finding.key { " · key " (format::id(key.as_str())) }
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
fn overview(detail: &Detail) -> Markup {
    let (report, links) = (&detail.why.credential, &detail.links);
    html! {
        section aria-labelledby="what" {
            h2 #what { "Overview" }
            dl.facts {
                @if let Some(workspace) = &report.workspace {
                    dt { "Workspace" }
                    dd { (workspace) @if let Some(url) = &links.workspace { " " (format::out(url, "ElevenLabs")) } }
                }
                @if let Some(url) = &links.grafana { dt { "Dashboard" } dd { (format::out(url, "Grafana")) } }
                @if let Some(account) = &report.account {
                    dt { "Service account" }
                    dd { @if let Some(name) = &detail.account { (name) " " } (format::id(account.as_str())) }
                }
                @if let Some(key) = &report.key_id { dt { "Key" } dd { (format::id(key.as_str())) } }
                @if let Some(print) = &report.fingerprint { dt { "Fingerprint" } dd { (format::id(&print.to_string())) } }
                @if let Some(used) = &report.last_use {
                    dt { "Last used" }
                    dd { (format::inline(&used.told(|at| format!("{at:.0}")))) }
                }
                @for left in &report.left_destinations {
                    dt { "Left destination" }
                    dd { (format::inline(&left.summary())) }
                }
                @for (index, destination) in report.destinations.iter().enumerate() {
                    dt { "Destination" }
                    dd {
                        code { (destination.destination) } ", " (destination.state.label())
                        @if let Some(version) = &destination.version { ", version " (format::id(version.as_str())) }
                        @if destination.is_empty { "; it is empty: nobody reads it yet" }
                        @if let Some(url) = links.secret(index) { " " (format::out(url, "Open the secret")) }
                    }
                }
            }
        }
    }
}
