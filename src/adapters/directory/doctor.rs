//! Checks of a directory store: whether the daemon can publish there, and what consumers read now. Writes only on request.

use std::path::Path;

use crate::adapters::directory::{Directory, Settings, group};
use crate::adapters::file_system::{DirectoryState, PathState, is_created_by_the_unit, look, mebibytes};
use crate::domain::examination::{Check, CheckResult, Severity, StoreCheck};
use crate::domain::plan::Destination;
use crate::ports::secret_store::{SecretStore as _, VersionRef};
use crate::ports::store_kind::{Examination, about_destination};

const DIRECTORY: StoreCheck = StoreCheck {
    kind: "directory",
    step: 0,
    label: "directory",
    checks: "that the directory is writable or can be created, on one file system, with the right group, on a tmpfs",
};
const PUBLISHED: StoreCheck =
    StoreCheck { step: 1, label: "published_value", checks: "what consumers read there now", ..DIRECTORY };
pub(super) const CHECKS: [StoreCheck; 2] = [DIRECTORY, PUBLISHED];

const READABLE_BY_ALL: u32 = 0o007;
const FREE_BYTES_MIN: u64 = 1 << 20;

pub(super) async fn examine(settings: &Settings, examination: &Examination) -> Vec<CheckResult> {
    let (about, own, write_probe) = (examination.about.clone(), settings.clone(), examination.write_probe);
    let examined = tokio::task::spawn_blocking(move || {
        let mut findings = root(&about, &own);
        let goes_on = !findings.iter().any(|it| it.severity == Severity::Error);
        if write_probe && goes_on {
            findings.push(write(&about, &own));
        }
        findings
    });
    let mut findings = examined.await.unwrap_or_else(|_| vec![CheckResult::panicked(&examination.about)]);
    for (to, users) in &examination.destinations {
        findings.extend(served(settings, to, about_destination(to, users)).await);
    }
    findings
}

fn root(about: &str, settings: &Settings) -> Vec<CheckResult> {
    let path = &settings.path;
    let shown = path.display();
    let broken = |what: String, fix: String| CheckResult::error(Check::Store(DIRECTORY), about, what, fix);
    let mut findings: Vec<CheckResult> = group_membership(about, settings).into_iter().collect();
    match look(path) {
        PathState::Missing => findings.push(missing(about, settings)),
        PathState::Inaccessible(error) => findings.push(broken(
            format!("cannot access `{shown}`: {error}"),
            format!("check the permissions on the path: `namei -l {shown}`"),
        )),
        PathState::NotADirectory => findings.push(broken(
            format!("`{shown}` is not a directory"),
            "move it away, or set another `path`".to_owned(),
        )),
        PathState::Directory(found) => {
            findings.extend(group_access(about, settings, &found));
            findings.extend(in_directory(about, settings, &found));
        }
    }
    findings
}

/// Whether the consumers' group can enter the directory.
fn group_access(about: &str, settings: &Settings, found: &DirectoryState) -> Option<CheckResult> {
    let group = settings.group.as_ref()?;
    let number = group::number(group).ok()?;
    let lets_all_in = found.mode & 0o001 != 0;
    if lets_all_in || (found.group == number && found.mode & 0o010 != 0) {
        return None;
    }
    let shown = settings.path.display();
    let what =
        format!("group `{group}` cannot enter `{shown}` (group {}, mode {:04o})", found.group, found.mode);
    Some(CheckResult::warning(
        Check::Store(DIRECTORY),
        about,
        what,
        format!("`chgrp {group} {shown} && chmod g+rx {shown}`"),
    ))
}

