//! How many versions a secret gets within a day, where its store takes only so many. Credentials that share a secret count
//! together.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::StoreName;
use crate::domain::policy::Credential;
use crate::ports::store_kind::VersionQuota;
use crate::rehearsal::simulation::report::Violation;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Counts as rotations come. Keeps no more than a day's quota of each secret.
pub(super) struct Quotas<'a> {
    /// Of the stores that have one.
    quotas: &'a BTreeMap<StoreName, VersionQuota>,
    /// The newest writes of each secret; `None` for one that has had too many, which is reported once.
    writes: BTreeMap<(StoreName, String), Option<VecDeque<Timestamp>>>,
}

impl<'a> Quotas<'a> {
    pub(super) fn new(quotas: &'a BTreeMap<StoreName, VersionQuota>) -> Self {
        Self { quotas, writes: BTreeMap::new() }
    }

    /// What stores will refuse of a rotation that begins at `at`, which is never before the one that was counted last.
    pub(super) fn count(&mut self, credential: &Credential, at: Timestamp) -> Vec<Violation> {
        let mut refused = Vec::new();
        for destination in &credential.destinations {
            let Some(VersionQuota { per_day, service }) = self.quotas.get(&destination.store) else {
                continue;
            };
            let max = usize::try_from(*per_day).unwrap_or(usize::MAX);
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
                    "`{}:{}` gets more than {per_day} versions within a day, which {service} refuses: rotate less often",
                    destination.store, destination.secret
                );
                refused.push(Violation { credential: credential.name.clone(), at, why });
            }
        }
        refused
    }
}
