//! When one credential, as it is on record, wants to be rotated next, and when its own window and freezes let it.

use jiff::Timestamp;

use crate::domain::plan::Reason;
use crate::domain::policy::Credential;
use crate::domain::record::{Record, expiry_deadline};
use crate::domain::schedule::{Schedule, StartDecision};

pub(super) struct Next {
    pub(super) due: Timestamp,
    pub(super) reason: Reason,
    /// As far as the credential is concerned.
    pub(super) begins: Timestamp,
    pub(super) held_by: Option<String>,
    /// When an expiring key waits for nobody any more.
    pub(super) deadline: Option<Timestamp>,
}

pub(super) fn next(credential: &Credential, record: &Record, now: Timestamp) -> Next {
    let schedule = &credential.schedule;
    let current = record.current.as_ref();
    let on_record = record.due.as_ref().map(|due| due.at);
    let (due, reason) = match current {
        None => (now, Reason::FirstKey),
        Some(current) => {
            let due = on_record.unwrap_or_else(|| schedule.next_due(&credential.name, current.since));
            (due, Reason::Schedule)
        }
    };
    let (begins, held_by) = match schedule.admits(due.max(now)) {
        StartDecision::Open => (due.max(now), None),
        StartDecision::Closed { until, why } => (until, Some(why)),
    };
    let expires_at = current.and_then(|current| current.expires_at);
    let deadline = current.and_then(|current| expiry_deadline(current.since, current.expires_at, credential));
    // An expiring key does not wait for its window, and for a freeze only if it outlives it.
    if let Some(due) = deadline.filter(|deadline| *deadline < begins || *deadline <= now) {
        let wanted = due.max(now);
        let freeze = schedule.freeze(wanted);
        let freeze = freeze.filter(|freeze| expires_at.is_none_or(|expiry| freeze.until < expiry));
        let begins = freeze.map_or(wanted, |freeze| freeze.until);
        let held_by = freeze.map(|freeze| format!("freeze `{}`", freeze.name));
        return Next { due, reason: Reason::Expiry, begins, held_by, deadline };
    }
    Next { due, reason, begins, held_by, deadline }
}

/// The first instant from `at` on at which no freeze forbids to revoke.
pub(super) fn thawed(schedule: &Schedule, at: Timestamp) -> Timestamp {
    let mut at = at;
    while let Some(freeze) = schedule.freeze(at) {
        at = freeze.until;
    }
    at
}
