//! The properties of a path: permissions, file system and free space. Read-only.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, StatVfsMountFlags};

/// The file systems that live in memory.
const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;
/// File systems that show the kernel, in which nobody can create a file: proc, sysfs, and both control groups.
const OF_THE_KERNEL: [u64; 4] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270];

/// What is at the path of a directory.
pub enum PathState {
    Missing,
    Inaccessible(std::io::Error),
    NotADirectory,
    Directory(DirectoryState),
}

pub struct DirectoryState {
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub device: u64,
    pub is_writable: bool,
    pub is_read_only: bool,
    pub in_memory: bool,
    pub free_bytes: u64,
    pub free_files: Option<u64>,
}

/// Follows symbolic links, as the daemon does.
#[must_use]
pub fn look(path: &Path) -> PathState {
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return PathState::Missing,
        Err(error) => return PathState::Inaccessible(error),
    };
    if !metadata.is_dir() {
        return PathState::NotADirectory;
    }
    let system = match rustix::fs::statvfs(path) {
        Ok(system) => system,
        Err(error) => return PathState::Inaccessible(error.into()),
    };
    let kind = rustix::fs::statfs(path).map_or(0, |kind| u64::try_from(kind.f_type).unwrap_or(0));
    let kind = kind & 0xffff_ffff;
    let is_permitted = rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    PathState::Directory(DirectoryState {
        mode: metadata.permissions().mode() & 0o7777,
        owner: metadata.uid(),
        group: metadata.gid(),
        device: metadata.dev(),
        is_writable: is_permitted && !OF_THE_KERNEL.contains(&kind),
        is_read_only: system.f_flag.contains(StatVfsMountFlags::RDONLY),
        in_memory: [TMPFS_MAGIC, RAMFS_MAGIC].contains(&kind),
        free_bytes: system.f_bavail.saturating_mul(system.f_frsize),
        // Some file systems do not count them.
        free_files: (system.f_files > 0).then_some(system.f_favail),
    })
}

/// Whether systemd creates the directory when it starts the unit.
#[must_use]
pub fn is_created_by_the_unit(directory: &Path) -> bool {
    ["/run/rekeyd", "/var/lib/rekeyd", "/var/lib/private/rekeyd"]
        .iter()
        .any(|made| directory == Path::new(made))
}

/// A size in MiB.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
