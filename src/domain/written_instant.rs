//! Instants that were written down by a clock that may have been wrong.
//!
//! An instant that is still to come cannot be when something happened. What waits since then would wait for as long as the
//! clock was ahead; it waits since the instant was first read instead, by a timer that nobody can set. So a wait is never
//! shorter than it has to be, and at most begins once more.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::CredentialName;
use crate::domain::time::earlier;

/// Instants that were still to come when this process read them, and at what uptime that was.
#[derive(Debug, Default)]
pub struct WrittenInstants(BTreeMap<(CredentialName, Timestamp), Duration>);

impl WrittenInstants {
    /// Since when a wait counts that began at `written`, as read at `now` by the wall clock and at `uptime` by the timer:
    /// never after `now`.
    pub fn since(
        &mut self,
        credential: &CredentialName,
        written: Timestamp,
        now: Timestamp,
        uptime: Duration,
    ) -> Timestamp {
        self.0.retain(|(_, instant), _| *instant > now);
        if written <= now {
            return written;
        }
        let first_read = *self.0.entry((credential.clone(), written)).or_insert(uptime);
        let waited = SignedDuration::try_from(uptime.saturating_sub(first_read));
        earlier(now, waited.unwrap_or(SignedDuration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> CredentialName {
        CredentialName::new("tts").unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_wait_since_the_future_counts_from_when_that_was_first_read() {
        let mut instants = WrittenInstants::default();
        let year = 365 * 86_400;
        // What the wall clock and the timer show, and since when it counts; all in seconds.
        for (now, uptime, since) in [(0, 10, 0), (5, 15, 0), (90, 100, 0), (year + 1, 101, year)] {
            let counted = instants.since(&name(), at(year), at(now), Duration::from_secs(uptime));
            // Once the clock has passed the instant, it is believed again.
            assert_eq!(counted, at(since), "at {now}");
        }
        assert!(instants.0.is_empty());
    }

    #[test]
    fn one_that_has_passed_counts_as_it_was_written() {
        let mut instants = WrittenInstants::default();
        assert_eq!(instants.since(&name(), at(-7), at(0), Duration::ZERO), at(-7));
        assert_eq!(instants.since(&name(), at(0), at(0), Duration::ZERO), at(0));
        assert!(instants.0.is_empty());
    }

    #[test]
    fn one_credentials_instants_are_not_anothers() {
        let mut instants = WrittenInstants::default();
        let other = CredentialName::new("dub").unwrap();
        instants.since(&name(), at(900), at(0), Duration::ZERO);
        assert_eq!(instants.since(&other, at(900), at(60), Duration::from_secs(60)), at(60));
        assert_eq!(instants.since(&name(), at(900), at(60), Duration::from_secs(60)), at(0));
    }

    proptest! {
        /// Whatever the wall clock is set to between two looks: a wait lasts no longer than its length after it was first
        /// read, and is over earlier only if the clock says so.
        #[test]
        fn a_wait_is_over_when_it_has_lasted(
            written in -100_000_000i64..100_000_000,
            length in 0i64..1_000_000,
            looks in proptest::collection::vec((-100_000_000i64..100_000_000, 0u64..400_000), 1..12),
        ) {
            let mut instants = WrittenInstants::default();
            let (mut uptime, mut first_future) = (0, None);
            for (now, pause) in looks {
                uptime += pause;
                let since = instants.since(&name(), at(written), at(now), Duration::from_secs(uptime));
                prop_assert!(since <= at(now));
                let is_over = now - since.duration_since(at(0)).as_secs() >= length;
                if written > now {
                    let first = *first_future.get_or_insert(uptime);
                    let lasted = i64::try_from(uptime - first).unwrap();
                    prop_assert_eq!(is_over, lasted >= length, "lasted {}", lasted);
                } else {
                    prop_assert_eq!(is_over, now - written >= length);
                    first_future = None;
                }
            }
        }
    }
}
