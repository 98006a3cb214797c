//! Examines one directory: whether the daemon can publish there, and what consumers read there now. Writes only with
//! `--write-probe`.

use std::path::Path;

use crate::adapters::directory::{Directory, Settings, group};
use crate::adapters::file_system::{DirectoryState, PathState, is_created_by_unit, look, mebibytes};
use crate::domain::examination::{Check, Finding, Severity, StoreCheck};
use crate::domain::plan::Destination;
use crate::ports::secret_store::{SecretStore as _, VersionRef};
use crate::ports::store_kind::{Examination, about_destination};

const DIRECTORY: StoreCheck = StoreCheck {
    kind: "directory",
    step: 0,
    label: "directory",
    examines: "each directory: it exists or can be created, is writable and a tmpfs, and who else can read it; with \
               `--write-probe` a file is written and removed",
};
const SERVED: StoreCheck =
    StoreCheck { step: 1, label: "served", examines: "what consumers read there now", ..DIRECTORY };
pub(super) const CHECKS: [StoreCheck; 2] = [DIRECTORY, SERVED];

const READABLE_BY_ALL: u32 = 0o007;
const FREE_BYTES_MIN: u64 = 1 << 20;

pub(super) async fn examine(settings: &Settings, examination: &Examination) -> Vec<Finding> {
    let (about, own, write_probe) = (examination.about.clone(), settings.clone(), examination.write_probe);
    let examined = tokio::task::spawn_blocking(move || {
        let mut findings = root(&about, &own);
        let goes_on = !findings.iter().any(|it| it.severity == Severity::Broken);
        if write_probe && goes_on {
            findings.push(write(&about, &own));
        }
        findings
    });
    let mut findings = examined.await.unwrap_or_else(|_| vec![Finding::broken_off(&examination.about)]);
    for (to, users) in &examination.destinations {
        findings.extend(served(settings, to, about_destination(to, users)).await);
    }
    findings
}

fn root(about: &str, settings: &Settings) -> Vec<Finding> {
    let path = &settings.path;
    let shown = path.display();
    let broken = |what: String, fix: String| Finding::broken(Check::Store(DIRECTORY), about, what, fix);
    let mut findings: Vec<Finding> = group_membership(about, settings).into_iter().collect();
    match look(path) {
        PathState::Missing => findings.push(missing(about, settings)),
        PathState::Unreadable(error) => findings.push(broken(
            format!("`{shown}` cannot be examined: {error}"),
            format!("check its permissions: `namei -l {shown}`"),
        )),
        PathState::NotADirectory => findings.push(broken(
            format!("`{shown}` is not a directory"),
            "move it away, or name another `path`".to_owned(),
        )),
        PathState::Directory(found) => {
            findings.extend(group_access(about, settings, &found));
            findings.extend(in_directory(about, settings, &found));
        }
    }
    findings
}

/// Consumers that read through the group must be able to enter the directory.
fn group_access(about: &str, settings: &Settings, found: &DirectoryState) -> Option<Finding> {
    let group = settings.group.as_ref()?;
    let number = group::number(group).ok()?;
    let lets_all_in = found.mode & 0o001 != 0;
    if lets_all_in || (found.group == number && found.mode & 0o010 != 0) {
        return None;
    }
    let shown = settings.path.display();
    let what = format!(
        "`{shown}` does not let the group `{group}` in (group {}, mode {:04o})",
        found.group, found.mode
    );
    Some(Finding::doubtful(
        Check::Store(DIRECTORY),
        about,
        what,
        format!("`chgrp {group} {shown} && chmod g+rx {shown}`"),
    ))
}

