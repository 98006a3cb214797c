//! What preflight read, cached for the staging that follows, which then needs no second read. Correctness does not depend
//! on the cache: AWS refuses to promote a version that was made over an outdated base.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::adapters::aws_secrets_manager::calls::Content;
use crate::domain::plan::Destination;

const LIFETIME: Duration = Duration::from_secs(60);
/// Each entry holds at most the 64 KiB of a secret.
const COUNT_MAX: usize = 256;

/// What a new version replaces.
pub(super) enum Base {
    /// The secret does not exist.
    Absent,
    /// The secret has no current version.
    Empty,
    Version(Content),
}

/// Each base is returned once. It is wiped when it is returned or too old.
#[derive(Default)]
pub(super) struct Bases(Mutex<BTreeMap<Destination, (Instant, Base)>>);

impl Bases {
    pub(super) fn keep(&self, destination: &Destination, base: Base) {
        let mut bases = self.fresh();
        if bases.len() < COUNT_MAX {
            bases.insert(destination.clone(), (Instant::now(), base));
        }
    }

    pub(super) fn take(&self, destination: &Destination) -> Option<Base> {
        self.fresh().remove(destination).map(|(_, base)| base)
    }

    /// The secret is about to have another current version, whichever field that is for.
    pub(super) fn forget(&self, secret: &str) {
        self.fresh().retain(|destination, _| destination.secret != secret);
    }

    fn fresh(&self) -> MutexGuard<'_, BTreeMap<Destination, (Instant, Base)>> {
        let mut bases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bases.retain(|_, (since, _)| since.elapsed() < LIFETIME);
        bases
    }
}
