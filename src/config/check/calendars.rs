//! Schedules: interval or cron, window and freezes, with their time zones.

use std::ops::Range;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};

use crate::config::raw::{self, At, Either};
use crate::config_file::findings::{Findings, nearest};
use crate::config_file::values;
use crate::domain::schedule::{Cadence, Calendar, Freeze, Window};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The start of the search for a calendar's first match. It is fixed, so that a policy cannot become invalid over time.
pub(super) fn reference_instant() -> Timestamp {
    Timestamp::constant(1_767_225_600, 0)
}

fn calendar(
    at: &raw::Cron,
    span: &Range<usize>,
    zones: &[Option<&At<raw::Zone>>],
    findings: &mut Findings,
) -> Option<Calendar> {
    let cron = cron(at, span, findings);
    let zone = match zones.iter().flatten().next() {
        Some(written) => zone(written, findings),
        None => {
            let rule = "missing `time_zone`";
            findings.error(span, rule, "set `time_zone`, for example `time_zone = \"Europe/London\"`");
            None
        }
    };
    let calendar = Calendar { cron: cron?, zone: zone? };
    if calendar.next_after(reference_instant()).is_none() {
        findings.error(span, "this expression never matches", "use a date that exists");
        return None;
    }
    Some(calendar)
}

fn cron(written: &raw::Cron, span: &Range<usize>, findings: &mut Findings) -> Option<Cron> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    match parser.parse(written.as_str()) {
        Ok(cron) => Some(cron),
        Err(_) => {
            let help = "use minute, hour, day of the month, month and weekday, for example \"0 3 * * Mon\"";
            match wrong_field(&parser, written.as_str()) {
                Some((field, range)) => {
                    let rule = format!("the {field} of the cron expression is not valid");
                    findings.error(span, rule, format!("use {range}; {help}"));
                }
                None => findings.error(span, "not a cron expression with five fields", help),
            }
            None
        }
    }
}

/// The fields of a cron expression, and what each may be.
const CRON_FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12, or Jan to Dec"),
    ("weekday", "0 to 7, or Sun to Sat"),
];

/// The first field that is wrong by itself; `None` if there are not five, or each of them is valid.
fn wrong_field(parser: &CronParser, written: &str) -> Option<(&'static str, &'static str)> {
    let fields: Vec<&str> = written.split_whitespace().collect();
    if fields.len() != CRON_FIELDS.len() {
        return None;
    }
    let is_wrong = |at: usize, field: &str| {
        let mut alone = ["*"; CRON_FIELDS.len()];
        alone.iter_mut().skip(at).take(1).for_each(|it| *it = field);
        parser.parse(&alone.join(" ")).is_err()
    };
    let wrong = fields.iter().zip(CRON_FIELDS).enumerate().find(|(at, (field, _))| is_wrong(*at, field));
    wrong.map(|(_, (_, described))| described)
}

fn zone(written: &At<raw::Zone>, findings: &mut Findings) -> Option<TimeZone> {
    let text = written.value().as_str();
    if let Ok(zone) = TimeZone::get(text) {
        return Some(zone);
    }
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let help = match nearest(text, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => "use an IANA time zone name, for example \"Europe/London\"".to_owned(),
    };
    findings.error(&written.span(), "unknown time zone", help);
    None
}

