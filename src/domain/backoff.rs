//! How long to wait after failures: doubling, capped, with a jitter that the caller's seed decides. The only back-off of
//! the daemon and of the agent.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::SignedDuration;

/// A back-off: `first` after the first failure, twice as long after each further one, never over `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: SignedDuration,
    pub cap: SignedDuration,
}

/// Within one rotation: a store or the provider that does not answer.
pub const CALLS: Backoff = Backoff { first: SignedDuration::from_secs(1), cap: SignedDuration::from_mins(5) };
/// Between attempts of what a consumer, or a leaked key, is waiting for: no server's `Retry-After` lengthens it.
pub const SAFETY: Backoff =
    Backoff { first: SignedDuration::from_secs(1), cap: SignedDuration::from_secs(2) };
/// Between rotations of one credential, after an aborted one: also what keeps a failing store from eating mints.
pub const ROTATIONS: Backoff =
    Backoff { first: SignedDuration::from_mins(5), cap: SignedDuration::from_hours(24) };

impl Backoff {
    /// The wait after `failures` failures in a row (at least one). A server's `Retry-After` wins where it is longer, up to
    /// the cap or one hour, whichever is more.
    #[must_use]
    pub fn wait(&self, failures: u32, asked: Option<SignedDuration>, seed: impl Hash) -> SignedDuration {
        let doublings = failures.saturating_sub(1).min(30);
        let plain = self.first.saturating_mul(1i32 << doublings).min(self.cap);
        // Up to a fifth less, so that many that failed together do not retry together.
        let less = i64::from(per_mille(200, (seed, failures)));
        let jittered = SignedDuration::from_millis(
            i64::try_from(plain.as_millis()).unwrap_or(i64::MAX / 1000).saturating_mul(1000 - less) / 1000,
        );
        match asked {
            Some(asked) => jittered.max(asked.min(self.cap.max(SignedDuration::from_hours(1)))),
            None => jittered,
        }
    }
}

/// The interval, up to a tenth shorter or longer: those that began together do not stay together.
#[must_use]
pub fn jittered(interval: Duration, seed: impl Hash) -> Duration {
    interval.saturating_mul(900 + per_mille(200, seed)) / 1000
}

/// Whether the failure of this number in a row is logged: the first, and each that doubles their number.
#[must_use]
pub fn is_logged(failures: u32) -> bool {
    failures.is_power_of_two()
}

/// From nothing to less than `limit`, as the seed decides.
fn per_mille(limit: u32, seed: impl Hash) -> u32 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    u32::try_from(hasher.finish() % u64::from(limit)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_never_vanish() {
        for failures in 1..200 {
            let wait = CALLS.wait(failures, None, "seed");
            let plain = SignedDuration::from_secs(1i64 << (failures - 1).min(30)).min(CALLS.cap);
            assert!(wait <= plain && wait * 5 >= plain * 4, "{failures}: {wait:?} of {plain:?}");
        }
    }

    #[test]
    fn a_servers_retry_after_wins_up_to_an_hour() {
        let asked = |seconds| CALLS.wait(1, Some(SignedDuration::from_secs(seconds)), 1);
        assert_eq!(asked(30), SignedDuration::from_secs(30));
        assert_eq!(asked(100_000), SignedDuration::from_hours(1));
    }
}
