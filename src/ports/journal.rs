//! The journal: everything that has to survive a crash. It never holds a key's value.
//!
//! A backend implements six small traits, and [`JournalReader`] for the commands. A component takes the part that it uses.

mod acknowledgements;
mod activity;
mod audit_log;
mod holds;
mod reader;
mod records;
mod rotation_log;

use jiff::Timestamp;

use crate::domain::audit::events::Place;
use crate::domain::audit::{Act, Actor};
use crate::domain::event::Event;
use crate::domain::ids::{CredentialName, KeyId, RotationId, WorkspaceName};
use crate::domain::record::Record;
use crate::domain::rotation::{CorruptHistory, Rotation};

pub use crate::ports::journal::acknowledgements::{Acknowledgements, AcksByCredential};
pub use crate::ports::journal::activity::WorkspaceActivity;
pub use crate::ports::journal::audit_log::{AuditLog, records_where};
pub use crate::ports::journal::holds::HoldRegister;
pub use crate::ports::journal::reader::{
    AuditReader, Diagnosis, JournalReader, OpenError, ReadError, Verification,
};
pub use crate::ports::journal::records::Records;
pub use crate::ports::journal::rotation_log::RotationLog;

/// One event of one rotation. `sequence` counts from 0 within the rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub rotation: RotationId,
    pub sequence: u64,
    pub at: Timestamp,
    pub credential: CredentialName,
    pub workspace: WorkspaceName,
    /// Who caused it.
    pub actor: Actor,
    /// The key concerned, if there is exactly one.
    pub key: Option<KeyId>,
    pub event: Event,
}

impl Entry {
    /// The audit log's record of this entry, as it is written.
    #[must_use]
    pub fn act(&self) -> Act {
        self.act_as_written(&serde_json::to_string(&self.event).unwrap_or_default())
    }

    /// The audit log's record of this entry, computed from the event's text as stored.
    #[must_use]
    pub fn act_as_written(&self, written: &str) -> Act {
        let Self { rotation, sequence, at, credential, workspace, actor, key, event } = self;
        let (rotation, sequence, at) = (*rotation, *sequence, *at);
        Act::of_event(
            &Place { rotation, sequence, at, credential, workspace, actor, key: key.as_ref() },
            event,
            written,
        )
    }
}

/// The state of one credential: its record, and its open rotation folded from the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialState {
    pub record: Record,
    pub rotation: Option<Rotation>,
}

/// Every recorded credential; one with damaged rows as an error in its place.
pub type CredentialStates = Vec<(CredentialName, Result<CredentialState, Error>)>;

/// One rotation with all of its entries, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationHistory {
    pub rotation: RotationId,
    pub entries: Vec<Entry>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process wrote in between, or an earlier attempt succeeded and its answer was lost.
    #[error("the journal has changed under us: {0}")]
    Conflict(String),
    /// The disk is full or read-only, or the database does not answer: nothing was written, try again.
    #[error("the journal cannot be used: {0}")]
    Unavailable(String),
    /// A row that rekeyd cannot have written.
    #[error("the journal is damaged at {place}: {why}")]
    Corrupt { place: String, why: String },
}

impl From<(RotationId, CorruptHistory)> for Error {
    fn from((rotation, history): (RotationId, CorruptHistory)) -> Self {
        Self::Corrupt { place: format!("rotation {rotation}"), why: history.to_string() }
    }
}

/// The whole journal, for whoever needs every part.
///
/// Each write is durable when its method returns `Ok`, and atomic: after any error but `Conflict` either nothing was
/// written, or all of it was and the next identical attempt returns `Conflict`.
///
/// A write and its audit record are one transaction. Audit records are chained in the order in which they were written, and
/// none is ever changed or deleted.
///
/// The contract fits an embedded database of one process as well as a shared one with several.
pub trait Journal:
    RotationLog + Records + WorkspaceActivity + Acknowledgements + HoldRegister + AuditLog
{
}

impl<T> Journal for T where
    T: RotationLog + Records + WorkspaceActivity + Acknowledgements + HoldRegister + AuditLog
{
}
