//! A lock on a file, for one writer at a time across processes. The kernel releases it when its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use crate::adapters::directory::disk;
use crate::adapters::directory::disk::Disk;
use crate::domain::failure::{Failure, Kind};

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Released on drop.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Option<File>,
}

impl Lock {
    /// Waits for the exclusive lock.
    ///
    /// # Errors
    /// `TimedOut`: another process held the lock all the time. `LocalDisk`: the lock file cannot be opened.
    pub(super) fn to_write(disk: &Disk) -> Result<Self, Failure> {
        disk.make_hidden()?;
        let path = disk.hidden().join(".lock");
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        let file = file.map_err(|error| disk::failure(&format!("open `{}`", path.display()), &error))?;
        wait(disk, &file, File::try_lock)?;
        Ok(Self { _file: Some(file) })
    }

    /// Waits for the shared lock. Succeeds without a lock file, and writes nothing.
    pub(super) fn to_read(disk: &Disk) -> Result<Self, Failure> {
        let path = disk.hidden().join(".lock");
        match File::open(&path) {
            Ok(file) => {
                wait(disk, &file, File::try_lock_shared)?;
                Ok(Self { _file: Some(file) })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self { _file: None }),
            Err(error) => Err(disk::failure(&format!("open `{}`", path.display()), &error)),
        }
    }
}

fn wait(disk: &Disk, file: &File, lock: fn(&File) -> Result<(), TryLockError>) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        match lock(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "cannot lock `{}`: another process has held it for {} s; look for a second rekeyd on it",
                    disk.root.display(),
                    PATIENCE.as_secs()
                );
                return Err(Failure::rejected(Kind::TimedOut, message));
            }
            Err(TryLockError::Error(error)) => {
                return Err(disk::failure(&format!("lock `{}`", disk.root.display()), &error));
            }
        }
    }
}
