//! Liveness, readiness, version and metrics.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::public::PublicState;
use crate::http::response::Problem;
use crate::telemetry::metrics::{self, Exposition};
use crate::telemetry::observation::Observation;

/// Alive unless the engine has not run, swept or inspected for three of its periods. Outages of other systems do not matter.
pub(super) async fn livez(State(shared): State<Arc<PublicState>>) -> Response {
    if shared.observer.is_alive() {
        return Json(Alive { alive: true }).into_response();
    }
    let stalled = "the engine's loop is stalled; restart the daemon, which is safe at any moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_alive", stalled).into_response()
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Alive {
    alive: bool,
}

/// The program's version.
#[derive(Serialize, JsonSchema)]
pub(super) struct Version {
    name: &'static str,
    version: &'static str,
    revision: &'static str,
}

/// Whether the daemon can do its work.
#[derive(Serialize, JsonSchema)]
pub(super) struct Readiness {
    ready: bool,
    reasons: Vec<Reason>,
    /// Credentials with damaged rows, which are not rotated. They do not make the daemon unready.
    damaged: Vec<String>,
}

/// Why the daemon is not ready.
#[derive(Serialize, JsonSchema)]
struct Reason {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    message: String,
}

/// Ready if it can do its work. Not ready while it is stopping.
pub(super) async fn readyz(State(shared): State<Arc<PublicState>>) -> Response {
    let observation = shared.observer.observe().await;
    let reasons = reasons(&observation);
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let damaged = observation.heartbeat.damaged.iter().map(|(name, _)| name.to_string()).collect();
    (status, Json(Readiness { ready: reasons.is_empty(), reasons, damaged })).into_response()
}

fn reasons(observation: &Observation) -> Vec<Reason> {
    let reason = |code, message: &str| Reason { code, workspace: None, message: message.to_owned() };
    let mut reasons = Vec::new();
    if observation.status.draining {
        reasons.push(reason("draining", "the daemon is stopping"));
    }
    if !observation.is_alive() {
        reasons.push(reason("engine_stalled", "the engine's loop is stalled"));
    }
    if let Err(why) = &observation.report {
        reasons.push(reason("journal_unreadable", why));
    }
    if !observation.is_journal_writable {
        let full = "cannot write the journal, so no rotation advances; see the log and check the disk";
        reasons.push(reason("journal_unwritable", full));
    }
    if observation.status.reload_refused.is_some() {
        let refused =
            "the newest policy was refused and the previous one stays in force; run `rekeyd check` on it";
        reasons.push(reason("reload_refused", refused));
    }
    if observation.status.certificate_refused.is_some() {
        let refused =
            "cannot use the listener's changed certificate, and the previous one stays in force; see the log";
        reasons.push(reason("certificate_refused", refused));
    }
    for (name, reach) in &observation.workspaces {
        if reach.failing.is_none() && reach.last_answer.is_none() {
            reasons.push(Reason {
                code: "workspace_unlisted",
                workspace: Some(name.to_string()),
                message: format!("workspace `{name}` has not been listed yet"),
            });
        }
        if let Some(failure) = &reach.failing {
            reasons.push(Reason {
                code: "workspace_failing",
                workspace: Some(name.to_string()),
                message: format!("the last listing of workspace `{name}` failed: {}", failure.kind.label()),
            });
        }
    }
    reasons
}

pub(super) async fn version() -> Json<Version> {
    Json(Version { name: "rekeyd", version: metrics::VERSION, revision: metrics::REVISION })
}

pub(super) async fn metrics(State(shared): State<Arc<PublicState>>, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let exposition = Exposition::accepted(accepted);
    let observation = shared.observer.observe().await;
    match metrics::render(&observation, exposition) {
        Ok(text) => ([(header::CONTENT_TYPE, exposition.content_type())], text).into_response(),
        Err(std::fmt::Error) => {
            let message = "cannot render the metrics; this is a bug in rekeyd";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message).into_response()
        }
    }
}
