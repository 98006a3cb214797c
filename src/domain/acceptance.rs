//! When a new key counts as accepted by the provider: often enough, over long enough, without a refusal in between. Keys
//! become active region by region, and may be refused again for seconds after they were accepted.

use jiff::{SignedDuration, Timestamp};

use crate::domain::secret::Fingerprint;
use crate::domain::time::later;

/// How often the provider has to accept a new key before it is published, and over how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptanceRule {
    pub count: u32,
    pub over: SignedDuration,
}

/// The acceptances of one key so far. Only in memory: after a crash they are counted anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptances {
    pub key: Fingerprint,
    pub count: u32,
    pub first_at: Timestamp,
}

impl AcceptanceRule {
    /// A leaked key does harm with every second.
    pub const OF_AN_EMERGENCY: Self = Self { count: 1, over: SignedDuration::ZERO };

    /// When the key is to be accepted once more; `None` if it has been accepted often enough and for long enough.
    #[must_use]
    pub fn next(self, seen: &Acceptances) -> Option<Timestamp> {
        let gaps = self.count.saturating_sub(1);
        if seen.count > gaps {
            return None;
        }
        let share = self.over.as_millis().saturating_mul(i128::from(seen.count)) / i128::from(gaps.max(1));
        let share = SignedDuration::from_millis(i64::try_from(share).unwrap_or(i64::MAX));
        Some(later(seen.first_at, share))
    }
}

impl Acceptances {
    /// `seen` and one more for `key`, at `now`.
    #[must_use]
    pub fn and_one_more(seen: Option<&Self>, key: &Fingerprint, now: Timestamp) -> Self {
        match seen.filter(|seen| seen.key == *key) {
            Some(seen) => Self { count: seen.count.saturating_add(1), ..seen.clone() },
            None => Self { key: key.clone(), count: 1, first_at: now },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The milliseconds after the first acceptance at which each further one is wanted.
    fn wanted(count: u32, over: i64) -> Vec<i64> {
        let rule = AcceptanceRule { count, over: SignedDuration::from_millis(over) };
        let (key, now) = (Fingerprint::of(b"a key"), Timestamp::UNIX_EPOCH);
        let mut seen = Acceptances::and_one_more(None, &key, now);
        let mut all = Vec::new();
        while let Some(at) = rule.next(&seen) {
            all.push(at.as_millisecond());
            seen = Acceptances::and_one_more(Some(&seen), &key, at);
        }
        all
    }

    #[test]
    fn acceptances_are_spread_evenly_and_the_last_one_is_as_late_as_the_rule_says() {
        assert_eq!(wanted(3, 5000), [2500, 5000]);
        assert_eq!(wanted(5, 1000), [250, 500, 750, 1000]);
        assert_eq!(wanted(2, 0), [0]);
        assert_eq!(wanted(1, 5000), Vec::<i64>::new());
    }

    #[test]
    fn another_key_is_counted_anew() {
        let (one, other) = (Fingerprint::of(b"one"), Fingerprint::of(b"other"));
        let seen = Acceptances::and_one_more(None, &one, Timestamp::UNIX_EPOCH);
        assert_eq!(Acceptances::and_one_more(Some(&seen), &other, Timestamp::UNIX_EPOCH).count, 1);
    }
}
