//! Answers: JSON, never cached, within a time limit; and refusals, all in one form.

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
use crate::http::serve::Presence;

/// For a request's body.
const BODY: Duration = Duration::from_secs(10);

/// A refusal: what programs decide by, and what a person reads.
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// When it may be tried again.
    pub(super) retry_after: Option<Duration>,
}

/// What every refusal looks like.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ErrorBody {
    error: Details,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProblemDetails")]
struct Details {
    /// What programs decide by.
    code: &'static str,
    /// What a person reads.
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// Too many of something; `wait` is when there may be more.
    pub(super) fn too_many(code: &'static str, message: &str, wait: Duration) -> Self {
        let retry_after = Some(wait);
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, message) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, message, retry_after } = self;
        let told = ErrorBody { error: Details { code, message } };
        let mut response = (status, Json(told)).into_response();
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

/// The token that a request carries.
pub(super) fn bearer(headers: &HeaderMap) -> Option<SecretValue> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())?;
    SecretValue::new(token).ok()
}

/// Reads a body as JSON. What it holds is never repeated: it may be a secret in the wrong place.
pub(super) fn read_json<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
    wanted: &str,
) -> Result<T, Problem> {
    let bytes = body.map_err(|rejection| unreadable(&rejection))?;
    serde_json::from_slice(&bytes).map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", format!("the body has to be {wanted}"))
    })
}

/// Reads a query. What it holds is never repeated.
pub(super) fn read_query<T>(query: Result<Query<T>, QueryRejection>, wanted: &str) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|_| bad_query(wanted))
}

pub(super) fn bad_query(wanted: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", format!("the query may have {wanted}"))
}

pub(super) async fn no_such_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", "there is nothing at this path")
}

pub(super) async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "this path takes another method")
}

/// What goes into every answer, and how long it may take. The body is read before anything else, and until it has come
/// the connection counts as idle: who sends it slowly keeps nobody out.
pub(super) async fn within(limit: Duration, late: &'static str, request: Request, next: Next) -> Response {
    let mut response = match whole(request).await {
        Ok(request) => {
            let at_work = request.extensions().get::<Arc<Presence>>().map(Presence::works);
            let response = tokio::time::timeout(limit, next.run(request)).await;
            drop(at_work);
            let too_late = |_| Problem::new(StatusCode::GATEWAY_TIMEOUT, "too_late", late).into_response();
            response.unwrap_or_else(too_late)
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
    let Ok(read) = tokio::time::timeout(BODY, reading).await else {
        let slow = "the body took too long to come";
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", slow));
    };
    Ok(Request::from_parts(parts, read.map_err(|rejection| unreadable(&rejection))?.into()))
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large")
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "bad_request", "the body could not be read"),
    }
}
