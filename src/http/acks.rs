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
use crate::domain::gate::{Evidence, Gate, Verdict};
use crate::domain::ids::{ConsumerName, CredentialName, RotationId};
use crate::domain::phase::PhaseName;
use crate::domain::plan::Terms;
use crate::domain::record::Record;
use crate::domain::report::{CredentialReport, Facts};
use crate::domain::secret::Fingerprint;
use crate::http::access::Caller;
use crate::http::public::PublicState;
use crate::http::response::{Problem, read_json};
use crate::ports::journal::{self, CredentialState};

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
    let known = shared.handle.journal().load_one(&credential).await.map_err(|error| unkept(&error))?;
    authorise(&shared, &credential, &consumer, known.as_ref())?;
    let acks = shared.handle.journal().acks(&credential).await.map_err(|error| unkept(&error))?;
    let before = acks.iter().find(|ack| ack.consumer == consumer);
    // The newest counts, also while the clock has been set back.
    let now = shared.handle.context().clock.now();
    let at = before.map_or(now, |before| before.at.max(now));
    let ack = Ack { consumer, fingerprint, health, since: at, at }.following(before);
    let acknowledged = shared.handle.acknowledge(credential.clone(), ack.clone()).await;
    acknowledged.map_err(|error| unkept(&error))?;
    tracing::info!(%credential, consumer = %ack.consumer, fingerprint = %ack.fingerprint, status = ack.health.label(), "acknowledged");
    let mut acks: Vec<Ack> = acks.into_iter().filter(|other| other.consumer != ack.consumer).collect();
    acks.push(ack.clone());
    let observed = match known.as_ref().and_then(|known| known.rotation.as_ref()) {
        Some(rotation) => shared.handle.journal().observed(&credential, rotation.plan.rotation).await,
        None => Ok(None),
    };
    let observed = observed.map_err(|error| unkept(&error))?.unwrap_or_default();
    let evidence = Evidence { acks, observed };
    Ok(Json(kept(credential, ack, known, &evidence, shared.handle.context().clock.now())))
}

/// A consumer may acknowledge what the policy waits for, or what a rotation under way still waits for.
fn authorise(
    shared: &PublicState,
    credential: &CredentialName,
    consumer: &ConsumerName,
    known: Option<&CredentialState>,
) -> Result<(), Problem> {
    let setup = shared.handle.context();
    let of_policy = setup.policy.credentials.get(credential).map(|policy| &policy.terms);
    let of_rotation = known.and_then(|known| known.rotation.as_ref()).map(|rotation| &rotation.plan.terms);
    if of_policy.is_none() && known.is_none() {
        return Err(unknown());
    }
    let waits = |terms: &&Terms| {
        terms.gates.iter().filter_map(Gate::consumers).any(|awaited| awaited.contains(consumer))
    };
    if of_policy.iter().chain(of_rotation.iter()).any(waits) {
        return Ok(());
    }
    let message = format!(
        "no acknowledgement of `{consumer}` is required; name it in `wait_for.acks` of the credential"
    );
    Err(Problem::new(StatusCode::FORBIDDEN, "not_required", message))
}

fn kept(
    credential: CredentialName,
    ack: Ack,
    known: Option<CredentialState>,
    evidence: &Evidence,
    now: Timestamp,
) -> AckResponse {
    let CredentialState { record, rotation } =
        known.unwrap_or_else(|| CredentialState { record: Record::new(credential.clone()), rotation: None });
    let facts = Facts { record: &record, rotation: rotation.as_ref(), evidence, policy: None };
    let told = CredentialReport::new(facts, now);
    let new = told.rotation.as_ref().and_then(|rotation| rotation.new_fingerprint.as_ref());
    AckResponse {
        known: [told.fingerprint.as_ref(), new].contains(&Some(&ack.fingerprint)),
        credential,
        consumer: ack.consumer,
        fingerprint: ack.fingerprint,
        status: ack.health,
        acknowledged_at: ack.at,
        rotation: told
            .rotation
            .as_ref()
            .map(|rotation| RotationRef { id: rotation.id, phase: rotation.phase }),
        gates: told.rotation.map(|rotation| rotation.gates).unwrap_or_default(),
    }
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_credential", "no credential has this name")
}

fn unkept(error: &journal::Error) -> Problem {
    let message = format!("cannot store the acknowledgement: {error}; send it again");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_stored", message)
}
