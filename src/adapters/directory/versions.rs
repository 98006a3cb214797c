//! The versions of one secret of the directory, and which of them is current. Callers hold the lock.
//!
//! A version counts as rekeyd's only while its bytes have the hash that was recorded when it was written. Any other content
//! (a file written by hand, a version edited through the link) counts as a foreign version, named by its hash. So a foreign
//! change is a conflict, and it is preserved when it is displaced.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::adapters::directory::disk;
use crate::adapters::directory::disk::{Audience, Disk};
use crate::adapters::directory::layout;
use crate::adapters::directory::layout::SecretPaths;
use crate::adapters::secret_text;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;

pub(super) struct Versions<'a> {
    disk: &'a Disk,
    destination: &'a Destination,
    paths: SecretPaths,
}

/// The metadata of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    over: Option<VersionId>,
    sha256: String,
    pending: bool,
}

/// What consumers read now.
pub(super) struct Serving {
    pub(super) version: VersionId,
    /// `None` if the link is broken.
    content: Option<Zeroizing<Vec<u8>>>,
    /// Whether the content is stored under the version's name.
    is_stored: bool,
}

impl Serving {
    fn text(&self) -> Option<&str> {
        self.content.as_deref().and_then(|content| std::str::from_utf8(content).ok())
    }
}

impl<'a> Versions<'a> {
    pub(super) fn of(disk: &'a Disk, destination: &'a Destination) -> Result<Self, Failure> {
        let paths = SecretPaths::of(&disk.root, destination)?;
        Ok(Self { disk, destination, paths })
    }

    /// What consumers read now; `None` if the secret does not exist.
    pub(super) fn serving(&self) -> Result<Option<Serving>, Failure> {
        let served = self.paths.served();
        if let Ok(target) = std::fs::read_link(&served) {
            let Some(version) = self.paths.version_of(&target) else {
                let message = format!(
                    "cannot use {}: `{}` is a link that rekeyd did not make; move it away",
                    self.destination,
                    served.display()
                );
                return Err(Failure::rejected(Kind::Invalid, message));
            };
            let content = disk::read(&self.paths.versions.join(version.as_str()))?;
            return Ok(Some(match content {
                Some(content) if !self.is_intact(&version, &content)? => {
                    Serving { version: layout::foreign(&content)?, content: Some(content), is_stored: false }
                }
                content => Serving { version, content, is_stored: true },
            }));
        }
        let Some(content) = disk::read(&served)? else { return Ok(None) };
        Ok(Some(Serving { version: layout::foreign(&content)?, content: Some(content), is_stored: false }))
    }

    /// The credential's value in what consumers read now.
    pub(super) fn value_of(&self, serving: &Serving) -> Option<SecretValue> {
        self.extract(serving.text()?)
    }

    /// Checks whether a value can be merged into what consumers read now.
    pub(super) fn check(&self, serving: Option<&Serving>) -> Result<(), Failure> {
        match serving {
            Some(serving) => self.compose(Some(serving), "placeholder").map(drop),
            None if self.destination.create => Ok(()),
            None => Err(self.absent()),
        }
    }

    /// A version's value: `None` if there is no such version, `Some(None)` if it has no value.
    pub(super) fn value(&self, version: &VersionId) -> Result<Option<Option<SecretValue>>, Failure> {
        if let Some(serving) = self.serving()?.filter(|serving| &serving.version == version) {
            return Ok(Some(self.value_of(&serving)));
        }
        let content = self.content(version)?;
        Ok(content.map(|content| std::str::from_utf8(&content).ok().and_then(|text| self.extract(text))))
    }

