//! Every effect on the file system. Each is durable when it returns, and a file appears whole, with its final name, mode and
//! group, whatever the umask. A failure names the path and the fix, never a content.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::adapters::directory::layout::HIDDEN;
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::plain_file;

/// More than any secret: bounds what is read of a foreign file.
const CONTENT_BYTES_MAX: u64 = 1024 * 1024;

/// Who reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    Consumers,
    Ourselves,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) root: PathBuf,
    pub(super) mode: u32,
    pub(super) directory_mode: u32,
    pub(super) group: Option<u32>,
    #[cfg(test)]
    pub(super) crash_point: super::crash_tests::CrashPoint,
}

impl Disk {
    pub(super) fn hidden(&self) -> PathBuf {
        self.root.join(HIDDEN)
    }

    /// Device and inode: the same by every path that leads to the directory. Its path if it does not exist.
    pub(super) fn identity(&self) -> Result<String, Failure> {
        match self.root.metadata() {
            Ok(found) => Ok(format!("{}:{}", found.dev(), found.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.root.display().to_string()),
            Err(error) => Err(failure(&format!("look at `{}`", self.root.display()), &error)),
        }
    }

    fn unfinished(&self) -> PathBuf {
        self.hidden().join(".tmp")
    }

    /// Creates the store's directory if its parent exists.
    pub(super) fn make_root(&self) -> Result<(), Failure> {
        if self.root.is_dir() {
            return Ok(());
        }
        let make = || {
            DirBuilder::new().mode(0o700).create(&self.root)?;
            self.set_owner_and_mode(&File::open(&self.root)?, self.directory_mode)
        };
        make().map_err(|error| failure(&making(&self.root), &error))
    }

    /// Creates `.rekeyd` in the directory, and corrects its modes: only rekeyd uses it.
    pub(super) fn make_hidden(&self) -> Result<(), Failure> {
        for (path, mode) in [(self.hidden(), self.directory_mode), (self.unfinished(), 0o700)] {
            if Self::is_directory(&path)?
                && path.metadata().is_ok_and(|is| is.permissions().mode() & 0o7777 == mode)
            {
                continue;
            }
            let make = || {
                self.step()?;
                DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
                self.step()?;
                self.set_owner_and_mode(&File::open(&path)?, mode)?;
                self.sync_parent(&path)
            };
            if !self.root.is_dir() {
                let attempt = format!("use `{}`", self.root.display());
                return Err(failure(&attempt, &ErrorKind::NotFound.into()));
            }
            make().map_err(|error| failure(&making(&path), &error))?;
        }
        Ok(())
    }

    /// Creates a directory that consumers enter, if it does not exist.
    pub(super) fn make_directory(&self, path: &Path) -> Result<(), Failure> {
        if Self::is_directory(path)? {
            return Ok(());
        }
        let fresh = self.fresh();
        let make = || {
            self.step()?;
            DirBuilder::new().mode(0o700).create(&fresh)?;
            self.step()?;
            self.set_owner_and_mode(&File::open(&fresh)?, self.directory_mode)?;
            self.put_in_place(&fresh, path)
        };
        make().map_err(|error| failure(&making(path), &error))
    }

    /// Refuses a link, which could lead anywhere.
    fn is_directory(path: &Path) -> Result<bool, Failure> {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(true),
            Ok(_) => {
                let message = format!("cannot {}: something else has that name; move it away", making(path));
                Err(Failure::rejected(Kind::Invalid, message))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failure(&making(path), &error)),
        }
    }

    /// Tests whether the directory is writable, and leaves nothing behind.
    pub(super) fn probe(&self) -> Result<(), Failure> {
        let path = self.fresh();
        let probe = || {
            self.new_file(&path)?.write_all(&[0; 4096])?;
            std::fs::remove_file(&path)
        };
        probe().map_err(|error| failure(&format!("write in `{}`", self.root.display()), &error))
    }

    /// Replaces a file atomically.
    pub(super) fn write(&self, path: &Path, content: &[u8], audience: Audience) -> Result<(), Failure> {
        let fresh = self.fresh();
        let mode = match audience {
            Audience::Consumers => self.mode,
            Audience::Ourselves => 0o600,
        };
        let write = || {
            self.step()?;
            let mut file = self.new_file(&fresh)?;
            self.step()?;
            file.write_all(content)?;
            self.step()?;
            if audience == Audience::Consumers {
                self.set_owner_and_mode(&file, mode)?;
            }
            file.sync_all()?;
            self.put_in_place(&fresh, path)
        };
        self.finish(&fresh, write(), || format!("write `{}`", path.display()))
    }

    /// Makes `path` a link to `target` atomically.
    pub(super) fn link(&self, path: &Path, target: &Path) -> Result<(), Failure> {
        let fresh = self.fresh();
        let link = || {
            self.step()?;
            std::os::unix::fs::symlink(target, &fresh)?;
            self.put_in_place(&fresh, path)
        };
        self.finish(&fresh, link(), || format!("replace `{}`", path.display()))
    }

