//! `GET /v1/credentials`: the report of `rekeyd status --output json`, page by page.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::report::{CredentialHealth, CredentialReport, StatusReport};
use crate::http::access::Caller;
use crate::http::public::PublicState;
use crate::http::response::{Problem, bad_query, read_query};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 500;

const PARAMETERS: &str =
    "`health`, `workspace`, `attention` (`true` or `false`), `limit` (1 to 500) and `cursor`, each once";

/// The filter and the page.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialsQuery {
    /// Only credentials in this health state.
    health: Option<CredentialHealth>,
    /// Only credentials of this workspace.
    workspace: Option<WorkspaceName>,
    /// `true`: only credentials that need an operator; `false`: only those that do not.
    attention: Option<bool>,
    /// Page size.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: usize,
    /// `next_cursor` of the previous page.
    cursor: Option<CredentialName>,
}

fn limit() -> usize {
    LIMIT
}

/// The report of `rekeyd status` with one page of its credentials, ordered by name. All other fields are about the whole
/// fleet.
#[derive(Serialize, JsonSchema)]
pub(super) struct CredentialsPage {
    #[serde(flatten)]
    report: StatusReport,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<CredentialName>,
}

pub(super) async fn credentials(
    State(shared): State<Arc<PublicState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    query: Result<Query<CredentialsQuery>, QueryRejection>,
) -> Result<Json<CredentialsPage>, Problem> {
    may_read(&shared, &caller, &headers)?;
    let query = read_query(query, PARAMETERS)?;
    if !(1..=LIMIT_MAX).contains(&query.limit) {
        return Err(bad_query(PARAMETERS));
    }
    let observation = shared.observer.observe().await;
    let report = observation.report.as_ref().map_err(|why| unreadable(why.clone()))?;
    Ok(Json(page(report, &query)))
}

fn page(report: &StatusReport, query: &CredentialsQuery) -> CredentialsPage {
    let fits = |it: &&CredentialReport| {
        query.health.is_none_or(|health| it.health == health)
            && query.attention.is_none_or(|attention| it.attention == attention)
            && query.workspace.as_ref().is_none_or(|workspace| it.workspace.as_ref() == Some(workspace))
            && query.cursor.as_ref().is_none_or(|cursor| it.credential > *cursor)
    };
    let mut found: Vec<&CredentialReport> = report.credentials.iter().filter(fits).collect();
    found.sort_by(|one, other| one.credential.cmp(&other.credential));
    let is_more = found.len() > query.limit;
    found.truncate(query.limit);
    CredentialsPage {
        next_cursor: found.last().filter(|_| is_more).map(|last| last.credential.clone()),
        report: StatusReport {
            schema_version: report.schema_version,
            at: report.at,
            attention: report.attention,
            credentials: found.into_iter().cloned().collect(),
            holds: report.holds.clone(),
            failing_channels: report.failing_channels.clone(),
            conditions: report.conditions.clone(),
        },
    }
}

pub(super) async fn credential(
    State(shared): State<Arc<PublicState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<CredentialReport>, Problem> {
    may_read(&shared, &caller, &headers)?;
    let Path(name) = path.map_err(|_| unknown())?;
    let name = CredentialName::new(name).map_err(|_| unknown())?;
    let report =
        shared.observer.credential_report(&name).await.map_err(|error| unreadable(error.to_string()))?;
    report.map(Json).ok_or_else(unknown)
}

/// Middleware for pages that show the same: only readers get through.
pub(super) async fn for_readers(
    State(shared): State<Arc<PublicState>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    may_read(&shared, &caller, request.headers())?;
    Ok(next.run(request).await)
}

pub(super) fn may_read(shared: &PublicState, caller: &Caller, headers: &HeaderMap) -> Result<(), Problem> {
    let consumers = Arc::clone(&shared.consumers.borrow());
    shared.access.reader(&consumers, caller, headers)
}

pub(super) fn unreadable(why: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "journal_unreadable", why)
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_credential", "there is no credential of this name")
}
