//! The operators' socket: commands and reads. The file's permissions decide who may connect; the audit log records who
//! gave a command.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::domain::audit::Actor;
use crate::domain::ids::CredentialName;
use crate::domain::report::condition::Condition;
use crate::domain::report::{CredentialReport, StatusReport};
use crate::engine::Command;
use crate::engine::CommandError;
use crate::engine::Handle;
use crate::http::accounts;
use crate::http::forget;
use crate::http::holds;
use crate::http::peer::Peer;
use crate::http::response::{self, Problem, read_json};
use crate::http::serve::{self, Limits};
use crate::http::socket::{self, BindError, SocketFile};
use crate::telemetry::observation::{Observer, Status};

const BODY_BYTES_MAX: usize = 4 * 1024;

/// A command waits for the call that its credential is in the middle of.
const RESPONSE_LIMIT: Duration = Duration::from_secs(90);

const LATE: &str = "no response yet; a command is carried out once the call under way has ended, see \
                    `rekeyd status`";

const LIMITS: Limits =
    Limits { connections: 32, head: Duration::from_secs(10), lifetime: Duration::from_secs(600) };

/// A request to reload the policy. The response is one line for the operator.
pub struct Reload {
    pub by: Actor,
    pub answer: oneshot::Sender<Result<String, String>>,
}

/// What the socket is made from.
pub struct Operator {
    pub handle: Handle,
    pub status: watch::Receiver<Status>,
    pub reload: mpsc::Sender<Reload>,
}

pub(super) struct OperatorState {
    pub(super) handle: Handle,
    observer: Observer,
    reload: mpsc::Sender<Reload>,
}

/// A bound socket. Its file is removed when this is dropped or `serve` returns.
pub struct OperatorSocket {
    listener: UnixListener,
    file: SocketFile,
}

impl OperatorSocket {
    /// Binds, replacing a stale socket. Must be called within the asynchronous runtime.
    ///
    /// # Errors
    /// The path is in use, is not a socket, or cannot be written.
    pub fn bind(path: &FilePath) -> Result<Self, BindError> {
        let (listener, file) = socket::bind(path)?;
        Ok(Self { listener, file })
    }

    /// Serves until `stop`, then at most a few seconds longer for responses under way, and removes the file. Dropping it
    /// stops at once.
    pub async fn serve(self, operator: Operator, stop: CancellationToken) {
        let Self { listener, file } = self;
        let Operator { handle, status, reload } = operator;
        let observer = Observer::new(handle.clone(), status);
        let routes = routes(Arc::new(OperatorState { handle, observer, reload }));
        let identify = |stream: UnixStream| {
            let peer = Peer::of(&stream);
            std::future::ready(Some((stream, peer)))
        };
        serve::serve(listener, LIMITS, routes, identify, stop).await;
        drop(file);
    }
}

fn routes(shared: Arc<OperatorState>) -> Router {
    let time_limit =
        middleware::from_fn(|request, next| response::within(RESPONSE_LIMIT, LATE, request, next));
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/conditions", get(conditions))
        .route("/v1/credentials/{name}", get(credential))
        .route("/v1/credentials/{name}/{verb}", post(command))
        .route("/v1/pause", post(holds::pause))
        .route("/v1/resume", post(holds::resume))
        .route("/v1/reload", post(reload))
        .route("/v1/sweep", post(sweep))
        .route("/v1/accounts", post(accounts::create))
        .route("/v1/forget", post(forget::forget))
        .fallback(response::not_found)
        .method_not_allowed_fallback(response::method_not_allowed)
        .layer(time_limit)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

/// How many credentials an answer names.
const NAMED_MAX: usize = 20;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandOptions {
    #[serde(default)]
    overwrite: bool,
    #[serde(default)]
    emergency: bool,
}

async fn command(
    State(shared): State<Arc<OperatorState>>,
    Extension(Peer(by)): Extension<Peer>,
    path: Result<Path<(String, String)>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let Path((name, verb)) = path.map_err(|_| unknown())?;
    let CommandOptions { overwrite, emergency } = match body {
        Ok(body) if body.is_empty() => CommandOptions::default(),
        body => read_json(body, "empty, or JSON such as {\"overwrite\": false}")?,
    };
    let command = match verb.as_str() {
        "rotate" if emergency => Command::Emergency,
        "rotate" => Command::Rotate,
        "accept" => Command::Accept,
        "retry" => Command::Retry { overwrite },
        "abort" => Command::Abort,
        "rollback" => Command::RollBack,
        "confirm" => Command::Confirm,
        "reinstate" => Command::Reinstate,
        "repair" => Command::Repair,
        _ => return Err(response::not_found().await),
    };
    if overwrite && verb != "retry" {
        let message = "`overwrite` is only for `retry`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_request", message));
    }
    if emergency && verb != "rotate" {
        let message = "`emergency` is only for `rotate`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_request", message));
    }
    let credential = CredentialName::new(name).map_err(|_| unknown())?;
    if !is_known(&shared, &credential).await {
        return Err(not_among(&shared));
    }
    tracing::info!(%credential, verb, overwrite, emergency, %by, "operator command");
    let done = shared.handle.request(credential, command, by).await.map_err(refused)?;
    Ok(Json(json!({ "message": done })))
}

