//! Reads small files that other programs write: never blocks on a named pipe, and never reads without a limit. A file system
//! that hangs can still block, so read repeatedly on a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::current_read::reading_file;

/// More than any secret or certificate chain.
pub(crate) const BYTES_MAX: u64 = 1024 * 1024;

/// The content of the file, wiped when dropped.
///
/// # Errors
/// It cannot be read, is no plain file, or is larger than `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    reading_file(path);
    let file = open(path)?;
    let it = file.metadata()?;
    if !it.is_file() || it.len() > bytes_max {
        return Err(io::Error::other(format!("not a plain file of at most {bytes_max} bytes")));
    }
    // Reserved in full, because a growing buffer would leave copies behind.
    let room = usize::try_from(it.len().saturating_add(1)).unwrap_or_default();
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    file.take(bytes_max).read_to_end(&mut content)?;
    Ok(content)
}

/// The same for certificates, which are no secret.
///
/// # Errors
/// As those of [`read`].
pub(crate) fn certificates(path: &Path) -> io::Result<Vec<u8>> {
    read(path, BYTES_MAX).map(|mut content| std::mem::take(&mut *content))
}

/// The flag does not affect plain files; a pipe opens without blocking and is then refused.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_plain_files_are_read_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("plain"), "content").unwrap();
        std::os::unix::fs::symlink(at("plain"), at("link")).unwrap();
        assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        for name in ["plain", "link"] {
            assert_eq!(read(&at(name), 7).unwrap().as_slice(), b"content");
        }
        for path in [at("pipe"), directory.path().to_owned(), "/dev/zero".into()] {
            let error = read(&path, 7).unwrap_err().to_string();
            assert_eq!(error, "not a plain file of at most 7 bytes", "{}", path.display());
        }
        assert!(read(&at("plain"), 6).is_err());
        assert_eq!(read(&at("none"), 7).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
