//! The mint budget of a workspace: how many keys may be created within an hour, a part of them for emergencies only.

use jiff::{SignedDuration, Timestamp};

use crate::domain::policy::WorkspaceLimits;
use crate::domain::time::later;

/// What the mint budget is counted over.
pub const PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// So long after a mint there is room for another one.
pub const ROOM_AFTER: SignedDuration = SignedDuration::from_secs(3601);

/// How many keys may be created within the period.
#[must_use]
pub fn limit(limits: &WorkspaceLimits, emergency: bool) -> usize {
    let limit = if emergency { limits.mints_per_hour.max(1) } else { limits.ordinary_mints_per_hour() };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Until when it is used up, by the `mints` of the last period, oldest first; `None` if it is not.
#[must_use]
pub fn used_up_until(
    limits: &WorkspaceLimits,
    mints: &[Timestamp],
    emergency: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    // One that is still to come was made by a clock that was wrong: nobody knows when.
    let past: Vec<Timestamp> = mints.iter().copied().filter(|mint| *mint <= now).collect();
    // The mint whose ageing out of the period makes room for one more.
    let in_the_way = past.len().checked_sub(limit(limits, emergency)).and_then(|index| past.get(index));
    in_the_way.map(|mint| later(*mint, ROOM_AFTER))
}