fn in_directory(about: &str, settings: &Settings, found: &DirectoryState) -> Vec<CheckResult> {
    let shown = settings.path.display();
    let broken = |what: String, fix: String| CheckResult::error(Check::Store(DIRECTORY), about, what, fix);
    let mut findings = Vec::new();
    if found.is_read_only {
        let fix = format!("mount it writable, or use another path: `findmnt -T {shown}`");
        findings.push(broken(format!("`{shown}` is on a read-only file system"), fix));
    } else if !found.is_writable {
        let what = format!("cannot write to `{shown}` (mode {:04o}, user {})", found.mode, found.owner);
        findings.push(broken(
            what,
            format!("make rekeyd's user its owner: `chown USER {shown} && chmod u+rwx {shown}`"),
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
        let what = format!(
            "`{}` is on another file system, so files cannot be renamed into place",
            hidden.display()
        );
        findings.push(broken(what, format!("unmount it: `findmnt -T {}`", hidden.display())));
    }
    if found.mode & READABLE_BY_ALL != 0 && settings.mode & READABLE_BY_ALL != 0 {
        let what = format!(
            "every user of this machine can read the keys (directory {:04o}, files {:04o})",
            found.mode, settings.mode
        );
        let fix = "set `mode = \"0440\"` and the consumers' `group`, and remove access for others from the directory";
        findings.push(CheckResult::warning(Check::Store(DIRECTORY), about, what, fix));
    }
    if !found.in_memory {
        let what = format!(
            "`{shown}` is not a tmpfs: keys are written to disk, and stay in free blocks and backups"
        );
        let fix = format!("`mount -t tmpfs -o mode=0750,size=1m tmpfs {shown}`, or use a path below /run");
        findings.push(CheckResult::warning(Check::Store(DIRECTORY), about, what, fix));
    }
    if findings.is_empty() {
        let what = format!("`{shown}` is a writable tmpfs with {} free", mebibytes(found.free_bytes));
        findings.push(CheckResult::ok(Check::Store(DIRECTORY), about, what));
    }
    findings
}

/// The daemon creates the directory if its parent is writable.
fn missing(about: &str, settings: &Settings) -> CheckResult {
    let path = &settings.path;
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    let shown = path.display();
    match look(parent) {
        PathState::Directory(found) if found.is_writable && !found.is_read_only => CheckResult::ok(
            Check::Store(DIRECTORY),
            about,
            format!("`{shown}` does not exist; the daemon creates it"),
        ),
        PathState::Missing if is_created_by_the_unit(parent) => CheckResult::unknown(
            Check::Store(DIRECTORY),
            about,
            format!("`{}` does not exist", parent.display()),
            "start the unit: systemd creates it, and the daemon creates the directory in it",
        ),
        PathState::Directory(_)
        | PathState::Missing
        | PathState::Inaccessible(_)
        | PathState::NotADirectory => CheckResult::error(
            Check::Store(DIRECTORY),
            about,
            format!("`{shown}` does not exist, and cannot be created in `{}`", parent.display()),
            format!("`install -d -m {:04o} -o USER {shown}`, with rekeyd's user", settings.directory_mode),
        ),
    }
}

/// Whether files can be given to the group that the policy names.
fn group_membership(about: &str, settings: &Settings) -> Option<CheckResult> {
    let group = settings.group.as_ref()?;
    let number = match group::number(group) {
        Ok(number) => number,
        Err(failure) => {
            let fix = format!("`groupadd --system {group}`, or set another `group`");
            return Some(CheckResult::error(Check::Store(DIRECTORY), about, failure.to_string(), fix));
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
    let what = format!("this user is not in the group `{group}`, which the files must belong to");
    let fix = format!("add it: `SupplementaryGroups={group}` in the unit, or `usermod -aG {group} USER`");
    Some(CheckResult::error(Check::Store(DIRECTORY), about, what, fix))
}

/// Opens the directory as the daemon does: creates it if missing, and writes and removes a file.
fn write(about: &str, settings: &Settings) -> CheckResult {
    match Directory::open(settings) {
        Ok(_) => CheckResult::ok(Check::Store(DIRECTORY), about, "a test file was written and removed"),
        Err(failure) => {
            let fix = "fix the reported error; until then, nothing is published there";
            CheckResult::error(Check::Store(DIRECTORY), about, failure.to_string(), fix)
        }
    }
}

async fn served(settings: &Settings, to: &Destination, about: String) -> Vec<CheckResult> {
    let path = settings.path.join(&to.secret);
    // The finding of the directory covers the failure.
    let Ok(store) = Directory::open_read_only(settings) else { return Vec::new() };
    match store.read(to, VersionRef::Current).await {
        Ok(Some(held)) => {
            let what = match held.value {
                Some(_) => format!("`{}` holds a key", path.display()),
                None => format!(
                    "`{}` holds no key yet: no consumer reads it; the first rotation writes it",
                    path.display()
                ),
            };
            vec![CheckResult::ok(Check::Store(PUBLISHED), about, what)]
        }
        Ok(None) => {
            vec![CheckResult::ok(
                Check::Store(PUBLISHED),
                about,
                "no value yet: no consumer reads it; the first rotation publishes it",
            )]
        }
        Err(failure) => {
            let fix =
                format!("make it readable for rekeyd's user, or move it away: `ls -l {}`", path.display());
            vec![CheckResult::error(Check::Store(PUBLISHED), about, failure.to_string(), fix)]
        }
    }
}