/// Whether the policy or the journal has this credential. Other names are not logged: they could be a key, pasted by
/// mistake.
pub(super) async fn is_known(shared: &OperatorState, credential: &CredentialName) -> bool {
    shared.handle.context().policy.credentials.contains_key(credential)
        || !matches!(shared.handle.journal().load_one(credential).await, Ok(None))
}

async fn status(State(shared): State<Arc<OperatorState>>) -> Result<Json<StatusReport>, Problem> {
    shared.observer.observe_now().await.report.map(Json).map_err(unreadable)
}

/// Conditions of the daemon that concern no single credential. Does not read the journal.
async fn conditions(State(shared): State<Arc<OperatorState>>) -> Json<Vec<Condition>> {
    Json(shared.observer.conditions())
}

async fn credential(
    State(shared): State<Arc<OperatorState>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<CredentialReport>, Problem> {
    let Path(name) = path.map_err(|_| unknown())?;
    let name = CredentialName::new(name).map_err(|_| unknown())?;
    let report =
        shared.observer.credential_report(&name).await.map_err(|error| unreadable(error.to_string()))?;
    report.map(Json).ok_or_else(unknown)
}

fn unreadable(why: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "journal_unreadable", why)
}

async fn reload(
    State(shared): State<Arc<OperatorState>>,
    Extension(Peer(by)): Extension<Peer>,
) -> Result<Json<Value>, Problem> {
    tracing::info!(%by, "operator command: reload");
    let (response, outcome) = oneshot::channel();
    let reload = Reload { by: Actor::Operator(by), answer: response };
    shared.reload.send(reload).await.map_err(|_| refused(CommandError::Stopping))?;
    let outcome = outcome.await.map_err(|_| refused(CommandError::Stopping))?;
    let loaded =
        outcome.map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "policy_refused", why))?;
    Ok(Json(json!({ "message": loaded })))
}

async fn sweep(
    State(shared): State<Arc<OperatorState>>,
    Extension(Peer(by)): Extension<Peer>,
) -> Result<Json<Value>, Problem> {
    tracing::info!(%by, "operator command: sweep");
    shared.handle.sweep().await.map_err(refused)?;
    Ok(Json(json!({ "message": "searching every workspace for orphaned keys" })))
}

#[expect(clippy::needless_pass_by_value, reason = "used with `map_err`")]
pub(super) fn refused(why: CommandError) -> Problem {
    let (status, code) = match &why {
        CommandError::Because(_) => (StatusCode::CONFLICT, "refused"),
        CommandError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    Problem::new(status, code, why.to_string())
}

/// Of a name that no credential has: which ones there are.
pub(super) fn not_among(shared: &OperatorState) -> Problem {
    let context = shared.handle.context();
    let all = context.policy.credentials.len();
    if all == 0 {
        return unknown();
    }
    let named: Vec<&str> =
        context.policy.credentials.keys().take(NAMED_MAX).map(CredentialName::as_str).collect();
    let more = if all > named.len() { format!(" and {} more", all - named.len()) } else { String::new() };
    let message = format!(
        "no credential has this name; the policy has {}{more}: see `rekeyd status`",
        named.join(", ")
    );
    Problem::new(StatusCode::NOT_FOUND, "no_such_credential", message)
}

pub(super) fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_credential", "no credential has this name")
}
