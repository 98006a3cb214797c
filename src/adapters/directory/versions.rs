//! One secret of the directory and its versions: which is current, and how it changes. Callers hold the lock.
//!
//! A version is what rekeyd wrote only as long as its bytes have the hash that was noted when it was written. Whatever
//! else is found in a secret's place (a file made by hand, a version edited through the link) counts as a
//! version of its own, named by its hash: so a foreign change is a conflict and is preserved when it is displaced.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::adapters::directory::disk;
use crate::adapters::directory::disk::{Audience, Disk};
use crate::adapters::directory::layout;
use crate::adapters::directory::layout::Places;
use crate::adapters::secret_text;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;

pub(super) struct Versions<'a> {
    disk: &'a Disk,
    destination: &'a Destination,
    places: Places,
}

/// What is known of a version beside its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    over: Option<VersionId>,
    sha256: String,
    pending: bool,
}

/// What consumers are served.
pub(super) struct Serving {
    pub(super) version: VersionId,
    /// `None` if the link leads nowhere.
    content: Option<Zeroizing<Vec<u8>>>,
    /// Whether the content stands on the shelf under the version's name.
    shelved: bool,
}

impl Serving {
    fn text(&self) -> Option<&str> {
        self.content.as_deref().and_then(|content| std::str::from_utf8(content).ok())
    }
}

impl<'a> Versions<'a> {
    pub(super) fn of(disk: &'a Disk, destination: &'a Destination) -> Result<Self, Failure> {
        let places = Places::of(&disk.root, destination)?;
        Ok(Self { disk, destination, places })
    }

    /// What is current; `None` if there is nothing in the secret's place.
    pub(super) fn serving(&self) -> Result<Option<Serving>, Failure> {
        let served = self.places.served();
        if let Ok(target) = std::fs::read_link(&served) {
            let Some(version) = self.places.version_of(&target) else {
                let message = format!(
                    "cannot use {}: `{}` is a link that rekeyd did not make; move it away",
                    self.destination,
                    served.display()
                );
                return Err(Failure::rejected(Kind::Invalid, message));
            };
            let content = disk::read(&self.places.shelf.join(version.as_str()))?;
            return Ok(Some(match content {
                Some(content) if !self.is_intact(&version, &content)? => {
                    Serving { version: layout::foreign(&content)?, content: Some(content), shelved: false }
                }
                content => Serving { version, content, shelved: true },
            }));
        }
        let Some(content) = disk::read(&served)? else { return Ok(None) };
        Ok(Some(Serving { version: layout::foreign(&content)?, content: Some(content), shelved: false }))
    }

    /// The credential's own value in what is current.
    pub(super) fn value_of(&self, serving: &Serving) -> Option<SecretValue> {
        self.extract(serving.text()?)
    }

    /// Whether a value could be merged into what is current.
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

    /// Puts a pending version on the shelf; says over which one it was made.
    pub(super) fn stage(
        &self,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Option<VersionId>, Failure> {
        let Some(path) = self.places.version(version) else { return Err(self.unfit(version)) };
        if path.symlink_metadata().is_ok() {
            return self.staged_before(version, value);
        }
        let serving = self.serving()?;
        if serving.is_none() && !self.destination.create {
            return Err(self.absent());
        }
        let content = self.compose(serving.as_ref(), value.expose())?;
        for parent in self.places.parents() {
            self.disk.make_directory(&parent)?;
        }
        self.disk.make_directory(&self.places.shelf)?;
        let over = serving.map(|serving| serving.version);
        let sha256 = layout::hash(content.as_bytes());
        // First the note, then the version: a version without its note would be one without `over`.
        self.note(version, &Meta { over: over.clone(), sha256, pending: true })?;
        self.disk.write(&path, content.as_bytes(), Audience::Consumers)?;
        Ok(over)
    }

    /// Makes `version` current, if `displacing` is.
    pub(super) fn promote(&self, version: &VersionId, displacing: Option<&VersionId>) -> Result<(), Failure> {
        let serving = self.serving()?;
        let current = serving.as_ref().map(|serving| &serving.version);
        if current == Some(version) {
            // Perhaps an earlier life got this far: what it had left to do is done now.
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
            self.disk.link(&self.places.previous(), name)?;
        }
        for parent in self.places.parents() {
            self.disk.make_directory(&parent)?;
        }
        self.disk.link(&self.places.served(), &self.places.target(version))?;
        self.tidy(version)
    }

    /// Removes a version, unless consumers are served it.
    pub(super) fn discard(&self, version: &VersionId) -> Result<(), Failure> {
        let Some(path) = self.places.version(version) else { return Ok(()) };
        let target = std::fs::read_link(self.places.served()).ok();
        if target.and_then(|target| self.places.version_of(&target)).as_ref() == Some(version) {
            return Ok(());
        }
        self.disk.remove(&path)?;
        self.disk.remove(&self.places.meta(version))
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
                self.disk.sync(&self.places.shelf)?;
                Ok(meta.over)
            }
            _ => {
                let message =
                    format!("cannot stage {version} in {}: it exists with another content", self.destination);
                Err(Failure::rejected(Kind::Conflict, message))
            }
        }
    }

    /// A version's bytes, if they are on the shelf and as they were written.
    fn content(&self, version: &VersionId) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let Some(path) = self.places.version(version) else { return Ok(None) };
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
        let note = disk::read(&self.places.meta(version))?;
        Ok(note.and_then(|note| serde_json::from_slice(&note).ok()))
    }

    fn note(&self, version: &VersionId, meta: &Meta) -> Result<(), Failure> {
        let note = serde_json::to_vec(meta).unwrap_or_default();
        self.disk.write(&self.places.meta(version), &note, Audience::Ourselves)
    }

    /// Puts a foreign content on the shelf, so that it can be read and gone back to.
    fn preserve(&self, serving: &Serving) -> Result<(), Failure> {
        let (false, Some(content)) = (serving.shelved, &serving.content) else { return Ok(()) };
        self.disk.write(&self.places.shelf.join(serving.version.as_str()), content, Audience::Consumers)
    }

    /// Notes that a version is not pending any more.
    fn settle(&self, version: &VersionId) -> Result<(), Failure> {
        match self.meta(version)? {
            Some(meta) if meta.pending => self.note(version, &Meta { pending: false, ..meta }),
            Some(_) | None => Ok(()),
        }
    }

    /// After `version` became current: it is not pending, and what is neither current, nor previous, nor
    /// pending is dropped.
    fn tidy(&self, version: &VersionId) -> Result<(), Failure> {
        self.settle(version)?;
        let previous = std::fs::read_link(self.places.previous()).unwrap_or_default();
        for path in disk::entries(&self.places.shelf)? {
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
            self.places.served().display()
        );
        Failure::rejected(Kind::NotFound, message)
    }

    fn unfit(&self, version: &VersionId) -> Failure {
        let message = format!("cannot stage {version} in {}: a file cannot have that name", self.destination);
        Failure::rejected(Kind::Invalid, message)
    }
}
