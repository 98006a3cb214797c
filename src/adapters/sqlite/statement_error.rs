//! From what SQLite says to what the port says.

use std::fmt;
use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};

use crate::adapters::sqlite::open::advice;
use crate::ports::journal::Error;

/// Why a statement's work was not done: said by us, or by SQLite.
#[derive(Debug)]
pub(super) enum StatementError {
    Port(Error),
    Sqlite(rusqlite::Error),
}

impl StatementError {
    pub(super) fn conflict(why: String) -> Self {
        Self::Port(Error::Conflict(why))
    }

    pub(super) fn corrupt(place: impl Into<String>, why: &dyn fmt::Display) -> Self {
        Self::Port(Error::Corrupt { place: place.into(), why: why.to_string() })
    }

    pub(super) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Port(error) => error,
            Self::Sqlite(error) => explain(path, &error),
        }
    }
}

impl From<rusqlite::Error> for StatementError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let damaged = match code {
        Some(code) => matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase),
        // A column that holds another type than rekeyd writes.
        None => true,
    };
    if damaged {
        return Error::Corrupt { place: path.display().to_string(), why: error.to_string() };
    }
    if code == Some(ErrorCode::ConstraintViolation) {
        let why = format!("a write that breaks a rule of the schema was refused: {error}");
        return Error::Corrupt { place: path.display().to_string(), why };
    }
    Error::Unavailable(format!("{}: {error}; {}", path.display(), advice(code, path)))
}

/// Whether it speaks of one request's rows only: everything else in its transaction may still be done.
pub(super) fn is_of_one_request(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error_code()
        .is_none_or(|code| matches!(code, ErrorCode::ConstraintViolation | ErrorCode::DatabaseCorrupt))
}

/// Whether the disk refused to make durable what it had taken: then it is unknown what it holds, and a later success
/// proves nothing.
pub(super) fn is_sync_failure(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| matches!(error.extended_code, SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC))
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn each_failure_of_sqlite_is_told_for_what_it_is() {
        const HERE: &str = "/var/lib/rekeyd/journal.db";
        for (code, sync, one, told) in [
            (SQLITE_IOERR_FSYNC, true, false, "the journal cannot be used"),
            (SQLITE_IOERR_DIR_FSYNC, true, false, "the journal cannot be used"),
            (ffi::SQLITE_IOERR_WRITE, false, false, "df -h /var/lib/rekeyd"),
            (ffi::SQLITE_FULL, false, false, "free some space"),
            (ffi::SQLITE_READONLY, false, false, "see who may write there"),
            (ffi::SQLITE_BUSY, false, false, "another program holds the file"),
            (ffi::SQLITE_CORRUPT, false, true, "the journal is damaged"),
            (ffi::SQLITE_CONSTRAINT_TRIGGER, false, true, "breaks a rule of the schema"),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!((is_sync_failure(&error), is_of_one_request(&error)), (sync, one), "{code}");
            let text = explain(Path::new(HERE), &error).to_string();
            assert!(text.contains(told) && text.contains(HERE), "{code}: {text}");
        }
    }
}
