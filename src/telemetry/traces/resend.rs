//! What a process that ended unexpectedly may not have sent: what happened shortly before its end, of which the audit log
//! tells. Telling a span twice is harmless, since it is the same by its id.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::domain::audit::{Sealed, changes};
use crate::domain::ids::RotationId;
use crate::ports::journal::{self, AuditLog};
use crate::telemetry::traces::{GIVEN_UP_AFTER, Item};

/// Records that are looked at, from the last one back.
const LOOKED_AT_MAX: u32 = 2000;
/// For a batch, and for the time between an event and its record.
const BEFORE_THAT: SignedDuration = SignedDuration::from_mins(1);

/// To be asked before this process writes anything.
pub(super) async fn items(journal: &dyn AuditLog) -> Result<Vec<Item>, journal::Error> {
    let head = journal.audit_head().await?;
    let after = head.sequence.saturating_sub(u64::from(LOOKED_AT_MAX));
    let records = journal.audit(after, usize::try_from(LOOKED_AT_MAX).unwrap_or(usize::MAX)).await?;
    let Some((from, rotations)) = unsaid(&records) else { return Ok(Vec::new()) };
    Ok(rotations.into_iter().map(|rotation| Item::Since { rotation, from }).collect())
}

/// From when on, and of which rotations, nobody may have been told; `None` if the last process ended in order.
pub(super) fn unsaid(records: &[Sealed]) -> Option<(Timestamp, BTreeSet<RotationId>)> {
    let last = records.last().filter(|last| last.act.what != changes::STOPPED)?;
    let from = last.act.at.saturating_sub(GIVEN_UP_AFTER + BEFORE_THAT).unwrap_or(Timestamp::MIN);
    let recent = records.iter().map(|record| &record.act).filter(|act| act.at >= from);
    Some((from, recent.filter_map(|act| act.rotation).collect()))
}
