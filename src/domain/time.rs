//! Arithmetic with instants that saturates at both ends of time, instants as people read them, and clocks that are set.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How far a clock that is not set may drift from the timer before that counts as a step.
pub const DRIFT_MAX: SignedDuration = SignedDuration::from_millis(500);

/// Counts how often the wall clock was set, by comparing it with a timer that nobody can set.
#[derive(Debug, Clone, Copy)]
pub struct ClockSteps {
    count: u64,
    /// What the wall clock showed at a timer of zero, when it was last found to be set.
    origin: Option<Timestamp>,
}

impl ClockSteps {
    pub const NONE: Self = Self { count: 0, origin: None };

    /// Takes one reading of both, and returns how many steps were found so far.
    pub fn count(&mut self, now: Timestamp, uptime: Duration) -> u64 {
        let passed = SignedDuration::try_from(uptime).unwrap_or(SignedDuration::MAX);
        let origin = earlier(now, passed);
        match self.origin {
            None => self.origin = Some(origin),
            Some(known) if origin.duration_since(known).abs() > DRIFT_MAX => {
                self.origin = Some(origin);
                self.count += 1;
            }
            Some(_) => {}
        }
        self.count
    }
}

/// An instant and a while after it, or before it if that is negative; never beyond the first or the last there is.
#[must_use]
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(by).unwrap_or(end)
}

/// An instant and a while before it; as [`later`].
#[must_use]
pub fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    later(at, SignedDuration::ZERO.saturating_sub(by))
}

/// `in 3d 4h`, `2m ago`, `now`.
#[must_use]
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    let ahead = at.duration_since(now);
    if ahead.as_secs() == 0 {
        "now".to_owned()
    } else if ahead.is_positive() {
        format!("in {}", span(ahead))
    } else {
        format!("{} ago", span(ahead))
    }
}

/// How long it has lasted: `31d`, `2h 5m`.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    span(now.duration_since(since))
}

/// A duration in its two largest units, without its sign.
#[must_use]
pub fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().unsigned_abs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let (large, small) = if days > 0 {
        ((days, 'd'), (hours, 'h'))
    } else if hours > 0 {
        ((hours, 'h'), (minutes, 'm'))
    } else if minutes > 0 {
        ((minutes, 'm'), (seconds % 60, 's'))
    } else {
        ((seconds, 's'), (0, 's'))
    };
    if small.0 == 0 {
        format!("{}{}", large.0, large.1)
    } else {
        format!("{}{} {}{}", large.0, large.1, small.0, small.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_and_one_that_drifts_is_not() {
        let hour = i64::try_from(3_600_000_u64).unwrap();
        let days = |count: i64| count * 24 * hour;
        // How far the wall clock is ahead at each reading, in milliseconds, and how many steps are counted by then.
        for readings in [
            vec![(0, 0), (0, 0), (400, 0), (-400, 0), (0, 0)],
            vec![(0, 0), (120_000, 1), (120_000, 1), (0, 2)],
            vec![(0, 0), (-120_000, 1), (0, 2)],
            vec![(0, 0), (days(40), 1), (days(-730), 2), (days(-730) + 400, 2), (0, 3)],
            // Steps that are too small to be noticed one by one.
            vec![(0, 0), (300, 0), (600, 1), (900, 1), (1200, 2)],
            vec![(days(365_000), 0), (0, 1)],
        ] {
            let mut steps = ClockSteps::NONE;
            let epoch = Timestamp::from_second(1_800_000_000).unwrap();
            for (at, (ahead, counted)) in readings.iter().enumerate() {
                let uptime = Duration::from_secs(7 * u64::try_from(at).unwrap());
                let wall = later(epoch, SignedDuration::try_from(uptime).unwrap());
                let wall = later(wall, SignedDuration::from_millis(*ahead));
                assert_eq!(steps.count(wall, uptime), *counted, "{readings:?} at {at}");
            }
        }
    }

    #[test]
    fn time_ends_at_both_ends() {
        let (long, short) = (SignedDuration::MAX, SignedDuration::from_secs(5));
        assert_eq!(later(Timestamp::UNIX_EPOCH, short), Timestamp::from_second(5).unwrap());
        assert_eq!(
            later(Timestamp::UNIX_EPOCH, SignedDuration::ZERO - short),
            Timestamp::from_second(-5).unwrap()
        );
        assert_eq!(later(Timestamp::UNIX_EPOCH, long), Timestamp::MAX);
        assert_eq!(later(Timestamp::UNIX_EPOCH, SignedDuration::MIN), Timestamp::MIN);
    }

    #[test]
    fn distances_have_two_units_at_most() {
        let now = Timestamp::UNIX_EPOCH;
        for (seconds, told) in [
            (0, "now"),
            (1, "in 1s"),
            (-59, "59s ago"),
            (60, "in 1m"),
            (-61, "1m 1s ago"),
            (3600, "in 1h"),
            (3 * 86_400 + 4 * 3600 + 59, "in 3d 4h"),
            (-86_400, "1d ago"),
            (-400 * 86_400, "400d ago"),
        ] {
            assert_eq!(distance(now + SignedDuration::from_secs(seconds), now), told, "{seconds}");
        }
    }
}
