//! What preflight read, kept for the staging that follows at once, so that it needs no second read. Correctness
//! never rests on it: a base that is out of date makes a version whose promotion is refused.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::adapters::aws_secrets_manager::calls::Content;
use crate::domain::plan::Destination;

const LIFETIME: Duration = Duration::from_secs(60);
/// Each holds at most the 64 KiB of a secret.
const COUNT_MAX: usize = 256;

/// What a new version is made over.
pub(super) enum Base {
    /// There is no such secret.
    Absent,
    /// The secret has no current version.
    Empty,
    Version(Content),
}

/// Each base is handed out once, and wiped when it is handed out, too old, or crowded out.
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

    fn fresh(&self) -> MutexGuard<'_, BTreeMap<Destination, (Instant, Base)>> {
        let mut bases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bases.retain(|_, (since, _)| since.elapsed() < LIFETIME);
        bases
    }
}
