//! How long the provider asks us to wait, and what its clock says, from an answer's headers.

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

const WAIT_MAX: SignedDuration = SignedDuration::from_hours(1);
/// A smaller number cannot be an instant of this century: it is taken for a number of seconds to wait.
const EPOCH_SECONDS_MIN: i64 = 1_000_000_000;

/// The wait that an answer asks for, at most an hour. An instant is read against the answer's own `Date`, so that a
/// clock that is wrong, here or there, does not matter.
pub(super) fn asked_wait(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let now = provider_time(headers).unwrap_or(now);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds_or_date =
        |text: &str| seconds(text).or_else(|| http_date(text).map(|at| at.duration_since(now)));
    let wait = text(RETRY_AFTER.as_str())
        .and_then(seconds_or_date)
        .or_else(|| text("retry-after-ms")?.parse().ok().map(SignedDuration::from_millis))
        .or_else(|| reset(text("x-ratelimit-reset")?, now))?;
    Some(wait.clamp(SignedDuration::ZERO, WAIT_MAX))
}

/// What the provider's clock said, to the second.
pub(super) fn provider_time(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

fn seconds(text: &str) -> Option<SignedDuration> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| seconds.is_finite())
        .map(|seconds| SignedDuration::from_secs_f64(seconds.clamp(0.0, WAIT_MAX.as_secs_f64())))
}

fn reset(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let number: i64 = text.parse().ok()?;
    if number < EPOCH_SECONDS_MIN {
        return Some(SignedDuration::from_secs(number));
    }
    Timestamp::from_second(number).ok().map(|at| at.duration_since(now))
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<f64> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        asked_wait(&map, now).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn every_way_of_asking_is_understood_and_capped_at_an_hour() {
        for (headers, seconds) in [
            (&[] as &[(&str, &str)], None),
            (&[("retry-after", "7")], Some(7.0)),
            (&[("retry-after", "0.5")], Some(0.5)),
            (&[("retry-after", "-3")], Some(0.0)),
            (&[("retry-after", "999999999999999999999999")], Some(3600.0)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "Mon, 23 Nov 2026 12:00:30 GMT")], Some(30.0)),
            (&[("retry-after", "Mon, 23 Nov 2026 11:00:30 GMT")], Some(0.0)),
            (
                &[
                    ("retry-after", "Mon, 23 Nov 2026 13:00:30 GMT"),
                    ("date", "Mon, 23 Nov 2026 13:00:00 GMT"),
                ],
                Some(30.0),
            ),
            (&[("retry-after-ms", "250")], Some(0.25)),
            (&[("retry-after", "soon"), ("retry-after-ms", "250")], Some(0.25)),
            (&[("retry-after-ms", "9223372036854775807")], Some(3600.0)),
            (&[("x-ratelimit-reset", "1795435210")], Some(10.0)),
            (&[("x-ratelimit-reset", "12")], Some(12.0)),
            (&[("x-ratelimit-reset", "9223372036854775807")], None),
        ] {
            assert_eq!(wait(headers), seconds, "{headers:?}");
        }
    }
}
