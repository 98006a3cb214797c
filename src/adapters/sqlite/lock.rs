//! One rekeyd at a time: a lock on a file beside the database, which the kernel lifts when its holder dies. And one on the
//! database itself, because people delete lock files, and because a file may have several names.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::adapters::sqlite::open::beside;
use crate::ports::journal::OpenError;

/// Held as long as it lives. The file stays: to delete it would let two processes lock two files of one name.
pub(super) struct Lock {
    file: File,
    journal: File,
}

impl Drop for Lock {
    /// Says so instead of just closing the file: a child process that is being started has it open for a moment too.
    fn drop(&mut self) {
        // If it fails, closing the files lifts them.
        drop((self.journal.unlock(), self.file.unlock()));
    }
}

/// The database has to be there. SQLite locks its file in another way, which this does not touch.
pub(super) fn acquire(journal: &Path) -> Result<Lock, OpenError> {
    let path = beside(journal, ".lock");
    let io = |attempt| move |error: std::io::Error| OpenError::io(attempt, journal, &error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io("lock the journal"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::Locked { journal: journal.display().to_string(), pid: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(OpenError::io("lock the journal", journal, &error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io("write the lock file of the journal"))?;
    let held = File::open(journal).map_err(io("lock the journal"))?;
    match held.try_lock() {
        Ok(()) => Ok(Lock { file, journal: held }),
        Err(TryLockError::WouldBlock) => {
            Err(OpenError::Locked { journal: journal.display().to_string(), pid: None })
        }
        Err(TryLockError::Error(error)) => Err(OpenError::io("lock the journal", journal, &error)),
    }
}

/// The process that holds the lock of the journal at `path`, as the kernel lists it; `None` if nobody does, or if the
/// kernel does not tell. Takes no lock, so that nobody who wants it is refused meanwhile.
pub(super) fn holder_of(path: &Path) -> Option<u32> {
    let path = path.canonicalize().ok()?;
    let inode = beside(&path, ".lock").metadata().ok()?.ino();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = fields.as_slice() else { return None };
        let is_it = place.rsplit(':').next()?.parse::<u64>().ok()? == inode;
        is_it.then(|| pid.parse().ok())?
    })
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
