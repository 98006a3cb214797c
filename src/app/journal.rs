//! Opens the journal that the policy names: each backend has a variant of [`JournalConfig`] and its opening here.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::adapters::sqlite::SqliteJournal;
use crate::config::components::JournalConfig;
use crate::ports::journal::{Journal, JournalReader, OpenError};
use crate::ports::outbox::Outbox;

/// What the daemon writes to: the journal, with the outbox of notifications in the same database.
pub trait Database: Journal + Outbox {}

impl<T: Journal + Outbox> Database for T {}

impl JournalConfig {
    /// Opens the journal for the daemon: creates it if there is none, and brings its schema up to date. Blocks.
    ///
    /// # Errors
    /// Each error says what to do. An existing journal is unchanged.
    pub fn open(&self) -> Result<Arc<dyn Database>, OpenError> {
        match self {
            Self::Sqlite { path } => Ok(Arc::new(SqliteJournal::open(path)?)),
        }
    }

    /// Opens the journal for a command that only reads, while the daemon runs or not. Blocks.
    ///
    /// # Errors
    /// Each error says what to do. Nothing was created.
    pub fn open_read_only(&self) -> Result<Box<dyn JournalReader>, OpenError> {
        match self {
            Self::Sqlite { path } => Ok(Box::new(SqliteJournal::open_read_only(path)?)),
        }
    }

    /// The journal's file, if it is a file of this machine.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite { path } => Some(path),
        }
    }
}

/// Where it is, without any secret.
impl fmt::Display for JournalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "{}", path.display()),
        }
    }
}
