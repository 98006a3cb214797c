//! Pause and resume over the operators' socket.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::hold::{HoldKind, Scope};
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::sanitize::is_unseen;
use crate::http::operator::{OperatorState, is_known, not_among, refused, unknown};
use crate::http::peer::Peer;
use crate::http::response::{Problem, read_json};

const WHY_CHARACTERS_MAX: usize = 300;

const BODY: &str = "JSON with one of {\"all\": true}, {\"workspace\": \"NAME\"} and {\"credential\": \"NAME\"}, and \
                      optionally \"only\" (\"minting\" or \"revoking\") and, to pause, \"why\"";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldRequest {
    #[serde(default)]
    all: bool,
    workspace: Option<String>,
    credential: Option<String>,
    only: Option<HeldAction>,
    why: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HeldAction {
    Minting,
    Revoking,
}

impl From<HeldAction> for HoldKind {
    fn from(only: HeldAction) -> Self {
        match only {
            HeldAction::Minting => Self::Minting,
            HeldAction::Revoking => Self::Revoking,
        }
    }
}

pub(super) async fn pause(
    State(shared): State<Arc<OperatorState>>,
    Extension(Peer(by)): Extension<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let request: HoldRequest = read_json(body, BODY)?;
    let scope = scope(&shared, &request).await?;
    let why = request.why.unwrap_or_default();
    if why.chars().count() > WHY_CHARACTERS_MAX || why.chars().any(is_unseen) {
        return Err(bad(format!("`why` must be one line of at most {WHY_CHARACTERS_MAX} characters")));
    }
    let done =
        shared.handle.pause(scope, request.only.map(HoldKind::from), why, by).await.map_err(refused)?;
    Ok(Json(json!({ "message": done })))
}

pub(super) async fn resume(
    State(shared): State<Arc<OperatorState>>,
    Extension(Peer(by)): Extension<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let request: HoldRequest = read_json(body, BODY)?;
    if request.why.is_some() {
        return Err(bad("`why` is only for a pause".to_owned()));
    }
    let scope = scope(&shared, &request).await?;
    let done = shared.handle.resume(scope, request.only.map(HoldKind::from), by).await.map_err(refused)?;
    Ok(Json(json!({ "message": done })))
}

/// Refuses an unknown scope, whose hold would have no effect. A scope with a hold in force is always accepted.
async fn scope(shared: &OperatorState, request: &HoldRequest) -> Result<Scope, Problem> {
    match (request.all, &request.workspace, &request.credential) {
        (true, None, None) => Ok(Scope::Fleet),
        (false, Some(name), None) => {
            let name = WorkspaceName::new(name.as_str()).map_err(|_| no_such_workspace())?;
            let scope = Scope::Workspace(name.clone());
            let in_policy = shared.handle.context().policy.workspaces.contains_key(&name);
            if in_policy || shared.handle.is_held(&scope) { Ok(scope) } else { Err(no_such_workspace()) }
        }
        (false, None, Some(name)) => {
            let name = CredentialName::new(name.as_str()).map_err(|_| unknown())?;
            if is_known(shared, &name).await { Ok(Scope::Credential(name)) } else { Err(not_among(shared)) }
        }
        _ => Err(bad(format!("the body must be {BODY}"))),
    }
}

pub(super) fn no_such_workspace() -> Problem {
    let message = "no workspace has this name";
    Problem::new(StatusCode::NOT_FOUND, "no_such_workspace", message)
}

pub(super) fn bad(message: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", message)
}
