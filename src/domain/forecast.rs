//! What a policy will do in the time to come: the same decisions as the daemon's, played forward. Nothing is called.
//!
//! Rotations are assumed to go through without trouble and gates to open at the earliest moment: a forecast says when
//! things can happen, and what can never go well.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::domain::ids::{CredentialName, KeyId, StoreName};
use crate::domain::plan::Reason;
use crate::domain::policy::Policy;
use crate::domain::record::{Current, Record};

mod fleet;
mod next;
#[cfg(test)]
mod tests;

/// AWS keeps the last 100 versions of a secret and all of the last 24 hours; more than that a day is refused.
pub const VERSIONS_PER_DAY_MAX: u32 = 100;
const DAY: SignedDuration = SignedDuration::from_hours(24);

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
            grants: None,
        });
        Self { record: Record { current, ..Record::new(credential) }, under_way: None }
    }
}

/// Plays `policy` from `now` to `until`. `starts` is what is known; a credential without a key gets its first one now.
/// `of_aws` are the stores that are in AWS, which takes so many versions a day and no more.
#[must_use]
pub fn forecast(
    policy: &Policy,
    of_aws: &BTreeSet<StoreName>,
    starts: BTreeMap<CredentialName, Start>,
    now: Timestamp,
    until: Timestamp,
) -> Forecast {
    let mut all = fleet::play(policy, starts, now, until);
    quotas(policy, of_aws, &mut all);
    all.rotations.sort_by(|one, other| (one.begins, &one.credential).cmp(&(other.begins, &other.credential)));
    all.broken.sort_by(|one, other| (one.at, &one.credential).cmp(&(other.at, &other.credential)));
    all
}

/// A secret that several credentials share takes the versions of all.
fn quotas(policy: &Policy, of_aws: &BTreeSet<StoreName>, all: &mut Forecast) {
    let mut writes: BTreeMap<(&StoreName, &str), Vec<(Timestamp, CredentialName)>> = BTreeMap::new();
    for foreseen in &all.rotations {
        let Some(credential) = policy.credentials.get(&foreseen.credential) else { continue };
        for destination in credential.destinations.iter().filter(|it| of_aws.contains(&it.store)) {
            let place = (&destination.store, destination.secret.as_str());
            writes.entry(place).or_default().push((foreseen.begins, foreseen.credential.clone()));
        }
    }
    let too_many = usize::try_from(VERSIONS_PER_DAY_MAX).unwrap_or(usize::MAX).saturating_add(1);
    for ((store, secret), mut times) in writes {
        times.sort();
        let refused = times.windows(too_many).find_map(|window| {
            let (first, last) = (window.first()?, window.last()?);
            (last.0.duration_since(first.0) < DAY).then_some(last)
        });
        if let Some((at, credential)) = refused {
            let why = format!(
                "`{store}:{secret}` gets more than {VERSIONS_PER_DAY_MAX} versions within a day, which AWS Secrets Manager refuses: rotate less often"
            );
            all.broken.push(Broken { credential: credential.clone(), at: *at, why });
        }
    }
}
