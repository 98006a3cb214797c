//! One directory: whether the daemon could publish there, and what consumers read there now. Writes only if asked to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::adapters::directory::group;
use crate::adapters::directory::{self, Directory};
use crate::app::assembly;
use crate::config::components::{DirectoryConfig, StoreConfig};
use crate::doctor::finding::{Check, Finding, Severity};
use crate::doctor::places::{self, Place, look, mebibytes};
use crate::doctor::{Case, aside};
use crate::domain::ids::{CredentialName, StoreName};
use crate::domain::plan::Destination;
use crate::ports::secret_store::{SecretStore as _, VersionRef};

const READABLE_BY_ALL: u32 = 0o007;
const FREE_BYTES_MIN: u64 = 1 << 20;

pub(super) async fn examine(case: Arc<Case>, name: StoreName) -> Vec<Finding> {
    let Some(StoreConfig::Directory(local)) = case.config.stores.get(&name) else { return Vec::new() };
    let about = format!("store `{name}`");
    let (shown, local, write_probe) = (about.clone(), local.clone(), case.write_probe);
    let settings = assembly::directory_settings(&local);
    let mut findings = aside(move || {
        let mut findings = root(&shown, &local);
        let goes_on = !findings.iter().any(|it| it.severity == Severity::Broken);
        if write_probe && goes_on {
            findings.push(tried(&shown, &assembly::directory_settings(&local)));
        }
        findings
    })
    .await;
    for (to, users) in case.destinations(&name) {
        findings.extend(served(&settings, &to, &users).await);
    }
    findings
}

fn root(about: &str, local: &DirectoryConfig) -> Vec<Finding> {
    let path = &local.path;
    let shown = path.display();
    let broken = |what: String, fix: String| Finding::broken(Check::Directory, about, what, fix);
    let mut findings: Vec<Finding> = group_of(about, local).into_iter().collect();
    match look(path) {
        Place::Missing => findings.push(missing(about, local)),
        Place::Unseen(error) => findings.push(broken(
            format!("`{shown}` cannot be looked at: {error}"),
            format!("see who may enter it: `namei -l {shown}`"),
        )),
        Place::SomethingElse => findings.push(broken(
            format!("`{shown}` is no directory"),
            "move it away, or name another `path`".to_owned(),
        )),
        Place::Directory(found) => {
            findings.extend(shut_out(about, local, &found));
            findings.extend(in_directory(about, local, &found));
        }
    }
    findings
}

/// Consumers that read by the group have to be able to enter.
fn shut_out(about: &str, local: &DirectoryConfig, found: &places::Directory) -> Option<Finding> {
    let group = local.group.as_ref()?;
    let number = group::number(group).ok()?;
    let lets_all_in = found.mode & 0o001 != 0;
    if lets_all_in || (found.group == number && found.mode & 0o010 != 0) {
        return None;
    }
    let shown = local.path.display();
    let what = format!(
        "`{shown}` does not let the group `{group}` in (group {}, mode {:04o})",
        found.group, found.mode
    );
    Some(Finding::doubtful(
        Check::Directory,
        about,
        what,
        format!("`chgrp {group} {shown} && chmod g+rx {shown}`"),
    ))
}

