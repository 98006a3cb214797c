//! What is called, and what is journalled, in its order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::adapters::elevenlabs::wire::{self, Asked};
use crate::domain::ids::WorkspaceName;
use crate::domain::plan::Destination;
use crate::ports::journal::Entry;

/// One call to the outside that was imagined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Call {
    Provider {
        workspace: WorkspaceName,
        method: &'static str,
        path: String,
    },
    Store {
        destination: Destination,
        operation: &'static str,
    },
    /// A consumer's endpoint, or a command of the operator's.
    Consumer {
        what: String,
    },
}

/// A line of the ledger.
#[derive(Debug, Clone)]
pub enum Noted {
    Called(Timestamp, Call),
    Journalled(Box<Entry>),
}

/// A clone is the same ledger.
#[derive(Clone, Default)]
pub struct CallLog(Arc<Mutex<Vec<Noted>>>);

impl CallLog {
    pub(super) fn asked(&self, at: Timestamp, workspace: &WorkspaceName, asked: Asked<'_>) {
        for (method, path) in wire::requests(asked) {
            self.note(Noted::Called(at, Call::Provider { workspace: workspace.clone(), method, path }));
        }
    }

    pub(super) fn stored(&self, at: Timestamp, to: &Destination, operations: &[&'static str]) {
        for &operation in operations {
            self.note(Noted::Called(at, Call::Store { destination: to.clone(), operation }));
        }
    }

    pub(super) fn consumed(&self, at: Timestamp, what: String) {
        self.note(Noted::Called(at, Call::Consumer { what }));
    }

    pub(super) fn journalled(&self, entry: &Entry) {
        self.note(Noted::Journalled(Box::new(entry.clone())));
    }

    /// Everything since this was last asked.
    pub(super) fn take(&self) -> Vec<Noted> {
        std::mem::take(&mut *self.lines())
    }

    fn note(&self, noted: Noted) {
        self.lines().push(noted);
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
