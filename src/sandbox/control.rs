//! The control surface under `/sandbox`: operators' actions in the dashboard, and fault injection. The table of its
//! routes is in the documentation of [`crate::sandbox`].

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::domain::secret::Fingerprint;
use crate::sandbox::answer::Body;
use crate::sandbox::api_version::ApiVersion;
use crate::sandbox::faults::Fault;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::request;
use crate::sandbox::rules::Rules;
use crate::sandbox::server::Shared;

type Sandbox = State<Arc<Shared>>;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/truth", get(truth))
        .route("/values", get(values))
        .route("/orphans", post(orphans))
        .route("/accounts", post(create_account))
        .route("/accounts/{account}", patch(share))
        .route("/accounts/{account}/keys", post(create_key))
        .route("/keys/{key}", delete(delete_key).patch(change_key))
        .route("/keys/{key}/disable", post(disable_key))
        .route("/keys/{key}/enable", post(enable_key))
        .route("/rules", get(rules).patch(change_rules))
        .route("/faults", get(faults).put(set_faults))
}

/// A refusal of the control surface: the status, and what is wrong.
struct Wrong(StatusCode, String);

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        let is_missing = matches!(refusal, Refusal::AccountNotFound | Refusal::KeyNotFound);
        let status = if is_missing { StatusCode::NOT_FOUND } else { StatusCode::UNPROCESSABLE_ENTITY };
        Self(status, format!("{refusal:?}"))
    }
}

async fn truth(State(shared): Sandbox) -> Response {
    Json(shared.workspace().truth(shared.now())).into_response()
}

async fn values(State(shared): Sandbox) -> Json<Vec<String>> {
    Json(shared.workspace().values().map(str::to_owned).collect())
}

#[derive(serde::Deserialize)]
struct Published {
    published: BTreeSet<Fingerprint>,
}

async fn orphans(State(shared): Sandbox, Json(held): Json<Published>) -> Response {
    let truth = shared.workspace().truth(shared.now());
    Json(truth.orphans(&held.published)).into_response()
}

#[derive(serde::Deserialize)]
struct NewAccount {
    name: String,
}

async fn create_account(State(shared): Sandbox, Json(new): Json<NewAccount>) -> Json<Value> {
    let id = shared.workspace().create_account(&new.name, shared.now());
    Json(json!({"service_account_user_id": id}))
}

async fn share(
    State(shared): Sandbox,
    Path(account): Path<String>,
    Json(body): Json<Value>,
) -> Result<StatusCode, Wrong> {
    let groups = request::account_groups(ApiVersion::November2026, &Body::Json(body))?;
    shared.workspace().share(&account, groups)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn create_key(
    State(shared): Sandbox,
    Path(account): Path<String>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Wrong> {
    let settings = request::new_key(ApiVersion::November2026, &Body::Json(body))?;
    let created = shared.workspace().create_key(&account, settings, shared.now())?;
    let fingerprint = Fingerprint::of(created.value.as_bytes());
    Ok(Json(json!({"key_id": created.id, "value": created.value, "fingerprint": fingerprint})))
}

async fn change_key(
    State(shared): Sandbox,
    Path(key): Path<String>,
    Json(body): Json<Value>,
) -> Result<StatusCode, Wrong> {
    let change = request::key_change(ApiVersion::November2026, &Body::Json(body))?;
    shared.workspace().change_key(&key, shared.now(), |settings| change.apply(settings))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(serde::Deserialize)]
struct Reason {
    reason: Option<String>,
}

async fn disable_key(
    State(shared): Sandbox,
    Path(key): Path<String>,
    Query(why): Query<Reason>,
) -> Result<StatusCode, Wrong> {
    shared.workspace().disable_key(&key, why.reason.as_deref(), shared.now())?;
    Ok(StatusCode::NO_CONTENT)
}

async fn enable_key(State(shared): Sandbox, Path(key): Path<String>) -> Result<StatusCode, Wrong> {
    shared.workspace().enable_key(&key, shared.now())?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_key(State(shared): Sandbox, Path(key): Path<String>) -> Result<StatusCode, Wrong> {
    shared.workspace().delete_key(&key, shared.now())?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rules(State(shared): Sandbox) -> Json<Rules> {
    Json(shared.workspace().rules.clone())
}

async fn change_rules(
    State(shared): Sandbox,
    Json(changes): Json<Map<String, Value>>,
) -> Result<Json<Rules>, Wrong> {
    let wrong = |error: serde_json::Error| Wrong(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
    let mut workspace = shared.workspace();
    let mut fields = serde_json::to_value(&workspace.rules).map_err(wrong)?;
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(changes);
    }
    let changed: Rules = serde_json::from_value(fields).map_err(wrong)?;
    workspace.rules = changed.clone();
    Ok(Json(changed))
}

async fn faults(State(shared): Sandbox) -> Json<Vec<Fault>> {
    Json(shared.faults().clone())
}

async fn set_faults(State(shared): Sandbox, Json(faults): Json<Vec<Fault>>) -> StatusCode {
    *shared.faults() = faults;
    StatusCode::NO_CONTENT
}
