//! The status page, which is read-only: the fleet at `/`, each credential at `/credentials/{name}`, the next
//! months at `/calendar`, and the audit log at `/activity`.
//!
//! The server renders everything, and the page works without JavaScript; with it, the page refreshes in place. It loads
//! nothing from other origins and cannot be framed.

mod accounts;
mod activity;
mod ages;
mod budget;
mod calendar;
mod cards;
mod cause;
mod chart;
mod commands;
mod conditions;
mod counts;
mod credential;
mod detail;
mod evidence;
mod filter;
mod fleet;
mod format;
mod history;
mod impact;
mod layout;
mod links;
mod list;
mod order;
mod rotation;
mod runbook;
mod timeline;
mod workspaces;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::html;

use crate::domain::ids::CredentialName;
use crate::domain::report::condition::place_command;
use crate::http::page::filter::Filter;
use crate::http::page::layout::Page;
use crate::http::public::PublicState;

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

pub(super) fn routes() -> Router<Arc<PublicState>> {
    Router::new()
        .route("/", get(fleet))
        .route("/credentials/{name}", get(credential))
        .route(layout::CALENDAR, get(calendar))
        .route(layout::ACTIVITY, get(activity))
        .route("/page.css", get(|| async { asset("text/css; charset=utf-8", include_str!("style.css")) }))
        .route("/page.js", get(|| async { asset("text/javascript; charset=utf-8", include_str!("page.js")) }))
        .route("/page.svg", get(|| async { asset("image/svg+xml", include_str!("icon.svg")) }))
        .layer(middleware::map_response(async |mut response: Response| {
            response.headers_mut().extend(HEADERS);
            response
        }))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn fleet(
    State(shared): State<Arc<PublicState>>,
    query: Result<Query<Filter>, QueryRejection>,
) -> Response {
    let filter = query.map(|Query(filter)| filter).unwrap_or_default();
    let observation = shared.observer.observe().await;
    match &observation.report {
        Ok(report) => {
            let spent = budget::spent(&shared, observation.at).await;
            let policy = shared.handle.context();
            fleet::page(&observation, report, &filter, &policy.policy, &spent).into_response()
        }
        Err(why) => unreadable(why).into_response(),
    }
}

async fn calendar(State(shared): State<Arc<PublicState>>) -> Response {
    let observation = shared.observer.observe().await;
    match &observation.report {
        Ok(report) => calendar::page(report, &shared.handle.context().policy, observation.at).into_response(),
        Err(why) => unreadable(why).into_response(),
    }
}

async fn activity(
    State(shared): State<Arc<PublicState>>,
    query: Result<Query<activity::Query>, QueryRejection>,
) -> Response {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    match activity::page(&shared, &query).await {
        Ok(page) => page.into_response(),
        Err(error) => unreadable(&error.to_string()).into_response(),
    }
}

async fn credential(
    State(shared): State<Arc<PublicState>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(name) = path.ok().and_then(|Path(name)| CredentialName::new(name).ok()) else {
        return unknown().into_response();
    };
    match detail::load(&shared, &name).await {
        Ok(Some(detail)) => credential::page(&detail).into_response(),
        Ok(None) => unknown().into_response(),
        Err(error) => unreadable(&error.to_string()).into_response(),
    }
}

/// The page does not repeat the name, which could be a key that was pasted by mistake.
fn unknown() -> Page {
    let body = html! {
        h1 { "Credential not found" }
        p.lede { "Neither the policy nor the journal has a credential with this name." }
        p { a href="/" { "All credentials" } }
    };
    Page {
        status: StatusCode::NOT_FOUND,
        section: None,
        title: "credential not found".to_owned(),
        at: None,
        body,
    }
}

/// The error and the runbook entry, if the journal cannot be read.
fn unreadable(why: &str) -> Page {
    let entry = runbook::entry("The journal cannot be written").unwrap_or_default();
    let body = html! {
        h1 { "Cannot read the journal" }
        p.lede { (why) }
        p.impact { strong { "Impact:" } " None yet. Keys keep working without the daemon." }
        h2 { "Next commands" }
        (format::command(&place_command("/var/lib/rekeyd")))
        (format::command("journalctl -u rekeyd -n 50"))
        @for paragraph in &entry.meaning { p { (runbook::prose(paragraph)) } }
        @if let Some(action) = &entry.action { p { (runbook::prose(action)) } }
    };
    Page {
        status: StatusCode::SERVICE_UNAVAILABLE,
        section: None,
        title: "journal unreadable".to_owned(),
        at: None,
        body,
    }
}
