//! The journal: whether it is sound, who has it, and whether it can grow.

use std::path::Path;
use std::sync::Arc;

use crate::adapters::file_system::{self, DirectoryState, PathState, look, mebibytes};
use crate::adapters::sqlite::{OpenError, SqliteJournal, holder_of};
use crate::config::components::JournalConfig;
use crate::doctor::{Case, aside};
use crate::domain::examination::{Check, Finding};
use crate::domain::sanitize::one_line;

/// A journal of a thousand credentials grows by less than this in a year.
const FREE_BYTES_MIN: u64 = 64 << 20;
const FREE_FILES_MIN: u64 = 16;
/// Others may neither write there nor look into the journal: it names every key and consumer.
const OPEN_TO_OTHERS: u32 = 0o027;

pub(super) async fn examine(case: Arc<Case>) -> Vec<Finding> {
    aside(move || {
        let JournalConfig::Sqlite { path } = &case.config.daemon.journal;
        let mut findings = state_directory(path);
        findings.extend(journal(path));
        findings
    })
    .await
}

fn state_directory(journal: &Path) -> Vec<Finding> {
    let directory = match journal.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let about = directory.display().to_string();
    let broken = |what: String, fix: String| vec![Finding::broken(Check::StateDirectory, &about, what, fix)];
    match look(directory) {
        PathState::Missing => {
            let what = "the journal's directory is not there";
            let fix = format!(
                "the unit makes it when it starts (StateDirectory=); without the unit: `install -d -m 0700 {about}`"
            );
            if file_system::is_created_by_unit(directory) {
                return vec![Finding::unproven(Check::StateDirectory, &about, what, fix)];
            }
            broken(what.to_owned(), fix)
        }
        PathState::Unreadable(error) => broken(
            format!("cannot be looked at: {error}"),
            format!("see who may enter it: `namei -l {about}`"),
        ),
        PathState::NotADirectory => {
            broken("is no directory".to_owned(), "name another `daemon.journal.sqlite.path`".to_owned())
        }
        PathState::Directory(found) => in_directory(&about, &found),
    }
}

fn in_directory(about: &str, found: &DirectoryState) -> Vec<Finding> {
    let mut findings = Vec::new();
    let check = Check::StateDirectory;
    if found.is_read_only {
        let fix = format!("mount it writable, or name another place: `findmnt -T {about}`");
        findings.push(Finding::broken(check, about, "lies on a file system that is mounted read-only", fix));
    } else if !found.is_writable {
        let what = format!("cannot be written (mode {:04o}, user {})", found.mode, found.owner);
        let fix = format!("give it to the user of rekeyd: `chown USER: {about}`; the unit does by itself");
        findings.push(Finding::broken(check, about, what, fix));
    }
    if found.mode & OPEN_TO_OTHERS != 0 {
        let what =
            format!("is open to others (mode {:04o}): the journal names every key and consumer", found.mode);
        findings.push(Finding::doubtful(check, about, what, format!("`chmod 0700 {about}`")));
    }
    if found.in_memory {
        let what = "lies in memory: what the journal knows is gone after a reboot";
        let fix = "keep the journal on a disk; only secrets belong on a tmpfs";
        findings.push(Finding::doubtful(check, about, what, fix));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(check, about, format!("can be written (mode {:04o})", found.mode)));
    }
    let space = format!("{} are free", mebibytes(found.free_bytes));
    findings.push(if found.free_files.is_some_and(|files| files < FREE_FILES_MIN) {
        let fix = format!("free some: `df -i {about}`");
        Finding::broken(Check::Disk, about, "the file system has no room for another file", fix)
    } else if found.free_bytes == 0 {
        Finding::broken(Check::Disk, about, "the disk is full", format!("free some space: `df -h {about}`"))
    } else if found.free_bytes < FREE_BYTES_MIN {
        let fix = format!("free some space: `df -h {about}`; a full disk holds every rotation");
        Finding::doubtful(Check::Disk, about, format!("only {space}"), fix)
    } else {
        Finding::fine(Check::Disk, about, space)
    });
    findings
}

fn journal(path: &Path) -> Vec<Finding> {
    let about = path.display().to_string();
    let broken = |what: String, fix: String| vec![Finding::broken(Check::Journal, &about, what, fix)];
    let opened = match SqliteJournal::open_read_only(path) {
        Ok(opened) => opened,
        Err(OpenError::Missing { .. }) => {
            let what = "is not there yet: the daemon's first start makes it";
            return vec![Finding::fine(Check::Journal, &about, what)];
        }
        Err(OpenError::Older { found, known, .. }) => {
            let what = format!("has schema version {found}: the next start upgrades it to {known}");
            return vec![Finding::fine(Check::Journal, &about, what)];
        }
        Err(error) => return broken(error.to_string(), mending(&error, path)),
    };
    let restore = format!(
        "stop the daemon, keep a copy of the file with its -wal, and save what can be read: `sqlite3 {about} .recover`; see \
         docs/runbook.md"
    );
    let loaded = match (opened.damage(), opened.load()) {
        (Err(error), _) | (_, Err(error)) => return broken(error.to_string(), restore),
        (Ok(damage), Ok(_)) if !damage.is_empty() => {
            let shown: String = one_line(&damage.join("; ")).chars().take(300).collect();
            return broken(format!("is damaged: {shown}"), restore);
        }
        (Ok(_), Ok(loaded)) => loaded,
    };
    let mut findings: Vec<Finding> = loaded
        .iter()
        .filter_map(|(name, known)| {
            let error = known.as_ref().err()?;
            let what = format!("the rows of credential `{name}` are damaged, so it is left alone: {error}");
            Some(Finding::broken(Check::Journal, &about, what, restore.clone()))
        })
        .collect();
    let held = match holder_of(path) {
        Some(pid) => format!("process {pid} has it"),
        None => "nobody has it".to_owned(),
    };
    if findings.is_empty() {
        let what = format!("is sound; credentials on record: {}; {held}", loaded.len());
        findings.push(Finding::fine(Check::Journal, &about, what));
    }
    findings
}

fn mending(error: &OpenError, path: &Path) -> String {
    match error {
        OpenError::Newer { .. } => "run the newer rekeyd that wrote it".to_owned(),
        OpenError::Foreign { .. } => "name another file as `daemon.journal.sqlite.path`".to_owned(),
        OpenError::Damaged { .. } => {
            format!(
                "keep a copy with its -wal file, then restore a backup, or `sqlite3 {} .recover`",
                path.display()
            )
        }
        OpenError::Unusable { advice, .. } => advice.clone(),
        OpenError::Missing { .. } | OpenError::Locked { .. } | OpenError::Older { .. } => {
            "start `rekeyd run` of this version".to_owned()
        }
    }
}
