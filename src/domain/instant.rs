//! Arithmetic with instants that has no end to fall off.

use jiff::{SignedDuration, Timestamp};

/// An instant and a while after it, or before it if that is negative; never beyond the first or the last there is.
#[must_use]
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(by).unwrap_or(end)
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
}
