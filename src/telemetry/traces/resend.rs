//! Finds spans that a killed process may not have sent, in the last records of the audit log. Sending a span twice is
//! harmless: it has the same id.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::domain::audit::{ChainedAct, changes};
use crate::domain::ids::RotationId;
use crate::ports::journal::{self, AuditLog};
use crate::telemetry::traces::{Item, RETRY_FOR};

/// How many of the last records are read.
const RECORDS_MAX: u32 = 2000;
/// The time of a batch, and between an event and its record.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// The items to send again. Call it before this process writes to the journal.
pub(super) async fn items(journal: &dyn AuditLog) -> Result<Vec<Item>, journal::Error> {
    let head = journal.audit_head().await?;
    let after = head.sequence.saturating_sub(u64::from(RECORDS_MAX));
    let records = journal.audit(after, usize::try_from(RECORDS_MAX).unwrap_or(usize::MAX)).await?;
    let Some((from, rotations)) = unsent(&records) else { return Ok(Vec::new()) };
    Ok(rotations.into_iter().map(|rotation| Item::Since { rotation, from }).collect())
}

/// The start of the interval with unsent spans, and its rotations; `None` after a clean shutdown.
pub(super) fn unsent(records: &[ChainedAct]) -> Option<(Timestamp, BTreeSet<RotationId>)> {
    let last = records.last().filter(|last| last.act.what != changes::STOPPED)?;
    let from = last.act.at.saturating_sub(RETRY_FOR + MARGIN).unwrap_or(Timestamp::MIN);
    let recent = records.iter().map(|record| &record.act).filter(|act| act.at >= from);
    Some((from, recent.filter_map(|act| act.rotation).collect()))
}
