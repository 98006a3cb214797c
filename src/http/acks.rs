//! `POST /v1/credentials/{name}/acks`: a consumer says which key it uses.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ack::{Ack, Health};
use crate::domain::gate::Verdict;
use crate::domain::ids::{ConsumerName, CredentialName, RotationId};
use crate::domain::phase::PhaseName;
use crate::domain::secret::Fingerprint;
use crate::engine::{AckOutcome, AckRefusal};
use crate::http::access::Caller;
use crate::http::public::Shared;
use crate::http::response::{Problem, read_json};

const WANTED: &str = "JSON such as {\"fingerprint\": \"0123456789abcdef\", \"status\": \"using\"}, the fingerprint being the first 16 hex \
                      digits, in lower case, of the SHA-256 of the key that is in use";

/// What a consumer says.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Acknowledgement")]
pub(super) struct AckRequest {
    fingerprint: Fingerprint,
    /// Has to be the token's owner, if it is there.
    #[serde(default)]
    consumer: Option<ConsumerName>,
    /// `using`, or `failing` for a consumer that cannot work with the key.
    #[serde(default = "using")]
    status: Health,
}

fn using() -> Health {
    Health::Using
}

/// What became of an acknowledgement.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AckResponse")]
pub(super) struct AckResponse {
    credential: CredentialName,
    consumer: ConsumerName,
    fingerprint: Fingerprint,
    status: Health,
    /// Whether it is the fingerprint of the credential's key, or of the one that replaces it.
    known: bool,
    acknowledged_at: Timestamp,
    rotation: Option<RotationUnderWay>,
    /// What each gate says with this acknowledgement; empty unless old and new key overlap.
    gates: Vec<Verdict>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Underway")]
struct RotationUnderWay {
    id: RotationId,
    phase: PhaseName,
}

/// Keeps the acknowledgement and lets the gates be judged. May be repeated.
pub(super) async fn acknowledge(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AckResponse>, Problem> {
    let consumers = Arc::clone(&shared.consumers.borrow());
    let consumer = shared.access.consumer(&consumers, &caller, &headers)?;
    let AckRequest { fingerprint, consumer: claimed, status: health } = read_json(body, WANTED)?;
    if claimed.is_some_and(|claimed| claimed != consumer) {
        let message = "the token is not the one of the consumer that the body names";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not_your_name", message));
    }
    let Path(name) = path.map_err(|_| unknown())?;
    let credential = CredentialName::new(name).map_err(|_| unknown())?;
    let handle = &shared.handle;
    handle.may_acknowledge(&credential, &consumer).map_err(|refusal| refused(refusal, &consumer))?;
    let at = handle.context().clock.now();
    let ack = Ack { consumer, fingerprint, health, since: at, at };
    let outcome = handle.acknowledge(credential.clone(), ack).await.map_err(|error| unkept(&error))?;
    let AckOutcome { ack, known, rotation, gates } = outcome;
    tracing::info!(%credential, consumer = %ack.consumer, fingerprint = %ack.fingerprint, status = ack.health.label(), "acknowledged");
    Ok(Json(AckResponse {
        credential,
        consumer: ack.consumer,
        fingerprint: ack.fingerprint,
        status: ack.health,
        known,
        acknowledged_at: ack.at,
        rotation: rotation.map(|(id, phase)| RotationUnderWay { id, phase }),
        gates,
    }))
}

fn refused(refusal: AckRefusal, consumer: &ConsumerName) -> Problem {
    match refusal {
        AckRefusal::UnknownCredential => unknown(),
        AckRefusal::NotAwaited => {
            let message =
                format!("nobody waits for `{consumer}` here: name it in `wait_for.acks` of the credential");
            Problem::new(StatusCode::FORBIDDEN, "not_awaited", message)
        }
        AckRefusal::Damaged => unkept(&refusal),
    }
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_credential", "there is no credential of this name")
}

fn unkept(error: &dyn std::error::Error) -> Problem {
    let message = format!("the acknowledgement was not kept: {error}; send it again");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_kept", message)
}
