//! A destination that left the policy is named no longer: over the operators' socket.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::ForgetError;
use crate::http::operator::{OperatorState, refused};
use crate::http::peer::Peer;
use crate::http::response::{Problem, read_json};

const BODY: &str = "JSON such as {\"destination\": \"STORE:SECRET\"}";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForgetBody {
    destination: String,
}

pub(super) async fn forget(
    State(shared): State<Arc<OperatorState>>,
    Extension(Peer(by)): Extension<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let ForgetBody { destination } = read_json(body, BODY)?;
    tracing::info!(%by, "operator command: forget a destination");
    match shared.handle.forget(&destination, &by).await {
        Ok(done) => Ok(Json(json!({ "message": done }))),
        Err(ForgetError::Command(why)) => Err(refused(why)),
        Err(error @ ForgetError::Journal(_)) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "journal_unreadable", error.to_string()))
        }
    }
}