/// The interval or cron of a credential: its own, else the inherited one. `key` is the credential's.
pub(super) fn cadence(
    credential: &raw::Credential,
    defaults: &raw::Defaults,
    name: &At<String>,
    findings: &mut Findings,
) -> Option<Cadence> {
    let zones = [credential.time_zone.as_ref(), defaults.time_zone.as_ref()];
    let own = (credential.every.as_ref(), credential.cron.as_ref());
    let inherited = (defaults.every.as_ref(), defaults.cron.as_ref());
    let key = findings.key_at(&name.span());
    let explained = ["every", "cron"].iter().any(|word| {
        findings.is_explained(&format!("{key}.{word}")) || findings.is_explained(&format!("defaults.{word}"))
    });
    match if own.0.is_some() || own.1.is_some() { own } else { inherited } {
        (Some(every), None) => values::duration(Some(every), SECOND, findings).map(Cadence::Every),
        (None, Some(cron)) => {
            let [own, inherited] = zones;
            let calendar = match cron.value() {
                Either::Short(at) => calendar(at, &cron.span(), &[own, inherited], findings),
                Either::Long(long) => {
                    let at = long.at.as_ref()?;
                    let zones = [long.time_zone.as_ref(), own, inherited];
                    calendar(at.value(), &at.span(), &zones, findings)
                }
            };
            calendar.map(Box::new).map(Cadence::Calendar)
        }
        (Some(every), Some(_)) => {
            let rule = "`every` and `cron` are both set";
            findings.error(&every.span(), rule, "keep one of them");
            None
        }
        (None, None) => {
            if !explained {
                let help = "set `every = \"30d\"` or `cron = \"0 3 * * Mon\"`, here or in `[defaults]`";
                findings.error(&name.span(), "missing schedule: neither `every` nor `cron` is set", help);
            }
            None
        }
    }
}

pub(super) fn window(
    credential: &raw::Credential,
    defaults: &raw::Defaults,
    findings: &mut Findings,
) -> Option<Window> {
    match credential.window.as_ref().or(defaults.window.as_ref())? {
        Either::Short(raw::Always::Always) => None,
        Either::Long(window) => {
            let zones =
                [window.time_zone.as_ref(), credential.time_zone.as_ref(), defaults.time_zone.as_ref()];
            let lasts = values::duration(window.lasts.as_ref(), SECOND, findings);
            let opens = window.opens.as_ref();
            let opens = opens.and_then(|opens| calendar(opens.value(), &opens.span(), &zones, findings));
            Some(Window { opens: opens?, lasts: lasts? })
        }
    }
}

/// A freeze; `zones` are the defaults for one without a time zone.
pub(super) fn freeze(
    raw: &raw::Freeze,
    zones: &[Option<&At<raw::Zone>>],
    findings: &mut Findings,
) -> Option<Freeze> {
    let written = raw.time_zone.as_ref().or_else(|| zones.iter().flatten().next().copied());
    let zone = match written {
        Some(written) => Some(zone(written, findings)?),
        None => None,
    };
    let from = raw.from.as_ref().and_then(|from| moment(from, zone.as_ref(), false, findings));
    let until = raw.until.as_ref().and_then(|until| moment(until, zone.as_ref(), true, findings));
    let name = values::text(raw.name.as_ref(), findings);
    let (from, until) = (from?, until?);
    if until <= from {
        let span = raw.until.as_ref().map(At::span).unwrap_or_default();
        findings.error(&span, "the freeze ends before it begins", "set `until` after `from`");
        return None;
    }
    let name = name.unwrap_or_else(|| format!("from {from}"));
    Some(Freeze { from, until, name })
}

/// The instant. A date alone is its first instant or, as an end, the first instant after it.
fn moment(
    written: &At<raw::Moment>,
    zone: Option<&TimeZone>,
    is_end: bool,
    findings: &mut Findings,
) -> Option<Timestamp> {
    let moment = &written.value().0;
    let text = moment.to_string();
    if moment.date.is_none() {
        let help = "use a date, or a date and a time, for example `2026-12-18`";
        findings.error(&written.span(), "a time needs a date", help);
        return None;
    }
    let instant = if moment.offset.is_some() {
        text.parse().ok()
    } else {
        let Some(zone) = zone else {
            let help = "set `time_zone = \"Europe/London\"`, or add an offset as in \
                        `2026-12-18T18:00:00Z`";
            findings.error(&written.span(), "missing `time_zone`", help);
            return None;
        };
        local_instant(&text, moment.time.is_some(), zone, is_end)
    };
    if instant.is_none() {
        findings.error(&written.span(), "unsupported date", "use a date between the years 1 and 9998");
    }
    instant
}

fn local_instant(text: &str, has_time: bool, zone: &TimeZone, is_end: bool) -> Option<Timestamp> {
    if has_time {
        let reading: civil::DateTime = text.parse().ok()?;
        return reading.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp());
    }
    let date: civil::Date = text.parse().ok()?;
    let date = if is_end { date.tomorrow().ok()? } else { date };
    date.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
}
