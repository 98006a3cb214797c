//! How often: intervals that do not beat in time with those of others, waits after failures, and which failures are
//! said aloud.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::backoff::Backoff;

/// The interval, up to a tenth shorter or longer, differently each time.
pub(super) fn jittered(interval: Duration) -> Duration {
    let per_mille = 900 + u32::try_from(chance() % 200).unwrap_or(100);
    interval.saturating_mul(per_mille) / 1000
}

/// The wait after `failures` failures in a row: from `first`, doubling, to `most`.
pub(super) fn after(failures: u32, first: Duration, most: Duration) -> Duration {
    let of = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let backoff = Backoff { first: of(first), cap: of(most.max(first)) };
    backoff.wait(failures, None, chance()).unsigned_abs()
}

/// Whether the failure of this number in a row is worth a line: the first, and each that doubles their number.
pub(super) fn is_said(failures: u32) -> bool {
    failures.is_power_of_two()
}

/// Different each time: every state is made with keys of its own.
fn chance() -> u64 {
    RandomState::new().hash_one(())
}
