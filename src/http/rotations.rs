//! `GET /v1/rotations`: current and past rotations, as `rekeyd history --output json` prints them.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{CredentialName, RotationId};
use crate::domain::phase::PhaseName;
use crate::domain::report::SCHEMA_VERSION;
use crate::domain::report::history::RotationTimeline;
use crate::http::access::Caller;
use crate::http::credentials::{may_read, unreadable};
use crate::http::public::PublicState;
use crate::http::response::{Problem, bad_query, read_query};
use crate::ports::journal::{self, RotationLog};

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;
/// How many rotations of the journal one response reads at most. A response that filters may have fewer rotations than its
/// limit, and a cursor to go on from.
const READ_MAX: usize = 400;

const PARAMETERS: &str = "`credential`, `outcome`, `limit` (1 to 100) and `cursor`, each once";

/// The filter and the page.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotationsQuery {
    /// Only rotations of this credential.
    credential: Option<CredentialName>,
    /// Only rotations with this outcome.
    outcome: Option<RotationOutcome>,
    /// Page size.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: usize,
    /// `next_cursor` of the previous page.
    cursor: Option<RotationId>,
}

fn limit() -> usize {
    LIMIT
}

/// The outcome of a rotation.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RotationOutcome {
    /// It has not ended.
    UnderWay,
    /// The new key is in use and the old one is deleted.
    Done,
    /// The new key was discarded before it was in use.
    Aborted,
    /// The old key is in use again and the new one is deleted.
    RolledBack,
    /// Its rows in the journal are damaged.
    Damaged,
}

impl RotationOutcome {
    fn of(story: &RotationTimeline) -> Self {
        if story.damage.is_some() {
            return Self::Damaged;
        }
        match story.phase {
            Some(PhaseName::Done) => Self::Done,
            Some(PhaseName::Aborted) => Self::Aborted,
            Some(PhaseName::RolledBack) => Self::RolledBack,
            Some(_) => Self::UnderWay,
            None => Self::Damaged,
        }
    }
}

/// Rotations, newest first.
#[derive(Serialize, JsonSchema)]
pub(super) struct RotationsPage {
    schema_version: u32,
    at: Timestamp,
    rotations: Vec<CredentialRotation>,
    /// The cursor of the next page; null on the last page. A page may have fewer rotations than its limit, or none, although
    /// more follow.
    next_cursor: Option<RotationId>,
}

/// A rotation and its credential.
#[derive(Serialize, JsonSchema)]
struct CredentialRotation {
    credential: CredentialName,
    #[serde(flatten)]
    story: RotationTimeline,
}

pub(super) async fn rotations(
    State(shared): State<Arc<PublicState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    query: Result<Query<RotationsQuery>, QueryRejection>,
) -> Result<Json<RotationsPage>, Problem> {
    may_read(&shared, &caller, &headers)?;
    let query = read_query(query, PARAMETERS)?;
    if !(1..=LIMIT_MAX).contains(&query.limit) {
        return Err(bad_query(PARAMETERS));
    }
    let found = find(shared.handle.journal(), &query).await;
    let (rotations, next_cursor) = found.map_err(|error| unreadable(error.to_string()))?;
    let at = shared.handle.context().clock.now();
    Ok(Json(RotationsPage { schema_version: SCHEMA_VERSION, at, rotations, next_cursor }))
}

async fn find(
    journal: &dyn RotationLog,
    query: &RotationsQuery,
) -> Result<(Vec<CredentialRotation>, Option<RotationId>), journal::Error> {
    let (mut rotations, mut last) = (Vec::new(), query.cursor);
    let batch = if query.outcome.is_some() { LIMIT_MAX } else { query.limit };
    for _ in 0..READ_MAX / batch {
        let found = journal.rotations(query.credential.as_ref(), last, batch).await?;
        let is_end = found.len() < batch;
        for (id, credential) in found {
            last = Some(id);
            let story = tell(journal, id).await?;
            if query.outcome.is_none_or(|outcome| outcome == RotationOutcome::of(&story)) {
                rotations.push(CredentialRotation { credential, story });
            }
            if rotations.len() == query.limit {
                return Ok((rotations, last));
            }
        }
        if is_end {
            return Ok((rotations, None));
        }
    }
    Ok((rotations, last))
}

async fn tell(journal: &dyn RotationLog, id: RotationId) -> Result<RotationTimeline, journal::Error> {
    match journal.entries(id).await {
        Ok(entries) => {
            let events: Vec<_> = entries.into_iter().map(|entry| (entry.at, entry.event)).collect();
            Ok(RotationTimeline::new(id, &events))
        }
        Err(error @ journal::Error::Corrupt { .. }) => Ok(RotationTimeline::damaged(id, error.to_string())),
        Err(error) => Err(error),
    }
}
