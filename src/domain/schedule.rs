//! When a credential is due, and when its rotation may start: instants computed in the policy's own time zone.

use croner::Cron;
use jiff::civil::DateTime;
use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::domain::ids::CredentialName;
use crate::domain::time::later;

/// A freeze may end within another, and outside the window: this many steps are taken before the caller is asked to
/// look again.
const STEPS_TO_AN_OPENING_MAX: u32 = 1000;

/// When a credential's key is replaced.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub cadence: Cadence,
    /// At most this much later than the cadence says; how much is decided by the credential's name for ever.
    pub jitter: SignedDuration,
    pub window: Option<Window>,
    pub freezes: Vec<Freeze>,
}

#[derive(Debug, Clone)]
pub enum Cadence {
    /// This long after the current key became current.
    Every(SignedDuration),
    Calendar(Box<Calendar>),
}

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    pub cron: Cron,
    pub zone: TimeZone,
}

/// A stretch of time, again and again, in which rotations may start.
#[derive(Debug, Clone)]
pub struct Window {
    pub opens: Calendar,
    pub lasts: SignedDuration,
}

/// A stretch of time in which nothing starts and nothing is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    pub from: Timestamp,
    pub until: Timestamp,
    pub name: String,
}

/// Whether a rotation may start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartDecision {
    Open,
    /// Not before `until` (`Timestamp::MAX` if never), because of `why`: one line for a person.
    Closed {
        until: Timestamp,
        why: String,
    },
}

impl Schedule {
    /// The first instant at which the credential is due when its key became current at `after`: always later than
    /// `after`, the same for the same inputs, jitter included. `Timestamp::MAX` is never.
    #[must_use]
    pub fn next_due(&self, credential: &CredentialName, after: Timestamp) -> Timestamp {
        let plain = match &self.cadence {
            Cadence::Every(interval) => later(after, *interval),
            Cadence::Calendar(calendar) => calendar.next_after(after).unwrap_or(Timestamp::MAX),
        };
        later(plain, jitter_of(credential, self.jitter))
    }

    /// When the first rotation of a key that was adopted at `adopted_at` is due: the jitter spreads a new policy's load.
    #[must_use]
    pub fn first_due(&self, credential: &CredentialName, adopted_at: Timestamp) -> Timestamp {
        later(adopted_at, jitter_of(credential, self.jitter))
    }

    /// Whether a rotation that keeps to the window may start at `now`. A freeze shuts it whatever the window says.
    /// `until` is the next instant at which window and freezes both let it start.
    #[must_use]
    pub fn admits(&self, now: Timestamp) -> StartDecision {
        let until = self.next_opening(now);
        if until == now {
            return StartDecision::Open;
        }
        let why = match (self.freeze(now), &self.window) {
            (Some(freeze), _) => format!("freeze `{}` until {}", freeze.name, freeze.until),
            (None, Some(window)) => format!("outside the window, which opens at {}", window.opens.describe()),
            (None, None) => "not admitted".to_owned(),
        };
        StartDecision::Closed { until, why }
    }

    /// A text that is the same exactly for schedules that compute the same due instants.
    #[must_use]
    pub fn signature(&self) -> String {
        let cadence = match &self.cadence {
            Cadence::Every(interval) => format!("every {interval}"),
            Cadence::Calendar(calendar) => format!("cron {} {}", calendar.cron, calendar.zone_name()),
        };
        format!("{cadence} jitter {}", self.jitter)
    }

    /// The freeze that is in force at `now`, if any: then nothing starts and nothing is revoked.
    #[must_use]
    pub fn freeze(&self, now: Timestamp) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| freeze.from <= now && now < freeze.until)
    }

    /// When it is due, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = match &self.cadence {
            Cadence::Every(interval) => format!("every {}", brief(*interval)),
            Cadence::Calendar(calendar) => format!("at {}", calendar.describe()),
        };
        if !self.jitter.is_zero() {
            text.push_str(&format!(", up to {} later", brief(self.jitter)));
        }
        if let Some(window) = &self.window {
            let opens = window.opens.describe();
            text.push_str(&format!(", starting only within {} of {opens}", brief(window.lasts)));
        }
        text
    }

    /// The first instant from `now` on, `now` included, outside every freeze and within the window.
    fn next_opening(&self, now: Timestamp) -> Timestamp {
        let mut candidate = now;
        for _ in 0..STEPS_TO_AN_OPENING_MAX {
            if let Some(freeze) = self.freeze(candidate) {
                candidate = freeze.until;
                continue;
            }
            match &self.window {
                Some(window) if !window.is_open(candidate) => match window.opens.next_after(candidate) {
                    Some(opening) => candidate = opening,
                    None => return Timestamp::MAX,
                },
                Some(_) | None => return candidate,
            }
        }
        candidate
    }
}

