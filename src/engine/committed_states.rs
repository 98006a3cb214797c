//! The state of each credential as its reconciler last committed it: what an acknowledgement is answered from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::ids::CredentialName;
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::domain::secret::Fingerprint;

/// The state of each sound credential as its reconciler last committed it.
#[derive(Default)]
pub(super) struct CommittedStates(Mutex<BTreeMap<CredentialName, Arc<CommittedState>>>);

pub(super) struct CommittedState {
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) rotation: Option<Rotation>,
}

impl CommittedStates {
    fn all(&self) -> MutexGuard<'_, BTreeMap<CredentialName, Arc<CommittedState>>> {
        // Each change is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn update(&self, record: &Record, rotation: Option<&Rotation>) {
        let fingerprint = record.current.as_ref().and_then(|current| current.fingerprint.clone());
        let state = CommittedState { fingerprint, rotation: rotation.cloned() };
        self.all().insert(record.credential.clone(), Arc::new(state));
    }

    /// The credential's journal is damaged.
    pub(super) fn remove(&self, name: &CredentialName) {
        self.all().remove(name);
    }

    pub(super) fn of(&self, name: &CredentialName) -> Option<Arc<CommittedState>> {
        self.all().get(name).cloned()
    }
}
