//! A file that the application reads: at every instant it is there with its old content or with its new one, whole,
//! and durable when the write returns.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::plain_file;

/// More than any secret, and than any file of some secrets.
const CONTENT_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    pub path: PathBuf,
    pub mode: u32,
    /// `None`: the agent's own.
    pub owner: Option<u32>,
    pub group: Option<u32>,
}

impl OutputFile {
    /// The last good content, if there is one.
    pub(super) fn read(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        match plain_file::read(&self.path, CONTENT_BYTES_MAX) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the content, unless it is there already, dressed as it should be.
    pub(super) fn write(&self, content: &[u8]) -> io::Result<()> {
        // What cannot be read is replaced like anything else that is not as it should be.
        let there = self.read().ok().flatten().filter(|_| self.is_dressed());
        if there.is_some_and(|there| there.as_slice() == content) {
            return Ok(());
        }
        let fresh = self.fresh();
        let written = self.write_over(&fresh, content);
        if written.is_err() {
            // It may not be there at all; the next attempt removes it too.
            fs::remove_file(&fresh).ok();
        }
        written
    }

    fn write_over(&self, fresh: &Path, content: &[u8]) -> io::Result<()> {
        self.clear()?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
        file.write_all(content)?;
        if self.owner.is_some() || self.group.is_some() {
            std::os::unix::fs::fchown(&file, self.owner, self.group)?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.sync_all()?;
        fs::rename(fresh, &self.path)?;
        File::open(self.directory())?.sync_all()
    }

    /// Removes what an earlier life did not finish.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_file(self.fresh()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A hidden file beside it, for what is not finished or only ours.
    pub(super) fn beside(&self, what: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!(".{name}.{what}"))
    }

    fn fresh(&self) -> PathBuf {
        self.beside("rekeyd-new")
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("/"))
    }

    fn is_dressed(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|it| {
            it.is_file()
                && it.permissions().mode() & 0o7777 == self.mode
                && self.owner.is_none_or(|owner| owner == it.uid())
                && self.group.is_none_or(|group| group == it.gid())
        })
    }
}
