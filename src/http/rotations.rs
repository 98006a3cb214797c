//! `GET /v1/rotations`: those under way and those that are over, as `rekeyd history --output json` tells them.

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
use crate::domain::report::history::Story;
use crate::http::access::Caller;
use crate::http::credentials::{may_read, unreadable};
use crate::http::public::Shared;
use crate::http::response::{Problem, bad_query, read_query};
use crate::ports::journal::{self, RotationLog};

const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;
/// Of the journal's rotations, one answer looks at so many at most: one that looks for what is rare has fewer, and a
/// cursor to go on from.
const LOOKED_AT_MAX: usize = 400;

const WANTED: &str = "`credential`, `outcome`, `limit` (1 to 100) and `cursor`, each once";

/// Which rotations.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only those of this credential.
    credential: Option<CredentialName>,
    /// Only those that ended so, or have not ended.
    outcome: Option<Outcome>,
    /// So many at most.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    limit: usize,
    /// `next_cursor` of the page before.
    cursor: Option<RotationId>,
}

fn limit() -> usize {
    LIMIT
}

/// How a rotation ended.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It has not ended.
    UnderWay,
    /// The new key is in use, and the old one gone.
    Done,
    /// The new key was given up before it was in use.
    Aborted,
    /// The old key is in use again, and the new one gone.
    RolledBack,
    /// Its rows in the journal are damaged.
    Damaged,
}

impl Outcome {
    fn of(story: &Story) -> Self {
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

/// Rotations, the newest first.
#[derive(Serialize, JsonSchema)]
pub(super) struct RotationsPage {
    schema_version: u32,
    at: Timestamp,
    rotations: Vec<RotationOf>,
    /// Where the next page begins; null at the end. A page may have fewer rotations than asked for, or none, and more
    /// follow all the same.
    next_cursor: Option<RotationId>,
}

/// A rotation and whose it is.
#[derive(Serialize, JsonSchema)]
struct RotationOf {
    credential: CredentialName,
    #[serde(flatten)]
    story: Story,
}

pub(super) async fn rotations(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<RotationsPage>, Problem> {
    may_read(&shared, &caller, &headers)?;
    let asked = read_query(query, WANTED)?;
    if !(1..=LIMIT_MAX).contains(&asked.limit) {
        return Err(bad_query(WANTED));
    }
    let found = find(shared.handle.journal(), &asked).await;
    let (rotations, next_cursor) = found.map_err(|error| unreadable(error.to_string()))?;
    let at = shared.handle.context().clock.now();
    Ok(Json(RotationsPage { schema_version: SCHEMA_VERSION, at, rotations, next_cursor }))
}

async fn find(
    journal: &dyn RotationLog,
    asked: &Asked,
) -> Result<(Vec<RotationOf>, Option<RotationId>), journal::Error> {
    let (mut told, mut last) = (Vec::new(), asked.cursor);
    let batch = if asked.outcome.is_some() { LIMIT_MAX } else { asked.limit };
    for _ in 0..LOOKED_AT_MAX / batch {
        let found = journal.rotations(asked.credential.as_ref(), last, batch).await?;
        let is_end = found.len() < batch;
        for (id, credential) in found {
            last = Some(id);
            let story = tell(journal, id).await?;
            if asked.outcome.is_none_or(|outcome| outcome == Outcome::of(&story)) {
                told.push(RotationOf { credential, story });
            }
            if told.len() == asked.limit {
                return Ok((told, last));
            }
        }
        if is_end {
            return Ok((told, None));
        }
    }
    Ok((told, last))
}

async fn tell(journal: &dyn RotationLog, id: RotationId) -> Result<Story, journal::Error> {
    match journal.entries(id).await {
        Ok(entries) => {
            let events: Vec<_> = entries.into_iter().map(|entry| (entry.at, entry.event)).collect();
            Ok(Story::tell(id, &events))
        }
        Err(error @ journal::Error::Corrupt { .. }) => Ok(Story::damaged(id, error.to_string())),
        Err(error) => Err(error),
    }
}
