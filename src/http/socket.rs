//! The operators' socket as a file: its mode, and the removal of a stale one.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The daemon's user and its group.
const MODE: u32 = 0o660;

/// Why the socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("another process listens on {}; check whether a daemon is running already", .0.display())]
    InUse(PathBuf),
    #[error("{} is not a socket; remove it or choose another path", .0.display())]
    NotASocket(PathBuf),
    #[error("cannot listen on {}: {source}; its directory has to exist and be writable", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Removes the file when dropped, if it is still the one that was bound.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Binds beside the path and renames: the socket never has another mode at its path, and a stale one is replaced in one
/// step.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(there) if !there.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) =>
            {
                tracing::info!(path = %path.display(), "replacing a stale socket");
            }
            Ok(_) | Err(_) => return Err(BindError::InUse(path.to_owned())),
        },
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push("~");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&beside).map_err(failed)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(MODE)).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    let bound = fs::symlink_metadata(path).map_err(failed)?;
    Ok((listener, SocketFile { path: path.to_owned(), identity: (bound.dev(), bound.ino()) }))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == self.identity) {
            // A file that cannot be removed is replaced by the next process.
            drop(fs::remove_file(&self.path));
        }
    }
}