    /// Writes a pending version, and returns the version that it may replace.
    pub(super) fn stage(
        &self,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Option<VersionId>, Failure> {
        let Some(path) = self.paths.version(version) else { return Err(self.unfit(version)) };
        if path.symlink_metadata().is_ok() {
            return self.staged_before(version, value);
        }
        let serving = self.serving()?;
        if serving.is_none() && !self.destination.create {
            return Err(self.absent());
        }
        let content = self.compose(serving.as_ref(), value.expose())?;
        for parent in self.paths.parents() {
            self.disk.make_directory(&parent)?;
        }
        self.disk.make_directory(&self.paths.versions)?;
        let over = serving.map(|serving| serving.version);
        let sha256 = layout::hash(content.as_bytes());
        // The metadata first: a version without it would have no `over`.
        self.note(version, &Meta { over: over.clone(), sha256, pending: true })?;
        self.disk.write(&path, content.as_bytes(), Audience::Consumers)?;
        Ok(over)
    }

    /// Makes `version` current, if `displacing` is.
    pub(super) fn promote(&self, version: &VersionId, displacing: Option<&VersionId>) -> Result<(), Failure> {
        let serving = self.serving()?;
        let current = serving.as_ref().map(|serving| &serving.version);
        if current == Some(version) {
            // An earlier process may have promoted the version and not finished.
            return self.tidy(version);
        }
        if self.content(version)?.is_none() {
            let message =
                format!("cannot promote {version} in {}: there is no such version", self.destination);
            return Err(Failure::rejected(Kind::NotFound, message));
        }
        if current != displacing {
            let message =
                format!("cannot promote {version} in {}: something else is current", self.destination);
            return Err(Failure::rejected(Kind::Conflict, message));
        }
        if let Some(serving) = &serving {
            self.preserve(serving)?;
            self.settle(&serving.version)?;
            let name = serving.version.as_str().as_ref();
            self.disk.link(&self.paths.previous(), name)?;
        }
        for parent in self.paths.parents() {
            self.disk.make_directory(&parent)?;
        }
        self.disk.link(&self.paths.served(), &self.paths.target(version))?;
        self.tidy(version)
    }

    /// Removes a version, unless consumers are served it.
    pub(super) fn discard(&self, version: &VersionId) -> Result<(), Failure> {
        let Some(path) = self.paths.version(version) else { return Ok(()) };
        let target = std::fs::read_link(self.paths.served()).ok();
        if target.and_then(|target| self.paths.version_of(&target)).as_ref() == Some(version) {
            return Ok(());
        }
        self.disk.remove(&path)?;
        self.disk.remove(&self.paths.meta(version))
    }

    fn extract(&self, text: &str) -> Option<SecretValue> {
        // A file made by hand ends with a newline, which is not part of the value.
        let text = match &self.destination.json_field {
            None => text.strip_suffix('\n').unwrap_or(text),
            Some(_) => text,
        };
        secret_text::extract(self.destination, text)
    }

    fn compose(&self, base: Option<&Serving>, value: &str) -> Result<Zeroizing<String>, Failure> {
        // What cannot be read as text cannot be merged into, and is no JSON either.
        let base = base.map(|base| base.text().unwrap_or_default());
        secret_text::compose(self.destination, base, value)
    }

    fn staged_before(&self, version: &VersionId, value: &SecretValue) -> Result<Option<VersionId>, Failure> {
        let there = self.value(version)?.flatten();
        match (there, self.meta(version)?) {
            (Some(there), Some(meta)) if there.matches(value) => {
                // It may have been written by a life that died before it was durable.
                self.disk.sync(&self.paths.versions)?;
                Ok(meta.over)
            }
            _ => {
                let message =
                    format!("cannot stage {version} in {}: it exists with another content", self.destination);
                Err(Failure::rejected(Kind::Conflict, message))
            }
        }
    }

    /// A version's bytes, if it is stored and unchanged.
    fn content(&self, version: &VersionId) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let Some(path) = self.paths.version(version) else { return Ok(None) };
        let Some(content) = disk::read(&path)? else { return Ok(None) };
        Ok(self.is_intact(version, &content)?.then_some(content))
    }

    fn is_intact(&self, version: &VersionId, content: &[u8]) -> Result<bool, Failure> {
        let hash = layout::hash(content);
        Ok(match layout::hash_in(version) {
            Some(expected) => hash == expected,
            None => self.meta(version)?.is_some_and(|meta| meta.sha256 == hash),
        })
    }

    fn meta(&self, version: &VersionId) -> Result<Option<Meta>, Failure> {
        let note = disk::read(&self.paths.meta(version))?;
        Ok(note.and_then(|note| serde_json::from_slice(&note).ok()))
    }

    fn note(&self, version: &VersionId, meta: &Meta) -> Result<(), Failure> {
        let note = serde_json::to_vec(meta).unwrap_or_default();
        self.disk.write(&self.paths.meta(version), &note, Audience::Ourselves)
    }

    /// Stores a foreign content as a version, so that it can be read and rolled back to.
    fn preserve(&self, serving: &Serving) -> Result<(), Failure> {
        let (false, Some(content)) = (serving.is_stored, &serving.content) else { return Ok(()) };
        self.disk.write(&self.paths.versions.join(serving.version.as_str()), content, Audience::Consumers)
    }

    /// Records that a version is no longer pending.
    fn settle(&self, version: &VersionId) -> Result<(), Failure> {
        match self.meta(version)? {
            Some(meta) if meta.pending => self.note(version, &Meta { pending: false, ..meta }),
            Some(_) | None => Ok(()),
        }
    }

    /// Finishes the promotion of `version`: records that it is not pending, and removes the versions that are neither
    /// current, nor previous, nor pending.
    fn tidy(&self, version: &VersionId) -> Result<(), Failure> {
        self.settle(version)?;
        let previous = std::fs::read_link(self.paths.previous()).unwrap_or_default();
        for path in disk::entries(&self.paths.versions)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let id = VersionId::new(name.strip_suffix(".meta").unwrap_or(name));
            let Some(id) = id.ok().filter(|id| layout::is_version(id.as_str())) else { continue };
            let keep = &id == version
                || previous.as_os_str() == id.as_str()
                || self.meta(&id)?.is_some_and(|meta| meta.pending);
            if !keep {
                self.disk.remove(&path)?;
            }
        }
        Ok(())
    }

    fn absent(&self) -> Failure {
        let message = format!(
            "there is no {}, and it may not be created; make the file `{}`, or set `create` in the policy",
            self.destination,
            self.paths.served().display()
        );
        Failure::rejected(Kind::NotFound, message)
    }

    fn unfit(&self, version: &VersionId) -> Failure {
        let message = format!("cannot stage {version} in {}: a file cannot have that name", self.destination);
        Failure::rejected(Kind::Invalid, message)
    }
}
