//! Opening the database: who may, in which state it must be, and what to do when it is not.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::adapters::sqlite::migrations;
use crate::ports::journal::OpenError;

/// How long to wait for another program, such as a person's `sqlite3`, to finish with the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// The journal's mark in the header of the file: "rkey".
pub(super) const APPLICATION_ID: i32 = 0x726b_6579;

impl OpenError {
    pub(super) fn io(attempt: &'static str, path: &Path, error: &io::Error) -> Self {
        let directory = directory_of(path).display().to_string();
        let advice = if error.kind() == io::ErrorKind::NotFound {
            format!("create its directory: install -d -m 0700 {directory}")
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            format!("see who may use it: ls -ld {directory} {}", path.display())
        } else if error.kind() == io::ErrorKind::StorageFull {
            format!("free some space: df -h {directory}")
        } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
            format!("mount it writable, or name another place: findmnt -T {directory}")
        } else {
            "name a file in a directory that rekeyd may write to".to_owned()
        };
        Self::Unusable { attempt, journal: shown(path), why: error.to_string(), advice }
    }

    pub(super) fn sqlite(attempt: &'static str, path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let why = error.to_string();
        let journal = shown(path);
        let code = error.sqlite_error_code();
        if code == Some(Code::DatabaseCorrupt) {
            return Self::Damaged { journal, why, advice: recovery(path) };
        }
        if code == Some(Code::NotADatabase) {
            return Self::Foreign { journal, why };
        }
        let advice = advice(code, path);
        Self::Unusable { attempt, journal, why, advice }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The suggested fix for a damaged file.
pub(super) fn recovery(path: &Path) -> String {
    let path = path.display();
    format!("copy the file and its -wal, then restore a backup, or recover the rows: sqlite3 {path} .recover")
}

/// What to type when SQLite says `code` about the file.
pub(super) fn advice(code: Option<rusqlite::ErrorCode>, path: &Path) -> String {
    use rusqlite::ErrorCode as Code;
    let directory = directory_of(path).display().to_string();
    let file = path.display();
    match code {
        Some(Code::DiskFull) => format!("free some space: df -h {directory}"),
        Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => {
            format!("see who may write there: ls -la {directory}; findmnt -T {directory}")
        }
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            format!("another program holds the file: fuser -v {file}")
        }
        Some(Code::SystemIoFailure) => {
            format!("look at the disk and its limits: df -h {directory}; dmesg | tail")
        }
        _ => format!("examine the file: sqlite3 -readonly {file} 'PRAGMA integrity_check'"),
    }
}

pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `path` with `suffix` behind it, as SQLite names the files that belong to a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The path without links on its way: SQLite puts its log beside the file that a link leads to, and there the lock
/// belongs too. The file itself need not be there yet.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let io = |error: io::Error| OpenError::io("open the journal", path, &error);
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or_else(|| io(io::ErrorKind::InvalidFilename.into()))?;
            Ok(directory_of(path).canonicalize().map_err(io)?.join(name))
        }
        resolved => resolved.map_err(io),
    }
}

/// Opens the one connection that writes, and brings the schema of the file up to date. The caller has created the file, if
/// there was none, and holds the lock. After `Ok` the file is sound, ours, and durable in its directory.
pub(super) fn writer(path: &Path, is_new: bool) -> Result<Connection, OpenError> {
    let sqlite = |attempt| move |error: rusqlite::Error| OpenError::sqlite(attempt, path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite("open the journal"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite("open the journal"))?;
    if connection.is_readonly("main").map_err(sqlite("open the journal"))? {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        return Err(OpenError::io("write to the journal", path, &denied));
    }
    let found = version(&connection, path)?;
    if found > migrations::LATEST {
        return Err(OpenError::Newer { journal: shown(path), found, known: migrations::LATEST });
    }
    check_soundness(&connection, path)?;
    prepare(&connection).map_err(sqlite("prepare the journal"))?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(sqlite("switch the journal to WAL mode"))?;
    if mode != "wal" {
        return Err(OpenError::Unusable {
            attempt: "switch the journal to WAL mode",
            journal: shown(path),
            why: format!("SQLite stays in mode `{mode}`"),
            advice: "put it on a local file system".to_owned(),
        });
    }
    migrations::apply(&mut connection, path, migrations::ALL)?;
    if is_new {
        let directory = directory_of(path);
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| OpenError::io("make durable the directory", directory, &error))?;
    }
    Ok(connection)
}

/// Opens a connection that reads what the writer writes, in the same process.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::sqlite("open the journal", path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    prepare(&connection).map_err(sqlite)?;
    Ok(connection)
}

/// Settings of a connection, not of the file.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(32);
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA cache_size = -512;
         PRAGMA journal_size_limit = 16777216;",
    )
}

/// Makes an empty file that only its owner can read, if there is none; SQLite gives its other files the same mode.
pub(super) fn create(path: &Path) -> Result<bool, OpenError> {
    let attempt = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match attempt {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(OpenError::io("create the journal", path, &error)),
    }
}

/// The schema version; 0 for a database with nothing in it.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<u32, OpenError> {
    let read = || -> rusqlite::Result<(i32, u32, bool)> {
        let number = |sql| connection.query_row(sql, [], |row| row.get(0));
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let used =
            connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))?;
        Ok((number("PRAGMA application_id")?, version, used))
    };
    let (application, version, used) =
        read().map_err(|error| OpenError::sqlite("read the journal", path, &error))?;
    if application == APPLICATION_ID || (!used && application == 0) {
        Ok(version)
    } else {
        let why = "it is a SQLite database of another program".to_owned();
        Err(OpenError::Foreign { journal: shown(path), why })
    }
}

/// Looks at the file's structure. Rows that break a rule are left to whoever reads them: they stop one credential,
/// not all.
fn check_soundness(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let check = || -> rusqlite::Result<String> {
        connection.execute_batch("PRAGMA ignore_check_constraints = ON")?;
        let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        // The whole file went through the cache, and little of it is read again.
        connection.execute_batch("PRAGMA ignore_check_constraints = OFF; PRAGMA shrink_memory;")?;
        Ok(verdict)
    };
    let verdict = check().map_err(|error| OpenError::sqlite("check the journal", path, &error))?;
    if verdict == "ok" {
        Ok(())
    } else {
        let why = verdict.replace('\n', "; ");
        Err(OpenError::Damaged { journal: shown(path), why, advice: recovery(path) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_synced_and_checked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.db");
        let is_new = create(&path).unwrap();
        let writer = writer(&path, is_new).unwrap();
        let set = |name| writer.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((set("synchronous"), set("foreign_keys"), set("trusted_schema")), (2, 1, 0));
        assert_eq!(set("ignore_check_constraints"), 0, "that is for the look at the opening only");
        let mode: String = writer.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        assert!(reader(&path).unwrap().execute("DELETE FROM acks", []).is_err());
    }
}
