//! When a credential is due, and when its rotation may start: instants computed in the policy's own time zone.

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::CredentialName;

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
pub enum Admission {
    Open,
    /// Not before `until` (`Timestamp::MAX` if never), because of `why`: one line for a person.
    Closed {
        until: Timestamp,
        why: String,
    },
}

impl Schedule {
    /// The first instant at which the credential is due when its key became current at `after`: always later than
    /// `after`, the same for the same inputs, jitter included.
    #[must_use]
    pub fn next_due(&self, _credential: &CredentialName, after: Timestamp) -> Timestamp {
        match &self.cadence {
            Cadence::Every(interval) => after.saturating_add(*interval).unwrap_or(Timestamp::MAX),
            Cadence::Calendar(_) => Timestamp::MAX,
        }
    }

    /// Whether a rotation that keeps to the window may start at `now`. A freeze shuts it whatever the window says.
    #[must_use]
    pub fn admits(&self, _now: Timestamp) -> Admission {
        Admission::Open
    }

    /// A text that is the same exactly for schedules that compute the same due instants.
    #[must_use]
    pub fn signature(&self) -> String {
        String::new()
    }

    /// The freeze that is in force at `now`, if any: then nothing starts and nothing is revoked.
    #[must_use]
    pub fn freeze(&self, now: Timestamp) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| freeze.from <= now && now < freeze.until)
    }
}
