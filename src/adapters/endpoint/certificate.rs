//! Reads the validity of a certificate: as much of DER as that takes.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The beginning and the end of a certificate's validity; `None` if this is no certificate.
#[must_use]
pub fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if rest.first() == Some(&EXPLICIT_VERSION) {
        (_, rest) = element(rest, EXPLICIT_VERSION)?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        (_, rest) = element(rest, *rest.first()?)?;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some((not_before, not_after))
}

/// The time at the beginning, and what follows it.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let tag = *der.first()?;
    let (text, rest) = element(der, tag)?;
    Some((moment(tag, std::str::from_utf8(text).ok()?)?, rest))
}

/// The content of the element at the beginning, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let digits = length - 0x80;
        if digits == 0 || digits > 3 {
            return None;
        }
        let (bytes, after) = rest.split_at_checked(digits)?;
        length = bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
        rest = after;
    }
    rest.split_at_checked(length)
}

/// `YYMMDDHHMMSSZ` with the century of RFC 5280, or `YYYYMMDDHHMMSSZ`.
fn moment(tag: u8, text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let whole = match tag {
        UTC_TIME if text.len() == 12 => {
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME if text.len() == 14 => text.to_owned(),
        _ => return None,
    };
    let number = |from: usize, to: usize| whole.get(from..to)?.parse::<i8>().ok();
    let date = civil::Date::new(whole.get(..4)?.parse().ok()?, number(4, 6)?, number(6, 8)?).ok()?;
    let time = civil::Time::new(number(8, 10)?, number(10, 12)?, number(12, 14)?, 0).ok()?;
    Some(date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], content].concat()
    }

    fn certificate(version: bool, end: &[u8]) -> Vec<u8> {
        let begin = wrap(UTC_TIME, b"260101000000Z");
        let parts = [
            if version { wrap(EXPLICIT_VERSION, &[2, 1, 2]) } else { Vec::new() },
            vec![2, 1, 7],
            wrap(SEQUENCE, &[5, 0]),
            wrap(SEQUENCE, &[]),
            wrap(SEQUENCE, &[begin, end.to_vec()].concat()),
        ];
        wrap(SEQUENCE, &wrap(SEQUENCE, &parts.concat()))
    }

    #[test]
    fn a_validity_is_read_in_both_forms_with_and_without_a_version() {
        for (end, expected) in [
            (wrap(UTC_TIME, b"301231235959Z"), "2030-12-31T23:59:59Z"),
            (wrap(UTC_TIME, b"500101000000Z"), "1950-01-01T00:00:00Z"),
            (wrap(GENERALIZED_TIME, b"20991231235959Z"), "2099-12-31T23:59:59Z"),
        ] {
            for version in [true, false] {
                let read = validity(&certificate(version, &end));
                let read = read.map(|(from, until)| (from.to_string(), until.to_string()));
                assert_eq!(read, Some(("2026-01-01T00:00:00Z".to_owned(), expected.to_owned())));
            }
        }
    }

    #[test]
    fn what_is_cut_short_or_something_else_is_no_certificate() {
        let whole = certificate(true, &wrap(UTC_TIME, b"301231235959Z"));
        for length in 0..whole.len() {
            assert_eq!(validity(whole.get(..length).unwrap()), None, "{length}");
        }
        for bad in [b"301331235959Z".as_slice(), b"301231235959", b"3012312359Z", b"+01231235959Z"] {
            assert_eq!(validity(&certificate(true, &wrap(UTC_TIME, bad))), None, "{bad:?}");
        }
    }
}
