//! `POST /v1/credentials/{name}/acks`: a consumer reports which key it uses.

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
use crate::http::public::PublicState;
use crate::http::response::{Problem, read_json};

const WANTED: &str = "JSON such as {\"fingerprint\": \"0123456789abcdef\", \"status\": \"using\"}, the fingerprint being the first 16 hex \
                      digits, in lower case, of the SHA-256 of the key that is in use";

/// The key that a consumer uses, or cannot use.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Acknowledgement")]
pub(super) struct AckRequest {
    fingerprint: Fingerprint,
    /// If given, it must be the consumer that the request authenticates as.
    #[serde(default)]
    consumer: Option<ConsumerName>,
    /// `using`, or `failing` if the consumer cannot work with the key.
    #[serde(default = "using")]
    status: Health,
}

fn using() -> Health {
    Health::Using
}

/// The stored acknowledgement.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AckResponse")]
pub(super) struct AckResponse {
    credential: CredentialName,
    consumer: ConsumerName,
    fingerprint: Fingerprint,
    status: Health,
    /// Whether the fingerprint is that of the credential's key or of the new key of its rotation.
    known: bool,
    acknowledged_at: Timestamp,
    rotation: Option<RotationRef>,
    /// The gates with this acknowledgement; empty unless old and new key overlap.
    gates: Vec<Verdict>,
}

#[derive(Serialize, JsonSchema)]
struct RotationRef {
    id: RotationId,
    phase: PhaseName,
}

/// Keeps the acknowledgement and lets the gates be judged. May be repeated.
pub(super) async fn acknowledge(
    State(shared): State<Arc<PublicState>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AckResponse>, Problem> {
    let consumers = Arc::clone(&shared.consumers.borrow());
    let consumer = shared.access.consumer(&consumers, &caller, &headers)?;
    let AckRequest { fingerprint, consumer: claimed, status: health } = read_json(body, WANTED)?;
    if claimed.is_some_and(|claimed| claimed != consumer) {
        let message = "the body names another consumer than the one that the token or certificate belongs to";
        return Err(Problem::new(StatusCode::FORBIDDEN, "consumer_mismatch", message));
    }
    let Path(name) = path.map_err(|_| unknown())?;
    let credential = CredentialName::new(name).map_err(|_| unknown())?;
    let handle = &shared.handle;
    handle.may_acknowledge(&credential, &consumer).map_err(|refusal| refused(refusal, &consumer))?;
    let at = handle.context().clock.now();
    let ack = Ack { consumer, fingerprint, health, since: at, at };
    let outcome = handle.acknowledge(credential.clone(), ack).await.map_err(|error| not_stored(&error))?;
    let AckOutcome { ack, known, rotation, gates } = outcome;
    tracing::info!(%credential, consumer = %ack.consumer, fingerprint = %ack.fingerprint, status = ack.health.label(), "acknowledged");
    Ok(Json(AckResponse {
        credential,
        consumer: ack.consumer,
        fingerprint: ack.fingerprint,
        status: ack.health,
        known,
        acknowledged_at: ack.at,
        rotation: rotation.map(|(id, phase)| RotationRef { id, phase }),
        gates,
    }))
}

fn refused(refusal: AckRefusal, consumer: &ConsumerName) -> Problem {
    match refusal {
        AckRefusal::UnknownCredential => unknown(),
        AckRefusal::NotRequired => {
            let message = format!(
                "no acknowledgement of `{consumer}` is required; name it in `wait_for.acks` of the credential"
            );
            Problem::new(StatusCode::FORBIDDEN, "not_required", message)
        }
        AckRefusal::Damaged => not_stored(&refusal),
    }
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_credential", "no credential has this name")
}

fn not_stored(error: &dyn std::error::Error) -> Problem {
    let message = format!("cannot store the acknowledgement: {error}; send it again");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_stored", message)
}