impl Window {
    /// Whether an opening lies at most `lasts` back.
    fn is_open(&self, now: Timestamp) -> bool {
        let too_early = now.saturating_sub(self.lasts).unwrap_or(Timestamp::MIN);
        self.opens.next_after(too_early).is_some_and(|opening| opening <= now)
    }
}

impl Calendar {
    /// The first occurrence later than `after`; `None` if there is none. Every date and time that the expression
    /// names occurs exactly once: one that the clocks skip occurs when they have gone forward, one that they show
    /// twice occurs the first time. Several that are skipped together occur as one.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        // The search is over wall-clock readings, because croner lets expressions with several hours or minutes
        // occur twice in a repeated hour and drops them in a skipped one.
        let mut reading = self.zone.to_datetime(after);
        loop {
            reading = self.cron.find_next_occurrence(&reading, false).ok()?;
            let instant = self.instant_of(reading)?;
            if instant > after {
                return Some(instant);
            }
        }
    }

    /// When the clocks first show `reading`, or would have shown it. Never earlier for a later reading.
    fn instant_of(&self, reading: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(reading);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => ambiguous.unambiguous().ok(),
            AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
            AmbiguousOffset::Gap { .. } => {
                let behind_the_gap = ambiguous.later().ok()?;
                let just_after = behind_the_gap.checked_add(SignedDuration::from_nanos(1)).ok()?;
                self.zone.preceding(just_after).next().map(|transition| transition.timestamp())
            }
        }
    }

    /// The expression and its zone, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        let expression = self.cron.to_string();
        let (rest, weekdays) = expression.rsplit_once(' ').unwrap_or(("", &expression));
        format!("`{rest} {}` {}", named(weekdays), self.zone_name())
    }

    fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("in an unnamed zone")
    }
}

/// The last field of a cron expression, which croner writes in numbers, with the weekdays' names.
fn named(weekdays: &str) -> String {
    const NAMES: [&str; 8] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let mut before = ' ';
    let mut text = String::new();
    for c in weekdays.chars() {
        let name = c.to_digit(10).and_then(|day| usize::try_from(day).ok()).and_then(|day| NAMES.get(day));
        match name {
            Some(name) if !matches!(before, '#' | '/') && !before.is_ascii_digit() => text.push_str(name),
            Some(_) | None => text.push(c),
        }
        before = c;
    }
    text
}

/// The credential's own share of `jitter`, in whole seconds: from none to all of it, the same in every release.
fn jitter_of(credential: &CredentialName, jitter: SignedDuration) -> SignedDuration {
    let choices = u128::try_from(jitter.as_secs()).unwrap_or(0) + 1;
    let digest = Sha256::new().chain_update("jitter\0").chain_update(credential.as_str()).finalize();
    let number = digest.iter().take(8).fold(0u128, |number, byte| (number << 8) | u128::from(*byte));
    SignedDuration::from_secs(i64::try_from((number * choices) >> 64).unwrap_or(0))
}

/// A duration as a policy would write it, such as `1d 12h`: a day is 24 hours.
#[must_use]
pub fn brief(duration: SignedDuration) -> String {
    let (days, rest) = (duration.as_hours() / 24, duration.as_hours() % 24 * 3600);
    let rest = SignedDuration::new(rest + duration.as_secs() % 3600, duration.subsec_nanos());
    let rest = SpanPrinter::new()
        .designator(Designator::Compact)
        .spacing(Spacing::BetweenUnits)
        .duration_to_string(&rest);
    match (days, rest.starts_with("0s")) {
        (0, _) => rest,
        (_, true) => format!("{days}d"),
        (_, false) => format!("{days}d {rest}"),
    }
}

#[cfg(test)]
mod tests;
