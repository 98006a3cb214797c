//! Arithmetic with instants that saturates at both ends of time, and instants as people read them.

use jiff::{SignedDuration, Timestamp};

/// An instant and a while after it, or before it if that is negative; never beyond the first or the last there is.
#[must_use]
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(by).unwrap_or(end)
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
