//! One credential: what it is, is anyone hurt, what to type next, and everything that it is known by.

use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::report::CredentialReport;
use crate::domain::report::why::WhyReport;
use crate::http::page::evidence;
use crate::http::page::history;
use crate::http::page::impact;
use crate::http::page::layout::Page;
use crate::http::page::rotation;
use crate::http::page::runbook::{self, Entry};
use crate::http::page::timeline;
use crate::http::page::told::Told;
use crate::http::page::words::{self, command, moment};

pub(super) fn page(told: &Told) -> Page {
    let WhyReport { at, credential: report, .. } = &told.why;
    let now = *at;
    let entries = impact::entries(report, now);
    let body = html! {
        nav.crumbs aria-label="Where this is" { a href="/" { "All credentials" } }
        h1 { (report.credential) " " (words::tag(report.health)) }
        p.lede aria-live="polite" { (words::said(&report.summary)) }
        p.hurt { strong { "Is anyone hurt?" } " " (runbook::prose(&impact::hurt(report, now))) }
        (next(report))
        @for (index, entry) in entries.iter().enumerate() { (of_runbook(entry, index == 0)) }
        (findings(report, now))
        (held(report, now))
        (timeline::section(report, now))
        (rotation::section(&told.why, told.course.as_ref()))
        (evidence::consumers(&told.why))
        (evidence::section(&told.why))
        (places(report))
        (history::section(told, now))
    };
    let state = if report.attention { "needs you" } else { report.health.label() };
    Page { status: StatusCode::OK, title: format!("{} {state}", report.credential), at: Some(now), body }
}

fn next(report: &CredentialReport) -> Markup {
    html! {
        @if let Some(next) = &report.next_command {
            section aria-labelledby="next" {
                h2 #next { "What to type next" }
                (command(next))
            }
        } @else if report.attention {
            section aria-labelledby="next" {
                h2 #next { "What to type next" }
                p { "Nothing: no command of rekeyd's mends this. Below is what to do." }
            }
        }
    }
}

/// The first tells most; the others are there to be unfolded.
fn of_runbook(entry: &Entry, is_first: bool) -> Markup {
    html! {
        details.runbook open[is_first] id={ "runbook-" (entry.title.replace(|c: char| !c.is_ascii_alphanumeric(), "-")) } {
            summary { "The runbook on " em { (runbook::prose(&entry.title)) } }
            @for paragraph in &entry.meaning { p { (runbook::prose(paragraph)) } }
            @if let Some(to_do) = &entry.to_do { p { strong { "Do: " } (runbook::prose(to_do)) } }
            @if let Some(verify) = &entry.verify { p { strong { "Verify: " } (runbook::prose(verify)) } }
        }
    }
}

fn findings(report: &CredentialReport, now: Timestamp) -> Markup {
    html! {
        @if !report.findings.is_empty() {
            section aria-labelledby="findings" {
                h2 #findings { "Found outside" }
                @for finding in &report.findings {
                    article.card.warn {
                        h3 { (words::spaced(finding.kind.label())) }
                        p.where {
                            "since " (moment(finding.since, now))
                            @if let Some(key) = &finding.key { " · key " code { (key) } }
                        }
                        p.summary { (words::said(&finding.detail)) }
                    }
                }
            }
        }
    }
}

fn held(report: &CredentialReport, now: Timestamp) -> Markup {
    html! { @if !report.held.is_empty() { (super::fleet::holds(&report.held, now)) } }
}

/// What it is, and where it is published.
fn places(report: &CredentialReport) -> Markup {
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut put = |label, text: Option<String>| facts.extend(text.map(|text| (label, text)));
    put("Workspace", report.workspace.as_ref().map(ToString::to_string));
    put("Service account", report.account.as_ref().map(ToString::to_string));
    put("Key", report.key_id.as_ref().map(ToString::to_string));
    put("Fingerprint", report.fingerprint.as_ref().map(ToString::to_string));
    html! {
        section aria-labelledby="what" {
            h2 #what { "What it is" }
            dl.facts {
                @for (label, text) in facts { dt { (label) } dd { code { (text) } } }
                @for place in &report.destinations {
                    dt { "Published to" }
                    dd {
                        code { (place.destination) } ", " (place.state.label())
                        @if let Some(version) = &place.version { " as version " code { (version) } }
                    }
                }
            }
        }
    }
}
