//! Since when waits count, whatever the wall clock was set to since they began. Shared by all reconcilers, and forgotten with
//! the process: then the journal's instants are all there is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::CredentialName;
use crate::domain::time::earlier;
use crate::domain::written_instant::WrittenInstants;
use crate::ports::clock::Clock;

#[derive(Default)]
pub(super) struct Waits {
    written: Mutex<WrittenInstants>,
    /// The newest failure of each credential in this process, and the uptime at which it happened.
    failed: Mutex<Timed>,
    /// The newest wait of each credential that began when the clocks agreed, in this process.
    agreed: Mutex<Timed>,
}

/// What the journal has at an instant, and the uptime at which it happened.
type Timed = BTreeMap<CredentialName, (Timestamp, Duration)>;

impl Waits {
    /// Since when a wait of the credential counts that began at `written`: not after now, whatever clock wrote it.
    pub(super) fn since(&self, clock: &dyn Clock, name: &CredentialName, written: Timestamp) -> Timestamp {
        let mut instants = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        instants.since(name, written, clock.now(), clock.uptime())
    }

    /// A failure that the journal has at `at` happens now.
    pub(super) fn failed(&self, clock: &dyn Clock, name: &CredentialName, at: Timestamp) {
        locked(&self.failed).insert(name.clone(), (at, clock.uptime()));
    }

    /// The clocks agree, and what the journal has at `at` begins now.
    pub(super) fn agreed(&self, clock: &dyn Clock, name: &CredentialName, at: Timestamp) {
        locked(&self.agreed).insert(name.clone(), (at, clock.uptime()));
    }

    /// Since when a promised wait has lasted that began at `at`: by the timer; `None` if it did not begin in this process.
    pub(super) fn lasting_since(
        &self,
        clock: &dyn Clock,
        name: &CredentialName,
        at: Timestamp,
    ) -> Option<Timestamp> {
        as_long_ago(&locked(&self.agreed), clock, name, at)
    }

    /// Since when the back-off counts after the failure that the journal has at `at`: as long ago as it is by the timer, if it
    /// happened in this process.
    pub(super) fn failed_at(&self, clock: &dyn Clock, name: &CredentialName, at: Timestamp) -> Timestamp {
        let by_the_timer = as_long_ago(&locked(&self.failed), clock, name, at);
        by_the_timer.unwrap_or_else(|| self.since(clock, name, at))
    }
}

fn locked(timed: &Mutex<Timed>) -> MutexGuard<'_, Timed> {
    timed.lock().unwrap_or_else(PoisonError::into_inner)
}

fn as_long_ago(timed: &Timed, clock: &dyn Clock, name: &CredentialName, at: Timestamp) -> Option<Timestamp> {
    let (_, uptime) = timed.get(name).filter(|(known, _)| *known == at)?;
    let ago = SignedDuration::try_from(clock.uptime().saturating_sub(*uptime)).unwrap_or_default();
    Some(earlier(clock.now(), ago))
}
