//! How many versions a secret in AWS gets within a day: a secret that several credentials share takes those of all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::StoreName;
use crate::domain::policy::{Credential, VERSIONS_PER_DAY_MAX};
use crate::rehearsal::simulation::report::Violation;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Counts as rotations come. Keeps no more than a day's quota of each secret.
pub(super) struct Quotas<'a> {
    of_aws: &'a BTreeSet<StoreName>,
    /// The newest writes of each secret; `None` for one that has had too many, which is reported once.
    writes: BTreeMap<(StoreName, String), Option<VecDeque<Timestamp>>>,
}

impl<'a> Quotas<'a> {
    pub(super) fn new(of_aws: &'a BTreeSet<StoreName>) -> Self {
        Self { of_aws, writes: BTreeMap::new() }
    }

    /// What AWS will refuse of a rotation that begins at `at`, which is never before the one that was counted last.
    pub(super) fn count(&mut self, credential: &Credential, at: Timestamp) -> Vec<Violation> {
        let max = usize::try_from(VERSIONS_PER_DAY_MAX).unwrap_or(usize::MAX);
        let mut refused = Vec::new();
        for destination in credential.destinations.iter().filter(|it| self.of_aws.contains(&it.store)) {
            let place = (destination.store.clone(), destination.secret.clone());
            let newest = self.writes.entry(place).or_insert_with(|| Some(VecDeque::new()));
            let Some(writes) = newest else { continue };
            if writes.len() < max {
                writes.push_back(at);
                continue;
            }
            let first = writes.pop_front();
            writes.push_back(at);
            if first.is_some_and(|first| at.duration_since(first) < DAY) {
                *newest = None;
                let why = format!(
                    "`{}:{}` gets more than {VERSIONS_PER_DAY_MAX} versions within a day, which AWS Secrets Manager refuses: rotate less often",
                    destination.store, destination.secret
                );
                refused.push(Violation { credential: credential.name.clone(), at, why });
            }
        }
        refused
    }
}
