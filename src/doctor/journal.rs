//! Checks of the journal: its integrity, the process that holds it, and its disk space.

use std::path::Path;
use std::sync::Arc;

use crate::adapters::file_system::{DirectoryState, PathState, is_created_by_the_unit, look, mebibytes};
use crate::config::components::JournalConfig;
use crate::doctor::{Subject, blocking};
use crate::domain::examination::{Check, CheckResult};
use crate::domain::sanitize::one_line;
use crate::ports::journal::OpenError;

/// A journal of a thousand credentials grows by less than this in a year.
const FREE_BYTES_MIN: u64 = 64 << 20;
const FREE_FILES_MIN: u64 = 16;
/// Access for others: the journal names every key and consumer.
const OPEN_TO_OTHERS: u32 = 0o027;

pub(super) async fn examine(subject: Arc<Subject>) -> Vec<CheckResult> {
    blocking(move || {
        let config = &subject.config.daemon.journal;
        let mut findings = config.file().map(state_directory).unwrap_or_default();
        findings.extend(journal(config));
        findings
    })
    .await
}

fn state_directory(journal: &Path) -> Vec<CheckResult> {
    let directory = match journal.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let about = directory.display().to_string();
    let broken =
        |what: String, fix: String| vec![CheckResult::error(Check::StateDirectory, &about, what, fix)];
    match look(directory) {
        PathState::Missing => {
            let what = "the journal's directory does not exist";
            let fix = format!(
                "start the unit, which creates it (StateDirectory=); without the unit: `install -d -m 0700 {about}`"
            );
            if is_created_by_the_unit(directory) {
                return vec![CheckResult::unknown(Check::StateDirectory, &about, what, fix)];
            }
            broken(what.to_owned(), fix)
        }
        PathState::Inaccessible(error) => broken(
            format!("cannot access it: {error}"),
            format!("check the permissions on the path: `namei -l {about}`"),
        ),
        PathState::NotADirectory => {
            broken("not a directory".to_owned(), "set another path in `daemon.journal`".to_owned())
        }
        PathState::Directory(found) => in_directory(&about, &found),
    }
}

fn in_directory(about: &str, found: &DirectoryState) -> Vec<CheckResult> {
    let mut findings = Vec::new();
    let check = Check::StateDirectory;
    if found.is_read_only {
        let fix = format!("mount it writable, or use another path: `findmnt -T {about}`");
        findings.push(CheckResult::error(check, about, "on a read-only file system", fix));
    } else if !found.is_writable {
        let what = format!("not writable (mode {:04o}, user {})", found.mode, found.owner);
        let fix =
            format!("make rekeyd's user its owner: `chown USER: {about}`; the unit does that by itself");
        findings.push(CheckResult::error(check, about, what, fix));
    }
    if found.mode & OPEN_TO_OTHERS != 0 {
        let what = format!(
            "accessible to other users (mode {:04o}); the journal names every key and consumer",
            found.mode
        );
        findings.push(CheckResult::warning(check, about, what, format!("`chmod 0700 {about}`")));
    }
    if found.in_memory {
        let what = "on a memory file system: a reboot loses the journal";
        let fix = "keep the journal on disk; only secrets belong on a tmpfs";
        findings.push(CheckResult::warning(check, about, what, fix));
    }
    if findings.is_empty() {
        findings.push(CheckResult::ok(check, about, format!("writable (mode {:04o})", found.mode)));
    }
    let space = format!("{} free", mebibytes(found.free_bytes));
    findings.push(if found.free_files.is_some_and(|files| files < FREE_FILES_MIN) {
        let fix = format!("delete files: `df -i {about}`");
        CheckResult::error(Check::Disk, about, "the file system has no free inodes", fix)
    } else if found.free_bytes == 0 {
        CheckResult::error(
            Check::Disk,
            about,
            "the disk is full",
            format!("free some space: `df -h {about}`"),
        )
    } else if found.free_bytes < FREE_BYTES_MIN {
        let fix = format!("free some space: `df -h {about}`; a full disk stops every rotation");
        CheckResult::warning(Check::Disk, about, format!("only {space}"), fix)
    } else {
        CheckResult::ok(Check::Disk, about, space)
    });
    findings
}

fn journal(config: &JournalConfig) -> Vec<CheckResult> {
    let about = config.to_string();
    let broken = |what: String, fix: String| vec![CheckResult::error(Check::Journal, &about, what, fix)];
    let opened = match config.open_read_only() {
        Ok(opened) => opened,
        Err(OpenError::Missing { .. }) => {
            let what = "does not exist yet; the daemon creates it";
            return vec![CheckResult::ok(Check::Journal, &about, what)];
        }
        Err(OpenError::Older { found, known, .. }) => {
            let what = format!("schema version {found}; the next start upgrades it to {known}");
            return vec![CheckResult::ok(Check::Journal, &about, what)];
        }
        Err(error) => return broken(error.to_string(), error.fix()),
    };
    let restore = format!("stop the daemon, {}; see docs/runbook.md", opened.recovery());
    let loaded = match (opened.damage(), opened.load()) {
        (Err(error), _) | (_, Err(error)) => return broken(error.to_string(), restore),
        (Ok(damage), Ok(_)) if !damage.is_empty() => {
            let shown: String = one_line(&damage.join("; ")).chars().take(300).collect();
            return broken(format!("damaged: {shown}"), restore);
        }
        (Ok(_), Ok(loaded)) => loaded,
    };
    let mut findings: Vec<CheckResult> = loaded
        .iter()
        .filter_map(|(name, known)| {
            let error = known.as_ref().err()?;
            let what = format!(
                "the rows of credential `{name}` are damaged, and the daemon leaves it alone: {error}"
            );
            Some(CheckResult::error(Check::Journal, &about, what, restore.clone()))
        })
        .collect();
    let held = match opened.holder() {
        Some(pid) => format!("held by process {pid}"),
        None => "held by no process".to_owned(),
    };
    if findings.is_empty() {
        let what = format!("intact; credentials: {}; {held}", loaded.len());
        findings.push(CheckResult::ok(Check::Journal, &about, what));
    }
    findings
}
