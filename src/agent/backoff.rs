//! Intervals with jitter, waits after failures, and which failures are logged.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::backoff::Backoff;

/// The interval, up to a tenth shorter or longer at random.
pub(super) fn jittered(interval: Duration) -> Duration {
    let per_mille = 900 + u32::try_from(random() % 200).unwrap_or(100);
    interval.saturating_mul(per_mille) / 1000
}

/// The wait after `failures` failures in a row: from `first`, doubling, to `most`.
pub(super) fn after(failures: u32, first: Duration, most: Duration) -> Duration {
    let of = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let backoff = Backoff { first: of(first), cap: of(most.max(first)) };
    backoff.wait(failures, None, random()).unsigned_abs()
}

/// Whether to log this failure: the first in a row, and each that doubles the number of failures.
pub(super) fn is_logged(failures: u32) -> bool {
    failures.is_power_of_two()
}

/// Random, because each `RandomState` is made with new keys.
fn random() -> u64 {
    RandomState::new().hash_one(())
}
