//! Durations as a policy writes them: `30d`, `1h 30m`, `PT2H`. A day is always 24 hours and a week 7 days.

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Ten years: more is a typo, and sums of durations must stay far from their limits.
const DURATION_MAX: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    #[error("not a duration")]
    Unparsable,
    #[error("months and years have no fixed length")]
    NoFixedLength,
    #[error("a duration cannot be negative")]
    Negative,
    #[error("longer than 10 years")]
    Long,
}

/// # Errors
/// Says which rule the text breaks, without the text.
pub fn parse(text: &str) -> Result<SignedDuration, BadDuration> {
    let span: Span = text.trim().parse().map_err(|_| BadDuration::Unparsable)?;
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err(BadDuration::NoFixedLength);
    }
    if span.is_negative() {
        return Err(BadDuration::Negative);
    }
    let duration =
        span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| BadDuration::Unparsable)?;
    if duration > DURATION_MAX { Err(BadDuration::Long) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_24_hours_and_months_are_refused() {
        let hours = |hours| Ok(SignedDuration::from_hours(hours));
        for (text, expected) in [
            ("30d", hours(720)),
            ("90 days", hours(2160)),
            ("1w 2d", hours(216)),
            ("P30D", hours(720)),
            ("12h", hours(12)),
            ("0s", hours(0)),
            ("500ms", Ok(SignedDuration::from_millis(500))),
            ("1 month", Err(BadDuration::NoFixedLength)),
            ("1y", Err(BadDuration::NoFixedLength)),
            ("-2h", Err(BadDuration::Negative)),
            ("2h ago", Err(BadDuration::Negative)),
            ("4000d", Err(BadDuration::Long)),
            ("30", Err(BadDuration::Unparsable)),
            ("", Err(BadDuration::Unparsable)),
            ("soon", Err(BadDuration::Unparsable)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
