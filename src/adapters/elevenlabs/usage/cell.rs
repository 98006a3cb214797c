//! What is in a cell: numbers that may be texts, times in several forms, and texts that mean nothing.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Numbers above this are milliseconds since 1970, or finer; below, seconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;
const NANOSECONDS_FROM: i64 = 100_000_000_000_000_000;

/// A text, unless there is none: null, empty, or the word `null`.
pub(super) fn text(cell: &Value) -> Option<String> {
    let text = match cell {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(is) => is.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("null"))
}

/// A number, or a text that is one; nothing is none.
pub(super) fn number(cell: &Value) -> Result<f64, &'static str> {
    const WRONG: &str = "an amount is not a number";
    let number = match cell {
        Value::Null => 0.0,
        Value::Number(number) => number.as_f64().ok_or(WRONG)?,
        Value::String(_) => match text(cell) {
            None => 0.0,
            Some(text) => text.parse().map_err(|_| WRONG)?,
        },
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(WRONG),
    };
    if number.is_finite() { Ok(number) } else { Err(WRONG) }
}

/// An instant. A text without a zone is in UTC, as was asked for.
pub(super) fn instant(cell: &Value) -> Result<Timestamp, &'static str> {
    const WRONG: &str = "a time is in no form that is known";
    let instant = match cell {
        Value::Number(number) => number
            .as_i64()
            .and_then(since_1970)
            .or_else(|| number.as_f64().filter(|seconds| seconds.abs() < 1e16).and_then(whole_and_part)),
        Value::String(text) => {
            let text = text.trim();
            let numeric = || text.parse::<i64>().ok().and_then(since_1970);
            let fraction = || text.parse::<f64>().ok().filter(|seconds| seconds.abs() < 1e16);
            numeric().or_else(|| written(text)).or_else(|| fraction().and_then(whole_and_part))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    instant.ok_or(WRONG)
}

fn since_1970(number: i64) -> Option<Timestamp> {
    match number {
        NANOSECONDS_FROM.. => Timestamp::from_nanosecond(number.into()).ok(),
        MICROSECONDS_FROM.. => Timestamp::from_microsecond(number).ok(),
        MILLISECONDS_FROM.. => Timestamp::from_millisecond(number).ok(),
        0.. => Timestamp::from_second(number).ok(),
        _ => None,
    }
}

/// Seconds, or milliseconds, with a fraction.
fn whole_and_part(number: f64) -> Option<Timestamp> {
    #[expect(clippy::cast_precision_loss, reason = "a bound")]
    let seconds = if number >= MILLISECONDS_FROM as f64 { number / 1000.0 } else { number };
    let since = SignedDuration::try_from_secs_f64(seconds).ok().filter(|since| !since.is_negative())?;
    Timestamp::UNIX_EPOCH.checked_add(since).ok()
}

fn written(text: &str) -> Option<Timestamp> {
    let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    let without_utc = || text.strip_suffix(" UTC")?.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    let instant = text.parse::<Timestamp>().ok();
    instant.or_else(|| local().or_else(without_utc).map(|zoned| zoned.timestamp()))
}

/// `amount` as what is counted in: rounded up, so that a part of a credit is use.
pub(super) fn rounded_up(amount: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and is finite")]
    let whole = amount.abs().ceil() as i64;
    whole
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_in_every_form_that_was_seen_or_is_likely() {
        let noon: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for form in [
            json!("2026-11-23T12:00:00Z"),
            json!("2026-11-23T12:00:00.000+00:00"),
            json!("2026-11-23T13:00:00+01:00"),
            json!("2026-11-23T12:00:00"),
            json!("2026-11-23 12:00:00"),
            json!("2026-11-23 12:00:00.000"),
            json!("2026-11-23 12:00:00 UTC"),
            json!("1795435200"),
            json!("1795435200000"),
            json!(1_795_435_200),
            json!(1_795_435_200_000_i64),
            json!(1_795_435_200_000_000_i64),
            json!(1_795_435_200.0),
            json!(1_795_435_200_000.0),
            json!("1795435200.0"),
        ] {
            assert_eq!(instant(&form), Ok(noon), "{form}");
        }
        assert_eq!(instant(&json!("2026-11-23")), Ok("2026-11-23T00:00:00Z".parse().unwrap()));
        for form in
            [json!(null), json!(""), json!("noon"), json!(-5), json!(true), json!(["2026"]), json!(1e300)]
        {
            assert!(instant(&form).is_err(), "{form}");
        }
    }

    #[test]
    fn a_number_may_be_a_text_and_nothing_is_none() {
        for (form, read) in [
            (json!(3), Ok(3.0)),
            (json!("3"), Ok(3.0)),
            (json!(" 0.25 "), Ok(0.25)),
            (json!(null), Ok(0.0)),
            (json!("null"), Ok(0.0)),
            (json!(""), Ok(0.0)),
        ] {
            assert_eq!(number(&form), read, "{form}");
        }
        for form in [json!("many"), json!(true), json!("NaN"), json!("inf"), json!({}), json!([1])] {
            assert!(number(&form).is_err(), "{form}");
        }
        assert_eq!([0.0, 0.01, 1.0, 1.5, 1e300].map(rounded_up), [0, 1, 1, 2, i64::MAX]);
    }
}
