//! The status page: the fleet at `/`, each credential at `/credentials/{name}`. It only tells: whatever acts is typed
//! on the machine.
//!
//! Everything is rendered here and works without a script; with one it refreshes itself in place. No other origin is
//! asked for anything, and no other may frame it.

mod budget;
mod credential;
mod evidence;
mod filter;
mod fleet;
mod history;
mod impact;
mod layout;
mod list;
mod remarks;
mod rotation;
mod runbook;
mod timeline;
mod told;
mod words;
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

async fn credential(
    State(shared): State<Arc<PublicState>>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(name) = path.ok().and_then(|Path(name)| CredentialName::new(name).ok()) else {
        return unknown().into_response();
    };
    match told::tell(&shared, &name).await {
        Ok(Some(told)) => credential::page(&told).into_response(),
        Ok(None) => unknown().into_response(),
        Err(error) => unreadable(&error.to_string()).into_response(),
    }
}

/// The name is not repeated: it could be anything, even a key in the wrong place.
fn unknown() -> Page {
    let body = html! {
        h1 { "There is no credential of this name" }
        p.lede { "Neither the policy nor the journal knows it. Names are as the policy writes them." }
        p { a href="/" { "See every credential" } }
    };
    Page { status: StatusCode::NOT_FOUND, title: "no such credential".to_owned(), at: None, body }
}

/// Says so and what to do; that is all that can be told without a journal.
fn unreadable(why: &str) -> Page {
    let entry = runbook::entry("The journal cannot be written").unwrap_or_default();
    let body = html! {
        h1 { "The journal cannot be read" }
        p.lede { (why) }
        p.hurt { strong { "Is anyone hurt?" } " Nobody by this alone: keys go on working without the daemon." }
        h2 { "Look at the disk, and at what the daemon says" }
        (words::command("df -h /var/lib/rekeyd"))
        (words::command("journalctl -u rekeyd -n 50"))
        @for paragraph in &entry.meaning { p { (runbook::prose(paragraph)) } }
        @if let Some(to_do) = &entry.to_do { p { (runbook::prose(to_do)) } }
    };
    Page { status: StatusCode::SERVICE_UNAVAILABLE, title: "journal unreadable".to_owned(), at: None, body }
}
