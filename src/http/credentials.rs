//! `GET /v1/credentials`: what is known of them, as `rekeyd status --output json` tells it, page by page.

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
use crate::http::public::Shared;
use crate::http::response::{Problem, bad_query, read_query};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 500;

const WANTED: &str =
    "`condition`, `workspace`, `attention` (`true` or `false`), `limit` (1 to 500) and `cursor`, each once";

/// Which credentials.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only those that fare so.
    condition: Option<CredentialHealth>,
    /// Only those of this workspace.
    workspace: Option<WorkspaceName>,
    /// Only those that need a person, or only those that do not.
    attention: Option<bool>,
    /// So many at most.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: usize,
    /// `next_cursor` of the page before.
    cursor: Option<CredentialName>,
}

fn limit() -> usize {
    LIMIT
}

/// A part of the report of `rekeyd status`: its credentials are in the order of their names, and all else is about the
/// whole fleet.
#[derive(Serialize, JsonSchema)]
pub(super) struct CredentialsPage {
    #[serde(flatten)]
    report: StatusReport,
    /// Where the next page begins; null at the end.
    next_cursor: Option<CredentialName>,
}

pub(super) async fn credentials(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<CredentialsPage>, Problem> {
    may_read(&shared, &caller, &headers)?;
    let asked = read_query(query, WANTED)?;
    if !(1..=LIMIT_MAX).contains(&asked.limit) {
        return Err(bad_query(WANTED));
    }
    let observation = shared.observer.observe().await;
    let report = observation.report.as_ref().map_err(|why| unreadable(why.clone()))?;
    Ok(Json(page(report, &asked)))
}

fn page(report: &StatusReport, asked: &Asked) -> CredentialsPage {
    let fits = |it: &&CredentialReport| {
        asked.condition.is_none_or(|condition| it.condition == condition)
            && asked.attention.is_none_or(|attention| it.attention == attention)
            && asked.workspace.as_ref().is_none_or(|workspace| it.workspace.as_ref() == Some(workspace))
            && asked.cursor.as_ref().is_none_or(|cursor| it.credential > *cursor)
    };
    let mut found: Vec<&CredentialReport> = report.credentials.iter().filter(fits).collect();
    found.sort_by(|one, other| one.credential.cmp(&other.credential));
    let is_more = found.len() > asked.limit;
    found.truncate(asked.limit);
    CredentialsPage {
        next_cursor: found.last().filter(|_| is_more).map(|last| last.credential.clone()),
        report: StatusReport {
            schema_version: report.schema_version,
            at: report.at,
            attention: report.attention,
            credentials: found.into_iter().cloned().collect(),
            holds: report.holds.clone(),
            failing_channels: report.failing_channels.clone(),
            remarks: report.remarks.clone(),
        },
    }
}

pub(super) async fn credential(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<CredentialReport>, Problem> {
    may_read(&shared, &caller, &headers)?;
    let Path(name) = path.map_err(|_| unknown())?;
    let name = CredentialName::new(name).map_err(|_| unknown())?;
    let told =
        shared.observer.credential_report(&name).await.map_err(|error| unreadable(error.to_string()))?;
    told.map(Json).ok_or_else(unknown)
}

/// Lets only those through who may read: what people look at tells the same.
pub(super) async fn for_readers(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    may_read(&shared, &caller, request.headers())?;
    Ok(next.run(request).await)
}

pub(super) fn may_read(shared: &Shared, caller: &Caller, headers: &HeaderMap) -> Result<(), Problem> {
    let consumers = Arc::clone(&shared.consumers.borrow());
    shared.access.reader(&consumers, caller, headers)
}

pub(super) fn unreadable(why: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "journal_unreadable", why)
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_credential", "there is no credential of this name")
}