    /// Removes a file. Succeeds if it does not exist.
    pub(super) fn remove(&self, path: &Path) -> Result<(), Failure> {
        let remove = || {
            self.step()?;
            match std::fs::remove_file(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
                Ok(()) => self.sync_parent(path),
            }
        };
        remove().map_err(|error| failure(&format!("remove `{}`", path.display()), &error))
    }

    /// Makes durable what an earlier process may not have synced.
    pub(super) fn sync(&self, directory: &Path) -> Result<(), Failure> {
        let sync = File::open(directory).and_then(|directory| directory.sync_all());
        sync.map_err(|error| failure(&format!("sync `{}`", directory.display()), &error))
    }

    /// Removes unfinished files of earlier processes. The caller holds the lock, since another process may be writing.
    pub(super) fn sweep(&self) -> Result<(), Failure> {
        for path in entries(&self.unfinished())? {
            if path.is_dir() && !path.is_symlink() {
                let swept = std::fs::remove_dir(&path);
                swept.map_err(|error| failure(&format!("remove `{}`", path.display()), &error))?;
            } else {
                self.remove(&path)?;
            }
        }
        Ok(())
    }

    fn fresh(&self) -> PathBuf {
        self.unfinished().join(Uuid::now_v7().simple().to_string())
    }

    fn new_file(&self, path: &Path) -> io::Result<File> {
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match open() {
            // The directory was emptied or remounted meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && self.root.is_dir() => {
                self.make_hidden().map_err(|_| error)?;
                open()
            }
            other => other,
        }
    }

    fn set_owner_and_mode(&self, file: &File, mode: u32) -> io::Result<()> {
        if let Some(group) = self.group {
            std::os::unix::fs::fchown(file, None, Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(mode))
    }

    fn put_in_place(&self, fresh: &Path, path: &Path) -> io::Result<()> {
        self.step()?;
        std::fs::rename(fresh, path)?;
        self.step()?;
        self.sync_parent(path)
    }

    fn sync_parent(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(&self.root);
        File::open(parent)?.sync_all()
    }

    fn finish(
        &self,
        fresh: &Path,
        outcome: io::Result<()>,
        attempt: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        outcome.map_err(|error| {
            // The next start sweeps what is left.
            if self.step().is_ok() {
                std::fs::remove_file(fresh).ok();
            }
            // The rename may have been made and only its durability be in doubt.
            Failure { certainty: Certainty::Unknown, ..failure(&attempt(), &error) }
        })
    }

    /// Where tests let the process die.
    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        self.crash_point.reach()
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the tests let the process die here")]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }
}

fn making(path: &Path) -> String {
    format!("create the directory `{}`", path.display())
}

/// The content of a plain file; `None` if it does not exist.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let attempt = || format!("read `{}`", path.display());
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(&attempt(), &error)),
        Ok(metadata) if metadata.is_file() && metadata.len() <= CONTENT_BYTES_MAX => {}
        Ok(_) => {
            let message =
                format!("cannot {}: it is no plain file of at most {CONTENT_BYTES_MAX} bytes", attempt());
            return Err(Failure::rejected(Kind::Invalid, message));
        }
    }
    match plain_file::read(path, CONTENT_BYTES_MAX) {
        Ok(content) => Ok(Some(content)),
        Err(error) if io::Error::kind(&error) == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure(&attempt(), &error)),
    }
}

/// The paths in a directory; none if it does not exist.
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let list =
        || std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    match list() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|error| failure(&format!("list `{}`", directory.display()), &error)),
    }
}

pub(super) fn failure(attempt: &str, error: &io::Error) -> Failure {
    let advice: &[(&[ErrorKind], &str)] = &[
        (&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded], "the file system is full; free some space"),
        (
            &[ErrorKind::ReadOnlyFilesystem],
            "the file system is read-only; mount it writable for rekeyd (systemd: ReadWritePaths=)",
        ),
        (
            &[ErrorKind::PermissionDenied],
            "permission denied; let rekeyd's user write there, and add it to the group of the files",
        ),
        (&[ErrorKind::NotFound], "it does not exist; is it mounted?"),
    ];
    let known = advice.iter().find(|(kinds, _)| kinds.contains(&error.kind()));
    let why = known.map_or_else(|| error.to_string(), |(_, why)| (*why).to_owned());
    Failure::rejected(Kind::LocalDisk, format!("cannot {attempt}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_where_and_what_to_do() {
        for (kind, advice) in [
            (ErrorKind::StorageFull, "free some space"),
            (ErrorKind::QuotaExceeded, "free some space"),
            (ErrorKind::ReadOnlyFilesystem, "ReadWritePaths="),
            (ErrorKind::PermissionDenied, "let rekeyd's user"),
        ] {
            let failure = failure("write `/r/tts`", &kind.into());
            assert_eq!(failure.kind, Kind::LocalDisk);
            assert!(
                failure.message.starts_with("cannot write `/r/tts`: ") && failure.message.contains(advice)
            );
        }
    }
}