fn in_directory(about: &str, settings: &Settings, found: &DirectoryState) -> Vec<Finding> {
    let shown = settings.path.display();
    let broken = |what: String, fix: String| Finding::broken(Check::Store(DIRECTORY), about, what, fix);
    let mut findings = Vec::new();
    if found.is_read_only {
        let fix = format!("mount it writable, or name another `path`: `findmnt -T {shown}`");
        findings.push(broken(format!("`{shown}` is on a file system that is mounted read-only"), fix));
    } else if !found.is_writable {
        let what = format!("`{shown}` cannot be written (mode {:04o}, user {})", found.mode, found.owner);
        findings.push(broken(
            what,
            format!("give it to the user of rekeyd: `chown USER {shown} && chmod u+rwx {shown}`"),
        ));
    }
    if found.free_bytes < FREE_BYTES_MIN {
        let what = format!("only {} KiB are free on `{shown}`", found.free_bytes >> 10);
        findings.push(broken(what, format!("free some space: `df -h {shown}`")));
    }
    let hidden = settings.path.join(".rekeyd");
    if let PathState::Directory(ours) = look(&hidden)
        && ours.device != found.device
    {
        let what =
            format!("`{}` is on another file system: files cannot be renamed into place", hidden.display());
        findings.push(broken(what, format!("unmount it: `findmnt -T {}`", hidden.display())));
    }
    if found.mode & READABLE_BY_ALL != 0 && settings.mode & READABLE_BY_ALL != 0 {
        let what = format!(
            "every user of this machine can read the keys there (directory {:04o}, files {:04o})",
            found.mode, settings.mode
        );
        let fix = "write `mode = \"0440\"` and the consumers' `group`, and remove others' permissions from the directory";
        findings.push(Finding::doubtful(Check::Store(DIRECTORY), about, what, fix));
    }
    if !found.in_memory {
        let what = format!(
            "`{shown}` is not a tmpfs: keys are written to a disk, and stay in its free blocks and backups"
        );
        let fix = format!("`mount -t tmpfs -o mode=0750,size=1m tmpfs {shown}`, or name a path below /run");
        findings.push(Finding::doubtful(Check::Store(DIRECTORY), about, what, fix));
    }
    if findings.is_empty() {
        let what =
            format!("`{shown}` is a tmpfs that can be written, with {} free", mebibytes(found.free_bytes));
        findings.push(Finding::fine(Check::Store(DIRECTORY), about, what));
    }
    findings
}

/// The daemon creates the directory where it may write in its parent.
fn missing(about: &str, settings: &Settings) -> Finding {
    let path = &settings.path;
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    let shown = path.display();
    match look(parent) {
        PathState::Directory(found) if found.is_writable && !found.is_read_only => Finding::fine(
            Check::Store(DIRECTORY),
            about,
            format!("`{shown}` does not exist: the daemon creates it"),
        ),
        PathState::Missing if is_created_by_unit(parent) => Finding::unproven(
            Check::Store(DIRECTORY),
            about,
            format!("`{}` does not exist", parent.display()),
            "the unit creates it when it starts, and the daemon creates the directory in it",
        ),
        PathState::Directory(_)
        | PathState::Missing
        | PathState::Unreadable(_)
        | PathState::NotADirectory => Finding::broken(
            Check::Store(DIRECTORY),
            about,
            format!("`{shown}` does not exist, and cannot be created in `{}`", parent.display()),
            format!(
                "`install -d -m {:04o} -o USER {shown}`, with the user of rekeyd",
                settings.directory_mode
            ),
        ),
    }
}

/// Whether files can be given to the policy's group.
fn group_membership(about: &str, settings: &Settings) -> Option<Finding> {
    let group = settings.group.as_ref()?;
    let number = match group::number(group) {
        Ok(number) => number,
        Err(failure) => {
            let fix = format!("`groupadd --system {group}`, or name another `group`");
            return Some(Finding::broken(Check::Store(DIRECTORY), about, failure.to_string(), fix));
        }
    };
    let user = rustix::process::geteuid();
    let groups = rustix::process::getgroups().unwrap_or_default();
    let ours = rustix::process::getegid();
    let is_member =
        user.is_root() || ours.as_raw() == number || groups.iter().any(|it| it.as_raw() == number);
    if is_member {
        return None;
    }
    let what = format!("this user is not in the group `{group}`, which the files are for");
    let fix = format!("add it: for the unit `SupplementaryGroups={group}`, else `usermod -aG {group} USER`");
    Some(Finding::broken(Check::Store(DIRECTORY), about, what, fix))
}

/// Opens the directory as the daemon does, which creates it if it is missing, and writes and removes a file.
fn write(about: &str, settings: &Settings) -> Finding {
    match Directory::open(settings) {
        Ok(_) => Finding::fine(Check::Store(DIRECTORY), about, "a file was written and removed again"),
        Err(failure) => {
            let fix = "fix the reported problem; nothing is published there until then";
            Finding::broken(Check::Store(DIRECTORY), about, failure.to_string(), fix)
        }
    }
}

async fn served(settings: &Settings, to: &Destination, about: String) -> Vec<Finding> {
    let path = settings.path.join(&to.secret);
    // The findings about the directory say why it cannot be opened.
    let Ok(store) = Directory::open_read_only(settings) else { return Vec::new() };
    match store.read(to, VersionRef::Current).await {
        Ok(Some(held)) => {
            let what = match held.value {
                Some(_) => format!("`{}` serves a key", path.display()),
                None => format!("`{}` holds no key yet: the first rotation publishes it", path.display()),
            };
            vec![Finding::fine(Check::Store(SERVED), about, what)]
        }
        Ok(None) => {
            vec![Finding::fine(Check::Store(SERVED), about, "nothing yet: the first rotation publishes it")]
        }
        Err(failure) => {
            let fix = format!("let the user of rekeyd read it, or move it away: `ls -l {}`", path.display());
            vec![Finding::broken(Check::Store(SERVED), about, failure.to_string(), fix)]
        }
    }
}
