//! The schema, step by step. A step that was released is never edited: a new one is added behind it.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use crate::adapters::sqlite::open::{APPLICATION_ID, another_file, version};
use crate::ports::journal::OpenError;

pub(super) struct Migration {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// The n-th leads to schema version n.
pub(super) const ALL: &[Migration] = &[
    Migration { name: "0001_journal", sql: include_str!("../../../migrations/sqlite/0001_journal.sql") },
    Migration { name: "0002_evidence", sql: include_str!("../../../migrations/sqlite/0002_evidence.sql") },
    Migration { name: "0003_notices", sql: include_str!("../../../migrations/sqlite/0003_notices.sql") },
    Migration { name: "0004_audit", sql: include_str!("../../../migrations/sqlite/0004_audit.sql") },
    Migration {
        name: "0005_notifications",
        sql: include_str!("../../../migrations/sqlite/0005_notifications.sql"),
    },
];

/// The schema version that this rekeyd reads and writes.
pub(super) const LATEST: u32 = 5;
const _: () = assert!(ALL.len() == 5, "LATEST is the number of migrations");

/// Applies what the file has not seen yet, each step in a transaction of its own: after an error the file is at the
/// version that it reached, and the next attempt goes on from there.
pub(super) fn apply(
    connection: &mut Connection,
    path: &Path,
    migrations: &[Migration],
) -> Result<(), OpenError> {
    let found = version(connection, path)?;
    for (number, migration) in (1u32..).zip(migrations) {
        if number <= found {
            verify(connection, path, number, migration)?;
        } else {
            step(connection, number, migration)
                .map_err(|error| OpenError::sqlite("upgrade the schema of the journal", path, &error))?;
        }
    }
    Ok(())
}

fn step(connection: &mut Connection, number: u32, migration: &Migration) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(migration.sql)?;
    transaction.execute(
        "INSERT INTO migrations (version, name, checksum, applied_by) VALUES (?1, ?2, ?3, ?4)",
        params![number, migration.name, checksum(migration.sql), env!("CARGO_PKG_VERSION")],
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", number)?;
    transaction.commit()
}

fn verify(connection: &Connection, path: &Path, number: u32, migration: &Migration) -> Result<(), OpenError> {
    let stored: String = connection
        .query_row("SELECT checksum FROM migrations WHERE version = ?1", [number], |row| row.get(0))
        .map_err(|error| OpenError::sqlite("read the schema of the journal", path, &error))?;
    if stored == checksum(migration.sql) {
        return Ok(());
    }
    let why =
        format!("its schema version {number} was made by another `{}` than this rekeyd's", migration.name);
    Err(OpenError::Foreign { journal: path.display().to_string(), why, advice: another_file() })
}

fn checksum(sql: &str) -> String {
    Sha256::digest(sql).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Migration = Migration {
        name: "9999_notes",
        sql: "CREATE TABLE notes (note TEXT); INSERT INTO notes VALUES ('kept');",
    };
    const BROKEN: Migration = Migration { name: "0006_broken", sql: "CREATE TABLE half (a); NONSENSE;" };
    const FIXED: Migration = Migration { name: "0006_fixed", sql: "CREATE TABLE half (a);" };

    fn list(more: &[&Migration]) -> Vec<Migration> {
        let all = ALL.iter().chain(more.iter().copied());
        all.map(|migration| Migration { name: migration.name, sql: migration.sql }).collect()
    }

    fn apply_to(connection: &mut Connection, more: &[&Migration]) -> Result<(), OpenError> {
        apply(connection, Path::new("journal.db"), &list(more))
    }

    fn at(connection: &Connection) -> u32 {
        version(connection, Path::new("journal.db")).unwrap()
    }

    #[test]
    fn the_latest_version_is_the_number_of_migrations() {
        assert_eq!(usize::try_from(LATEST).unwrap(), ALL.len());
    }

    #[test]
    fn an_older_file_is_upgraded_step_by_step_and_keeps_what_it_holds() {
        let mut connection = Connection::open_in_memory().unwrap();
        apply_to(&mut connection, &[]).unwrap();
        assert_eq!(at(&connection), LATEST);
        apply_to(&mut connection, &[&SECOND]).unwrap();
        assert_eq!(at(&connection), LATEST + 1);
        apply_to(&mut connection, &[&SECOND]).unwrap();
        let notes: i64 = connection.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
        assert_eq!(notes, 1, "a step that was applied is not applied again");
    }

    #[test]
    fn a_step_that_fails_leaves_the_step_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(apply_to(&mut connection, &[&SECOND, &BROKEN]).is_err());
        assert_eq!(at(&connection), LATEST + 1);
        apply_to(&mut connection, &[&SECOND, &FIXED]).unwrap();
        assert_eq!(at(&connection), LATEST + 2);
    }

    #[test]
    fn a_released_step_that_was_edited_is_noticed() {
        let mut connection = Connection::open_in_memory().unwrap();
        apply_to(&mut connection, &[&SECOND]).unwrap();
        let edited = Migration { name: "9999_notes", sql: "CREATE TABLE notes (note TEXT, by TEXT);" };
        let error = apply_to(&mut connection, &[&edited]).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    }
}
