//! The journal for commands that only read, while the daemon runs or not. Nothing is locked, created or changed.

use std::fmt;

use jiff::Timestamp;

use crate::domain::ack::Ack;
use crate::domain::audit::check::Fault;
use crate::domain::audit::{ChainedAct, Head};
use crate::domain::gate::Observations;
use crate::domain::hold::Hold;
use crate::domain::ids::{CredentialName, RotationId, WorkspaceName};
use crate::domain::notification::ChannelFailure;
use crate::ports::journal::{CredentialStates, Error, RotationHistory};

/// Why a journal cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "there is no journal at {journal}; name the one of a running daemon, or start `rekeyd run`, which creates it"
    )]
    Missing { journal: String },
    /// Another process has it: try again when that one is gone.
    #[error(
        "the journal {journal} is in use by another rekeyd{}; only one may run at a time: stop that one first",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked { journal: String, pid: Option<u32> },
    #[error(
        "the journal {journal} has schema version {found} and this rekeyd knows versions up to {known}; \
         run the newer rekeyd that wrote it"
    )]
    Newer { journal: String, found: u32, known: u32 },
    /// Only when opened read-only: nothing may be migrated then.
    #[error(
        "the journal {journal} has schema version {found} and this rekeyd reads version {known}; \
         start `rekeyd run` of this version once, which upgrades it"
    )]
    Older { journal: String, found: u32, known: u32 },
    #[error("{journal} is not a journal of rekeyd: {why}; name another journal")]
    Foreign { journal: String, why: String, advice: String },
    #[error("the journal {journal} is damaged: {why}; {advice}")]
    Damaged { journal: String, why: String, advice: String },
    #[error("cannot {attempt} {journal}: {why}; {advice}")]
    Unusable { attempt: &'static str, journal: String, why: String, advice: String },
}

impl OpenError {
    /// The suggested fix.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Newer { .. } => "run the rekeyd version that wrote it, or a later one".to_owned(),
            Self::Foreign { advice, .. } | Self::Damaged { advice, .. } | Self::Unusable { advice, .. } => {
                advice.clone()
            }
            Self::Missing { .. } | Self::Locked { .. } | Self::Older { .. } => {
                "start this version's `rekeyd run`".to_owned()
            }
        }
    }
}

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Read(#[from] Error),
}

/// The methods block.
pub trait JournalReader: AuditReader + Diagnosis {
    /// As [`Records::load`](crate::ports::journal::Records::load).
    ///
    /// # Errors
    /// The journal as a whole cannot be read.
    fn load(&self) -> Result<CredentialStates, ReadError>;

    /// As [`RotationLog::history`](crate::ports::journal::RotationLog::history).
    ///
    /// # Errors
    /// The journal cannot be read, or a row of this credential is damaged.
    fn history(&self, credential: &CredentialName, limit: usize) -> Result<Vec<RotationHistory>, ReadError>;

    /// As [`Acknowledgements::acks`](crate::ports::journal::Acknowledgements::acks).
    ///
    /// # Errors
    /// The journal cannot be read, or a row of this credential is damaged.
    fn acks(&self, credential: &CredentialName) -> Result<Vec<Ack>, ReadError>;

    /// As [`Acknowledgements::observed`](crate::ports::journal::Acknowledgements::observed).
    ///
    /// # Errors
    /// The journal cannot be read, or the row is damaged.
    fn observed(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
    ) -> Result<Option<Observations>, ReadError>;

    /// As [`HoldRegister::holds`](crate::ports::journal::HoldRegister::holds).
    ///
    /// # Errors
    /// The journal cannot be read, or a row is damaged.
    fn holds(&self) -> Result<Vec<Hold>, ReadError>;

    /// The notification channels whose last delivery failed.
    ///
    /// # Errors
    /// The journal cannot be read, or a row is damaged.
    fn failing_channels(&self) -> Result<Vec<ChannelFailure>, ReadError>;
}

/// The audit log for commands. The methods block.
pub trait AuditReader {
    /// As [`AuditLog::audit_head`](crate::ports::journal::AuditLog::audit_head).
    ///
    /// # Errors
    /// The journal cannot be read, or the last record is damaged.
    fn audit_head(&self) -> Result<Head, ReadError>;

    /// As [`AuditLog::audit`](crate::ports::journal::AuditLog::audit).
    ///
    /// # Errors
    /// The journal cannot be read, or a record is damaged.
    fn audit(&self, after: u64, limit: usize) -> Result<Vec<ChainedAct>, ReadError>;

    /// Compares the audit log with its hashes, with the journal's entries, and with a head that was stored elsewhere.
    ///
    /// # Errors
    /// The journal cannot be read. A record that does not fit is a result, not an error.
    fn verify_audit(&self, expected: Option<&Head>) -> Result<Verification, ReadError>;
}

/// The condition of the journal, for `doctor`. The methods block.
pub trait Diagnosis: fmt::Debug + Send {
    /// Checks the whole journal for damage; empty if it is sound.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn damage(&self) -> Result<Vec<String>, ReadError>;

    /// The suggested fix for a damaged journal.
    fn recovery(&self) -> String;

    /// When its files were last written; `None` if the system does not tell.
    fn last_written(&self) -> Option<Timestamp>;

    /// As [`WorkspaceActivity::mints_since`](crate::ports::journal::WorkspaceActivity::mints_since).
    ///
    /// # Errors
    /// The journal cannot be read.
    fn mints_since(&self, workspace: &WorkspaceName, since: Timestamp) -> Result<Vec<Timestamp>, ReadError>;

    /// The process that has the journal open for writing; `None` if there is none, or the system does not tell.
    fn holder(&self) -> Option<u32>;
}

/// The result of a check of the whole audit log.
#[derive(Debug)]
pub struct Verification {
    /// The last record that fits.
    pub head: Head,
    /// The number of journal events with a matching record.
    pub events: usize,
    pub fault: Option<Fault>,
}