fn in_directory(about: &str, local: &DirectoryConfig, found: &places::Directory) -> Vec<Finding> {
    let shown = local.path.display();
    let broken = |what: String, fix: String| Finding::broken(Check::Directory, about, what, fix);
    let mut findings = Vec::new();
    if found.is_read_only {
        let fix = format!("mount it writable, or name another place: `findmnt -T {shown}`");
        findings.push(broken(format!("`{shown}` lies on a file system that is mounted read-only"), fix));
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
    let hidden = local.path.join(".rekeyd");
    if let Place::Directory(ours) = look(&hidden)
        && ours.device != found.device
    {
        let what =
            format!("`{}` lies on another file system: nothing can be renamed into place", hidden.display());
        findings.push(broken(what, format!("unmount it: `findmnt -T {}`", hidden.display())));
    }
    if found.mode & READABLE_BY_ALL != 0 && local.mode & READABLE_BY_ALL != 0 {
        let what = format!(
            "everybody on this machine can read the keys there (directory {:04o}, files {:04o})",
            found.mode, local.mode
        );
        let fix =
            "write `mode = \"0440\"` and the consumers' `group`, and take others' rights off the directory";
        findings.push(Finding::doubtful(Check::Directory, about, what, fix));
    }
    if !found.in_memory {
        let what = format!(
            "`{shown}` is no tmpfs: keys are written to a disk, and stay in its free blocks and backups"
        );
        let fix = format!("`mount -t tmpfs -o mode=0750,size=1m tmpfs {shown}`, or name a path below /run");
        findings.push(Finding::doubtful(Check::Directory, about, what, fix));
    }
    if findings.is_empty() {
        let what =
            format!("`{shown}` is a tmpfs that can be written, with {} free", mebibytes(found.free_bytes));
        findings.push(Finding::fine(Check::Directory, about, what));
    }
    findings
}

/// The daemon makes the directory itself where its parent lets it.
fn missing(about: &str, local: &DirectoryConfig) -> Finding {
    let path = &local.path;
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    let shown = path.display();
    match look(parent) {
        Place::Directory(found) if found.is_writable && !found.is_read_only => {
            Finding::fine(Check::Directory, about, format!("`{shown}` is not there: the daemon makes it"))
        }
        Place::Missing if places::made_by_the_unit(parent) => Finding::unproven(
            Check::Directory,
            about,
            format!("`{}` is not there", parent.display()),
            "the unit makes it when it starts, and the daemon the directory in it",
        ),
        Place::Directory(_) | Place::Missing | Place::Unseen(_) | Place::SomethingElse => Finding::broken(
            Check::Directory,
            about,
            format!("`{shown}` is not there, and cannot be made in `{}`", parent.display()),
            format!("`install -d -m {:04o} -o USER {shown}`, with the user of rekeyd", local.directory_mode),
        ),
    }
}

/// Whether files can be handed to the group that the policy names.
fn group_of(about: &str, local: &DirectoryConfig) -> Option<Finding> {
    let group = local.group.as_ref()?;
    let number = match group::number(group) {
        Ok(number) => number,
        Err(failure) => {
            let fix = format!("`groupadd --system {group}`, or name another `group`");
            return Some(Finding::broken(Check::Directory, about, failure.to_string(), fix));
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
    let what = format!("this user is not in the group `{group}`, to which files are to be handed");
    let fix = format!("add it: for the unit `SupplementaryGroups={group}`, else `usermod -aG {group} USER`");
    Some(Finding::broken(Check::Directory, about, what, fix))
}

/// Opens the directory as the daemon does: it is made if it is not there, and a file is written and removed.
fn tried(about: &str, settings: &directory::Settings) -> Finding {
    match Directory::open(settings) {
        Ok(_) => Finding::fine(Check::Directory, about, "a file was written there and removed again"),
        Err(failure) => {
            let fix = "mend what it says; as long as it is so, nothing is published there";
            Finding::broken(Check::Directory, about, failure.to_string(), fix)
        }
    }
}

async fn served(settings: &directory::Settings, to: &Destination, users: &[CredentialName]) -> Vec<Finding> {
    let users: Vec<&str> = users.iter().map(CredentialName::as_str).collect();
    let about = format!("{to} ({})", users.join(", "));
    let path: PathBuf = settings.path.join(&to.secret);
    // What is wrong then is said of the directory.
    let Ok(store) = Directory::to_read(settings) else { return Vec::new() };
    match store.read(to, VersionRef::Current).await {
        Ok(Some(held)) => {
            let what = match held.value {
                Some(_) => format!("`{}` serves a key", path.display()),
                None => format!("`{}` holds no key yet: the first rotation puts it there", path.display()),
            };
            vec![Finding::fine(Check::Served, about, what)]
        }
        Ok(None) => vec![Finding::fine(Check::Served, about, "nothing yet: the first rotation publishes it")],
        Err(failure) => {
            let fix = format!("let the user of rekeyd read it, or move it away: `ls -l {}`", path.display());
            vec![Finding::broken(Check::Served, about, failure.to_string(), fix)]
        }
    }
}
