//! What a policy will do in the time to come: the same decisions as the daemon's, played forward. Nothing is called.
//!
//! Rotations are assumed to go through without trouble and gates to open at the earliest moment: a forecast says when
//! things can happen, and what can never go well.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::domain::ids::{CredentialName, KeyId, StoreName};
use crate::domain::plan::Reason;
use crate::domain::policy::Policy;
use crate::domain::record::{Current, Record};

use quotas::{Quotas, VersionQuota};

mod fleet;
pub mod late;
mod next;
pub mod quotas;
#[cfg(test)]
mod tests;

/// One rotation to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Foreseen {
    pub credential: CredentialName,
    pub reason: Reason,
    /// When the calendar or the key's expiry wants it.
    pub due: Timestamp,
    /// When window and freezes, those that come first, and the others of its workspace let it begin.
    pub begins: Timestamp,
    /// What it waits for from `due` to `begins`, if anything; the last, if several.
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
    /// How many there are besides: later ones, which are played and not told.
    pub more: usize,
    /// If there are more rotations than are played: until when everything was.
    pub whole_until: Option<Timestamp>,
    /// Of each credential every kind of trouble once, when it first comes.
    pub broken: Vec<Broken>,
}

/// What a credential starts from.
#[derive(Debug, Clone)]
pub struct Start {
    pub record: Record,
    /// The rotation that is under way, if one is.
    pub under_way: Option<UnderWay>,
}

/// A rotation as far as it matters to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// Since when its new key is one.
    pub since: Timestamp,
    /// When it is over, the old key's deletion included.
    pub ends: Timestamp,
}

impl Start {
    /// Where nothing is known: its key is taken to have become current at `now`.
    #[must_use]
    pub fn assumed(credential: CredentialName, now: Timestamp) -> Self {
        let current = KeyId::new("assumed").ok().map(|key| Current {
            key,
            fingerprint: None,
            since: now,
            expires_at: None,
            usage_hash: None,
            attributes: None,
        });
        Self { record: Record { current, ..Record::new(credential) }, under_way: None }
    }
}

/// How much is played and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Rotations that are told one by one; later ones are counted.
    pub told: usize,
    /// Rotations of one credential: a schedule that is this busy is one to be mended, not to be told to its end.
    pub of_one: usize,
    /// Rotations of all credentials together.
    pub of_all: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { told: 50_000, of_one: 10_000, of_all: 500_000 }
    }
}

/// Plays `policy` from `now` to `until`. `starts` is what is known; a credential without a key gets its first one now.
/// `quotas` are those of the stores that take only so many versions of a secret a day.
#[must_use]
pub fn forecast(
    policy: &Policy,
    quotas: &BTreeMap<StoreName, VersionQuota>,
    starts: BTreeMap<CredentialName, Start>,
    now: Timestamp,
    until: Timestamp,
) -> Forecast {
    within(Bounds::default(), policy, quotas, starts, now, until)
}

/// The same, with bounds of its own.
#[must_use]
pub fn within(
    bounds: Bounds,
    policy: &Policy,
    quotas: &BTreeMap<StoreName, VersionQuota>,
    starts: BTreeMap<CredentialName, Start>,
    now: Timestamp,
    until: Timestamp,
) -> Forecast {
    let mut all = fleet::play(policy, Quotas::new(quotas), starts, Reach { now, until, bounds });
    all.rotations.sort_by(|one, other| (one.begins, &one.credential).cmp(&(other.begins, &other.credential)));
    all.broken.sort_by(|one, other| (one.at, &one.credential).cmp(&(other.at, &other.credential)));
    all
}

/// How far it is played.
#[derive(Clone, Copy)]
struct Reach {
    now: Timestamp,
    until: Timestamp,
    bounds: Bounds,
}
