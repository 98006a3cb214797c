//! Files of commit 412e970 still work: its journals, its policies, and the files and requests of its agents.
//!
//! The fixtures were written by the program of that commit and are never edited. A renamed event, value, key or table needs an
//! alias on reading or a migration.
#![expect(clippy::unwrap_used, reason = "tests and what they share fail by panicking")]

mod agent;
mod journal;
mod policies;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub(crate) const OVERLAP: &str = include_str!("past/overlap.sql");
pub(crate) const MINTING: &str = include_str!("past/minting.sql");

/// Creates a journal from a dump.
pub(crate) fn unpack(dump: &str, path: &Path) {
    rusqlite::Connection::open(path).unwrap().execute_batch(dump).unwrap();
}

fn unpacked(dump: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    unpack(dump, &path);
    (directory, path)
}

/// Runs the current program.
fn rekeyd(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.args(arguments).env_remove("REKEYD_POLICY").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
