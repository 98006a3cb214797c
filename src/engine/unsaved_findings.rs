//! Findings that the journal does not have yet, because it takes no writes: shown from memory until it does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::finding::Finding;
use crate::domain::ids::CredentialName;

type Findings = Arc<Mutex<BTreeMap<CredentialName, Vec<Finding>>>>;

#[derive(Default)]
pub(super) struct UnsavedFindings(Findings);

/// Takes the findings back when they are saved, or nobody tries to any more.
pub(super) struct Shown(Findings, CredentialName);

impl UnsavedFindings {
    pub(super) fn show(&self, credential: &CredentialName, findings: &[Finding]) -> Shown {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(credential.clone(), findings.to_vec());
        Shown(Arc::clone(&self.0), credential.clone())
    }

    pub(super) fn all(&self) -> BTreeMap<CredentialName, Vec<Finding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}
