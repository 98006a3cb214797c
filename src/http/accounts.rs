//! The creation of service accounts over the operators' socket.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::ids::WorkspaceName;
use crate::domain::sanitize::is_unseen;
use crate::domain::sharing::SharingGroups;
use crate::http::holds::{bad, no_such_workspace};
use crate::http::operator::{OperatorState, refused};
use crate::http::peer::Peer;
use crate::http::response::{Problem, read_json};

const NAME_CHARACTERS_MAX: usize = 200;

const BODY: &str =
    "JSON such as {\"workspace\": \"NAME\", \"name\": \"ACCOUNT\", \"groups\": [\"ID:editor\"]}";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountBody {
    workspace: String,
    name: String,
    #[serde(default)]
    groups: Vec<String>,
}

pub(super) async fn create(
    State(shared): State<Arc<OperatorState>>,
    Extension(Peer(by)): Extension<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let AccountBody { workspace, name, groups: written } = read_json(body, BODY)?;
    let workspace = WorkspaceName::new(workspace).map_err(|_| no_such_workspace())?;
    if !shared.handle.context().policy.workspaces.contains_key(&workspace) {
        return Err(no_such_workspace());
    }
    let is_long = name.chars().count() > NAME_CHARACTERS_MAX;
    if name.trim().is_empty() || name.trim() != name || is_long || name.chars().any(is_unseen) {
        let rule = "must be one line without spaces around it, of at most";
        return Err(bad(format!("`name` {rule} {NAME_CHARACTERS_MAX} characters")));
    }
    let mut groups = SharingGroups::default();
    for group in &written {
        groups.add(group).map_err(|rule| bad(format!("`groups`: {rule}")))?;
    }
    tracing::info!(%workspace, %by, "operator command: create a service account");
    let done = shared.handle.create_account(workspace, name, groups, by).await.map_err(refused)?;
    Ok(Json(json!({ "message": done })))
}
