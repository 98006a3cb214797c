//! Every effect on the file system, each durable when it returns: contents are whole or not there, under their final
//! name, mode and group, whatever the umask. What a failure says names the path and what to do, never a content.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::adapters::directory::layout::HIDDEN;
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::plain_file;

/// More than any secret; a bound on what a foreign file can make us read.
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
    pub(super) fuse: super::crash_tests::Fuse,
}

impl Disk {
    pub(super) fn hidden(&self) -> PathBuf {
        self.root.join(HIDDEN)
    }

    fn unfinished(&self) -> PathBuf {
        self.hidden().join(".tmp")
    }

    /// Makes the directory itself, if only that is missing.
    pub(super) fn make_root(&self) -> Result<(), Failure> {
        if self.root.is_dir() {
            return Ok(());
        }
        let make = || {
            DirBuilder::new().mode(0o700).create(&self.root)?;
            self.dress(&File::open(&self.root)?, self.directory_mode)
        };
        make().map_err(|error| failure(&making(&self.root), &error))
    }

    /// Makes our own part of the directory. Its modes are put right each time: nothing here is anybody else's.
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
                self.dress(&File::open(&path)?, mode)?;
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

    /// Makes a directory for consumers to enter, if it is not there.
    pub(super) fn make_directory(&self, path: &Path) -> Result<(), Failure> {
        if Self::is_directory(path)? {
            return Ok(());
        }
        let fresh = self.fresh();
        let make = || {
            self.step()?;
            DirBuilder::new().mode(0o700).create(&fresh)?;
            self.step()?;
            self.dress(&File::open(&fresh)?, self.directory_mode)?;
            self.put_in_place(&fresh, path)
        };
        make().map_err(|error| failure(&making(path), &error))
    }

    /// A link in a directory's place is refused: it could lead anywhere.
    fn is_directory(path: &Path) -> Result<bool, Failure> {
        match path.symlink_metadata() {
            Ok(there) if there.is_dir() => Ok(true),
            Ok(_) => {
                let message = format!("cannot {}: something else has that name; move it away", making(path));
                Err(Failure::rejected(Kind::Invalid, message))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failure(&making(path), &error)),
        }
    }

    /// Whether something could be written, as far as that can be told without leaving anything.
    pub(super) fn probe(&self) -> Result<(), Failure> {
        let path = self.fresh();
        let probe = || {
            self.new_file(&path)?.write_all(&[0; 4096])?;
            std::fs::remove_file(&path)
        };
        probe().map_err(|error| failure(&format!("write in `{}`", self.root.display()), &error))
    }

    /// Writes a file as a whole: it is there with its old content, or with this one.
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
                self.dress(&file, mode)?;
            }
            file.sync_all()?;
            self.put_in_place(&fresh, path)
        };
        self.finish(&fresh, write(), || format!("write `{}`", path.display()))
    }

    /// Makes `path` a link to `target`, in one step.
    pub(super) fn link(&self, path: &Path, target: &Path) -> Result<(), Failure> {
        let fresh = self.fresh();
        let link = || {
            self.step()?;
            std::os::unix::fs::symlink(target, &fresh)?;
            self.put_in_place(&fresh, path)
        };
        self.finish(&fresh, link(), || format!("replace `{}`", path.display()))
    }

    /// Removes a file; that it is not there is success.
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

    /// Makes durable what an earlier life may have left half done.
    pub(super) fn sync(&self, directory: &Path) -> Result<(), Failure> {
        let sync = File::open(directory).and_then(|directory| directory.sync_all());
        sync.map_err(|error| failure(&format!("sync `{}`", directory.display()), &error))
    }

    /// Removes what earlier lives did not finish. Only under the lock: another process may be writing.
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
            // The directory was emptied under us, or mounted anew.
            Err(error) if error.kind() == ErrorKind::NotFound && self.root.is_dir() => {
                self.make_hidden().map_err(|_| error)?;
                open()
            }
            other => other,
        }
    }

    fn dress(&self, file: &File, mode: u32) -> io::Result<()> {
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
            // Whatever is left, the next start sweeps it.
            if self.step().is_ok() {
                std::fs::remove_file(fresh).ok();
            }
            // The rename may have been made and only its durability be in doubt.
            Failure { certainty: Certainty::Unknown, ..failure(&attempt(), &error) }
        })
    }

    /// Where the tests let the process die.
    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        self.fuse.burn()
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the tests let the process die here")]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }
}

fn making(path: &Path) -> String {
    format!("make the directory `{}`", path.display())
}

/// The content of a plain file; `None` if it is not there.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let attempt = || format!("read `{}`", path.display());
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(&attempt(), &error)),
        Ok(there) if there.is_file() && there.len() <= CONTENT_BYTES_MAX => {}
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

/// The paths in a directory; none if it is not there.
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
        (&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded], "the file system is full; make room on it"),
        (
            &[ErrorKind::ReadOnlyFilesystem],
            "the file system is read-only; mount it writable for rekeyd (systemd: ReadWritePaths=)",
        ),
        (
            &[ErrorKind::PermissionDenied],
            "permission denied; let the user that rekeyd runs as write there, and be in the group it hands files to",
        ),
        (&[ErrorKind::NotFound], "it is not there; is it mounted?"),
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
            (ErrorKind::StorageFull, "make room"),
            (ErrorKind::QuotaExceeded, "make room"),
            (ErrorKind::ReadOnlyFilesystem, "ReadWritePaths="),
            (ErrorKind::PermissionDenied, "let the user"),
        ] {
            let failure = failure("write `/r/tts`", &kind.into());
            assert_eq!(failure.kind, Kind::LocalDisk);
            assert!(
                failure.message.starts_with("cannot write `/r/tts`: ") && failure.message.contains(advice)
            );
        }
    }
}
