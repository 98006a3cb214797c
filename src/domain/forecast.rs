//! What a policy will do in the time to come: the same decisions as the daemon's, played forward. Nothing is called.
//!
//! Rotations are assumed to go through without trouble and gates to open at the earliest moment: a forecast says when
//! things can happen, and what can never go well. Waves (`after`) and the cap on overlaps are not played.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::domain::ids::CredentialName;
use crate::domain::plan::Reason;
use crate::domain::policy::{Credential, Policy};
use crate::domain::record::expiry_deadline;
use crate::domain::schedule::{Admission, Schedule};

/// Of one credential: a schedule that is this busy is one to be mended, not to be told to its end.
const ROTATIONS_MAX: usize = 10_000;
/// AWS keeps the last 100 versions of a secret and all of the last 24 hours; more than that a day is refused.
const VERSIONS_PER_DAY_MAX: usize = 100;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// One rotation to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Foreseen {
    pub credential: CredentialName,
    pub reason: Reason,
    /// When the calendar or the key's expiry wants it.
    pub due: Timestamp,
    /// When window and freezes let it begin.
    pub begins: Timestamp,
    /// What it waits for from `due` to `begins`, if anything.
    pub held_by: Option<String>,
    /// How old the key is by then.
    #[serde(skip)]
    pub age: SignedDuration,
    /// The earliest moment at which the old key is disabled.
    pub disables: Timestamp,
    /// The earliest moment at which it is deleted.
    pub deletes: Timestamp,
}

/// What cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    pub credential: CredentialName,
    pub at: Timestamp,
    /// What happens then, and what to change, for a person.
    pub why: String,
}

/// Everything from now to the horizon, in order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Forecast {
    pub rotations: Vec<Foreseen>,
    pub broken: Vec<Broken>,
}

/// What a credential starts from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start {
    /// When its key became current; `None` if it has none yet.
    pub since: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// When it is due, where that is on record.
    pub due: Option<Timestamp>,
}

/// Plays `policy` from `now` to `until`. `starts` is what is known; a credential without a key gets its first one now.
#[must_use]
pub fn forecast(
    policy: &Policy,
    starts: &BTreeMap<CredentialName, Start>,
    now: Timestamp,
    until: Timestamp,
) -> Forecast {
    let mut all = Forecast::default();
    for credential in policy.credentials.values() {
        let start = starts.get(&credential.name).copied().unwrap_or_default();
        one(credential, start, now, until, &mut all);
    }
    quotas(policy, &mut all);
    all.rotations.sort_by(|one, other| (one.begins, &one.credential).cmp(&(other.begins, &other.credential)));
    all.broken.sort_by(|one, other| (one.at, &one.credential).cmp(&(other.at, &other.credential)));
    all
}

fn one(credential: &Credential, start: Start, now: Timestamp, until: Timestamp, all: &mut Forecast) {
    let mut start = start;
    let mut unfinished = None;
    for _ in 0..ROTATIONS_MAX {
        let foreseen = next(credential, start, now);
        if foreseen.due > until {
            return;
        }
        let broken = |why: String| Broken { credential: credential.name.clone(), at: foreseen.due, why };
        if foreseen.begins == Timestamp::MAX {
            all.broken.push(broken("it is due and can never begin: mend `window` or `freeze`".to_owned()));
            return;
        }
        if let Some(expiry) = start.expires_at.filter(|expiry| *expiry <= foreseen.begins) {
            let held = foreseen.held_by.as_deref().unwrap_or("its schedule");
            all.broken.push(broken(format!(
                "its key expires at {expiry}, before it can be replaced at {} ({held}); lengthen `key_lifetime`, or shorten the interval",
                foreseen.begins
            )));
        }
        if let Some(deletes) = unfinished.filter(|deletes| *deletes > foreseen.due) {
            all.broken.push(broken(format!(
                "the rotation before it ends at {deletes} at the earliest: shorten `overlap` or `quarantine`, or rotate less often"
            )));
        }
        unfinished = Some(foreseen.deletes);
        let expires_at = credential.key_lifetime.map(|lifetime| later(foreseen.begins, lifetime));
        start = Start { since: Some(foreseen.begins), expires_at, due: None };
        all.rotations.push(foreseen);
    }
}

fn next(credential: &Credential, start: Start, now: Timestamp) -> Foreseen {
    let Start { since, expires_at, due } = start;
    let schedule = &credential.schedule;
    let (mut due, mut reason) = match (since, due) {
        (None, _) => (now, Reason::FirstKey),
        (Some(_), Some(due)) => (due, Reason::Schedule),
        (Some(since), None) => (schedule.next_due(&credential.name, since), Reason::Schedule),
    };
    let (mut begins, mut held_by) = admitted(schedule, due.max(now));
    let deadline = since.and_then(|since| expiry_deadline(since, expires_at, credential));
    // An expiring key does not wait for its window, and for a freeze only if it outlives it.
    if let Some(deadline) = deadline.filter(|deadline| *deadline < begins) {
        let wanted = deadline.max(now);
        let freeze = schedule.freeze(wanted);
        let freeze = freeze.filter(|freeze| expires_at.is_none_or(|expiry| freeze.until < expiry));
        (due, reason) = (deadline, Reason::Expiry);
        begins = freeze.map_or(wanted, |freeze| freeze.until);
        held_by = freeze.map(|freeze| format!("freeze `{}`", freeze.name));
    }
    let disables = thawed(schedule, later(begins, credential.terms.at_least));
    Foreseen {
        credential: credential.name.clone(),
        reason,
        due,
        begins,
        held_by,
        age: begins.duration_since(since.unwrap_or(begins)),
        disables,
        deletes: thawed(schedule, later(disables, credential.terms.quarantine)),
    }
}

fn admitted(schedule: &Schedule, from: Timestamp) -> (Timestamp, Option<String>) {
    match schedule.admits(from) {
        Admission::Open => (from, None),
        Admission::Closed { until, why } => (until, Some(why)),
    }
}

/// The first instant from `at` on at which no freeze forbids to revoke.
fn thawed(schedule: &Schedule, at: Timestamp) -> Timestamp {
    let mut at = at;
    while let Some(freeze) = schedule.freeze(at) {
        at = freeze.until;
    }
    at
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// A secret that several credentials share takes the versions of all.
fn quotas(policy: &Policy, all: &mut Forecast) {
    let mut writes: BTreeMap<(String, String), Vec<(Timestamp, CredentialName)>> = BTreeMap::new();
    for foreseen in &all.rotations {
        let Some(credential) = policy.credentials.get(&foreseen.credential) else { continue };
        for destination in &credential.destinations {
            let place = (destination.store.to_string(), destination.secret.clone());
            writes.entry(place).or_default().push((foreseen.begins, foreseen.credential.clone()));
        }
    }
    for ((store, secret), mut times) in writes {
        times.sort();
        let too_many = times.windows(VERSIONS_PER_DAY_MAX + 1).find_map(|window| {
            let (first, last) = (window.first()?, window.last()?);
            (last.0.duration_since(first.0) < DAY).then_some(last)
        });
        if let Some((at, credential)) = too_many {
            let why = format!(
                "`{store}:{secret}` gets more than {VERSIONS_PER_DAY_MAX} versions within a day, which AWS Secrets Manager refuses: rotate less often"
            );
            all.broken.push(Broken { credential: credential.clone(), at: *at, why });
        }
    }
}
