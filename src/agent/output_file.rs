//! A file that the application reads. It is replaced atomically: a reader sees the old content or the new content, whole.
//! The content is durable when the write returns.

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

    /// Writes the content, unless the file has it already, with the right mode and owner.
    pub(super) fn write(&self, content: &[u8]) -> io::Result<()> {
        // An unreadable file is replaced, like one with other content.
        let there = self.read().ok().flatten().filter(|_| self.has_attributes());
        if there.is_some_and(|there| there.as_slice() == content) {
            return Ok(());
        }
        let temporary = self.temporary();
        let written = self.replace(&temporary, content);
        if written.is_err() {
            // It may not exist; the next attempt removes it too.
            fs::remove_file(&temporary).ok();
        }
        written
    }

    fn replace(&self, temporary: &Path, content: &[u8]) -> io::Result<()> {
        self.clear()?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
        file.write_all(content)?;
        if self.owner.is_some() || self.group.is_some() {
            std::os::unix::fs::fchown(&file, self.owner, self.group)?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.sync_all()?;
        fs::rename(temporary, &self.path)?;
        File::open(self.directory())?.sync_all()
    }

    /// Removes an unfinished file of an earlier process.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_file(self.temporary()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The path of a hidden file beside it, for unfinished content and the agent's own notes.
    pub(super) fn beside(&self, what: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!(".{name}.{what}"))
    }

    fn temporary(&self) -> PathBuf {
        self.beside("rekeyd-new")
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("/"))
    }

    fn has_attributes(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|it| {
            it.is_file()
                && it.permissions().mode() & 0o7777 == self.mode
                && self.owner.is_none_or(|owner| owner == it.uid())
                && self.group.is_none_or(|group| group == it.gid())
        })
    }
}
