//! The secret store port over a local directory, for tmpfs and sidecars.
//!
//! What consumers read (`cat PATH/SECRET`) is a link to a version, so that one rename changes value and version
//! together: a consumer reads the old value or the new one, whole, at every instant. Every change is durable
//! when its method returns, and one process writes at a time. Consumers need to be able to enter `PATH/.rekeyd`; a
//! container has to mount the directory, not the single file.

mod disk;
mod doctor;
mod follow;
pub mod group;
pub mod kind;
mod layout;
mod lock;
mod owner;
pub(crate) mod policy;
mod versions;

#[cfg(test)]
mod crash_tests;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::adapters::directory::disk::Disk;
use crate::adapters::directory::lock::Lock;
use crate::adapters::directory::owner::Owner;
use crate::adapters::directory::versions::Versions;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;
use crate::ports::secret_store::{SecretStore, Staged, StoredVersion, VersionRef};

/// What the policy says about the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub path: PathBuf,
    /// The mode of the files that consumers read, whatever the umask.
    pub mode: u32,
    /// The mode of the directories that rekeyd creates in `path`, and of `path` itself if it is created.
    pub directory_mode: u32,
    /// The group of files and directories: its name in /etc/group, or its number.
    pub group: Option<String>,
}

impl Settings {
    /// Only the owner and the owner's group read.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: 0o440, directory_mode: 0o750, group: None }
    }
}

#[derive(Debug, Clone)]
pub struct Directory {
    disk: Arc<Disk>,
    /// Serialises the callers in this process, first come first served. The lock on the file is for other processes, and
    /// waiting for it blocks a thread.
    turn: Arc<Mutex<()>>,
    /// Kept by the daemon.
    _owner: Option<Arc<Owner>>,
}

impl Directory {
    /// Creates the directory if its parent exists, tests that it is writable, and removes unfinished files of earlier
    /// processes. Does a little blocking IO.
    ///
    /// # Errors
    /// `Invalid`: no such group, or `.rekeyd` is not a directory. `LocalDisk`: the directory cannot be written.
    pub fn open(settings: &Settings) -> Result<Self, Failure> {
        let disk = Self::disk(settings)?;
        disk.make_root()?;
        Self::of(disk, None)
    }

    /// As [`Self::open`], for the one process that may publish there until it ends.
    ///
    /// # Errors
    /// Those of [`Self::open`]. `Conflict`: another process owns the directory.
    pub fn open_alone(settings: &Settings) -> Result<Self, Failure> {
        let disk = Self::disk(settings)?;
        disk.make_root()?;
        let owner = owner::own(&disk)?;
        Self::of(disk, Some(owner))
    }

    fn of(disk: Disk, owner: Option<Arc<Owner>>) -> Result<Self, Failure> {
        let lock = Lock::to_write(&disk)?;
        disk.sweep()?;
        disk.probe()?;
        drop(lock);
        Ok(Self { disk: Arc::new(disk), turn: Arc::default(), _owner: owner })
    }

    /// Opens the directory for reading only: creates, writes and removes nothing.
    ///
    /// # Errors
    /// `Invalid`: no such group.
    pub fn open_read_only(settings: &Settings) -> Result<Self, Failure> {
        let disk = Self::disk(settings)?;
        Ok(Self { disk: Arc::new(disk), turn: Arc::default(), _owner: None })
    }

    fn disk(settings: &Settings) -> Result<Disk, Failure> {
        let group = settings.group.as_deref().map(group::number).transpose()?;
        Ok(Disk {
            root: settings.path.clone(),
            mode: settings.mode,
            directory_mode: settings.directory_mode,
            group,
            #[cfg(test)]
            crash_point: crash_tests::CrashPoint::default(),
        })
    }

    /// Runs `work` on the destination's versions on a blocking thread. Cancelling the caller does not interrupt it.
    async fn on_versions<T: Send + 'static>(
        &self,
        destination: &Destination,
        lock: fn(&Disk) -> Result<Lock, Failure>,
        work: impl FnOnce(&Disk, &Versions<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (disk, destination) = (Arc::clone(&self.disk), destination.clone());
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let versions = Versions::of(&disk, &destination)?;
            let _lock = lock(&disk)?;
            work(&disk, &versions)
        });
        match done.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::unknown(Kind::LocalDisk, "the work on the directory was broken off")),
        }
    }
}

#[async_trait]
impl SecretStore for Directory {
    async fn identity(&self, destination: &Destination) -> Result<String, Failure> {
        Ok(format!("{}/{}", self.disk.identity()?, destination.secret))
    }

    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure> {
        self.on_versions(destination, Lock::to_write, |disk, versions| {
            let serving = versions.serving()?;
            versions.check(serving.as_ref())?;
            disk.probe()?;
            let held = serving.map(|serving| StoredVersion {
                value: versions.value_of(&serving),
                version: serving.version,
            });
            Ok(StoredVersion::served(held.as_ref()))
        })
        .await
    }

    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        let (version, value) = (version.clone(), value.clone());
        self.on_versions(destination, Lock::to_write, move |_, versions| {
            versions.stage(&version, &value).map(|over| Staged { over })
        })
        .await
    }

    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure> {
        let wanted = match which {
            VersionRef::Current => None,
            VersionRef::Version(version) => Some(version.clone()),
        };
        self.on_versions(destination, Lock::to_read, move |_, versions| match wanted {
            None => Ok(versions.serving()?.map(|serving| StoredVersion {
                value: versions.value_of(&serving),
                version: serving.version,
            })),
            Some(version) => Ok(versions.value(&version)?.map(|value| StoredVersion { version, value })),
        })
        .await
    }

    async fn promote(
        &self,
        destination: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
    ) -> Result<(), Failure> {
        let (version, displacing) = (version.clone(), displacing.cloned());
        self.on_versions(destination, Lock::to_write, move |_, versions| {
            versions.promote(&version, displacing.as_ref())
        })
        .await
    }

    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure> {
        let version = version.clone();
        self.on_versions(destination, Lock::to_write, move |_, versions| versions.discard(&version)).await
    }
}
