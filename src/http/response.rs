//! Responses: JSON, never cached, within a time limit; and errors in one form.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::secret::SecretValue;
use crate::http::serve::ConnectionState;

/// Time limit for a request's body.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// An error response: a code for programs and a message for users.
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// When to try again.
    pub(super) retry_after: Option<Duration>,
}

/// The body of every error response.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ErrorBody {
    error: ProblemDetails,
}

#[derive(Serialize, JsonSchema)]
struct ProblemDetails {
    /// For programs.
    code: &'static str,
    /// For users.
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// A rate limit was exceeded; try again after `wait`.
    pub(super) fn too_many(code: &'static str, message: &str, wait: Duration) -> Self {
        let retry_after = Some(wait);
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, message) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, message, retry_after } = self;
        let body = ErrorBody { error: ProblemDetails { code, message } };
        let mut response = (status, Json(body)).into_response();
        if let Some(wait) = retry_after {
            let seconds = HeaderValue::from(wait.as_secs().saturating_add(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// The bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<SecretValue> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())?;
    SecretValue::new(token).ok()
}

/// Reads a body as JSON. The error never repeats the content, which may be a misplaced secret.
pub(super) fn read_json<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
    wanted: &str,
) -> Result<T, Problem> {
    let bytes = body.map_err(|rejection| unreadable(&rejection))?;
    serde_json::from_slice(&bytes).map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", format!("the body must be {wanted}"))
    })
}

/// Reads a query. The error never repeats the content.
pub(super) fn read_query<T>(query: Result<Query<T>, QueryRejection>, wanted: &str) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|_| bad_query(wanted))
}

pub(super) fn bad_query(wanted: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", format!("the query takes {wanted}"))
}

pub(super) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "no such path")
}

pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the path does not take this method")
}

/// Middleware of every route: headers of the response, and its time limit. The body is read first, and the connection
/// counts as idle until it has come, so that a slow sender does not block other clients.
pub(super) async fn within(limit: Duration, late: &'static str, request: Request, next: Next) -> Response {
    let mut response = match whole(request).await {
        Ok(request) => {
            let busy = request.extensions().get::<Arc<ConnectionState>>().map(ConnectionState::busy);
            let response = tokio::time::timeout(limit, next.run(request)).await;
            drop(busy);
            let timed_out =
                |_| Problem::new(StatusCode::GATEWAY_TIMEOUT, "response_timeout", late).into_response();
            response.unwrap_or_else(timed_out)
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The request with its whole body.
async fn whole(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let reading = Bytes::from_request(Request::from_parts(parts.clone(), body), &());
    let Ok(read) = tokio::time::timeout(BODY_LIMIT, reading).await else {
        let slow = "the body did not arrive in time";
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", slow));
    };
    Ok(Request::from_parts(parts, read.map_err(|rejection| unreadable(&rejection))?.into()))
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "the body is too large")
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "bad_request", "cannot read the body"),
    }
}
