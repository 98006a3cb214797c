//! One daemon per directory: a lock that it holds for as long as it lives, and that the kernel releases at its death. Readers
//! and the commands need no such lock.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::adapters::directory::disk;
use crate::adapters::directory::disk::Disk;
use crate::domain::failure::{Failure, Kind};

/// What this process holds, by device and inode: a reload opens a directory again before it lets go of it.
static HELD: Mutex<BTreeMap<(u64, u64), Weak<Owner>>> = Mutex::new(BTreeMap::new());

/// Released on drop.
#[derive(Debug)]
pub(super) struct Owner(File);

impl Drop for Owner {
    /// Says so instead of just closing the file: a child process that is being started has it open for a moment too.
    fn drop(&mut self) {
        // If it fails, closing the file lifts it.
        drop(self.0.unlock());
    }
}

/// # Errors
/// `Conflict`: another process owns the directory. `LocalDisk`: the lock file cannot be used.
pub(super) fn own(disk: &Disk) -> Result<Arc<Owner>, Failure> {
    disk.make_hidden()?;
    let path = disk.hidden().join(".owner");
    let attempt = || format!("lock `{}`", path.display());
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
    let file = file.map_err(|error| disk::failure(&attempt(), &error))?;
    let found = file.metadata().map_err(|error| disk::failure(&attempt(), &error))?;
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.retain(|_, owner| owner.strong_count() > 0);
    if let Some(owner) = held.get(&(found.dev(), found.ino())).and_then(Weak::upgrade) {
        return Ok(owner);
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "another rekeyd writes to `{}`: each needs a directory of its own; stop the other one, or set another `path`",
                disk.root.display()
            );
            return Err(Failure::rejected(Kind::Conflict, message));
        }
        Err(TryLockError::Error(error)) => return Err(disk::failure(&attempt(), &error)),
    }
    let owner = Arc::new(Owner(file));
    held.insert((found.dev(), found.ino()), Arc::downgrade(&owner));
    Ok(owner)
}
