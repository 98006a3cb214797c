//! The secret store port in memory, for simulations and tests. It records everything that each secret has served.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::adapters::secret_text;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;
use crate::ports::secret_store::{SecretStore, Staged, StoredVersion, VersionRef};

/// What happens to the first version of an empty secret: stores differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstVersion {
    /// It stays pending until it is promoted, as in a directory.
    #[default]
    Pending,
    /// It becomes current at once, as in AWS.
    Current,
}

/// The state of a version that [`MemoryStore::put`] adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands<'a> {
    Current,
    Pending { over: Option<&'a VersionId> },
    Before,
}

#[derive(Default)]
pub struct MemoryStore {
    first: FirstVersion,
    secrets: Mutex<BTreeMap<String, Secret>>,
}

#[derive(Default)]
struct Secret {
    versions: BTreeMap<VersionId, Version>,
    current: Option<VersionId>,
    served: Vec<(VersionId, Zeroizing<String>)>,
    foreign: u32,
}

struct Version {
    text: Zeroizing<String>,
    over: Option<VersionId>,
    pending: bool,
}

impl Secret {
    fn text(&self, version: &VersionId) -> Option<&str> {
        self.versions.get(version).map(|version| version.text.as_str())
    }

    fn serve(&mut self, version: &VersionId) {
        if let Some(served) = self.versions.get_mut(version) {
            served.pending = false;
            self.served.push((version.clone(), served.text.clone()));
            self.current = Some(version.clone());
        }
    }
}

impl MemoryStore {
    #[must_use]
    pub fn new(first: FirstVersion) -> Self {
        Self { first, secrets: Mutex::default() }
    }

    /// Creates an empty secret, if it does not exist.
    pub fn make(&self, secret: &str) {
        self.lock().entry(secret.to_owned()).or_default();
    }

    /// Makes `text` current unconditionally, as another program would.
    pub fn write_as_somebody_else(&self, secret: &str, text: &str) -> Option<VersionId> {
        let mut secrets = self.lock();
        let secret = secrets.entry(secret.to_owned()).or_default();
        secret.foreign += 1;
        let version = VersionId::new(format!("foreign-{}", secret.foreign)).ok()?;
        let text = Zeroizing::new(text.to_owned());
        secret
            .versions
            .insert(version.clone(), Version { text, over: secret.current.clone(), pending: false });
        secret.serve(&version);
        Some(version)
    }

    /// Adds a version in any state.
    pub fn put(&self, secret: &str, version: &VersionId, text: &str, stands: Stands<'_>) {
        let mut secrets = self.lock();
        let secret = secrets.entry(secret.to_owned()).or_default();
        let (pending, over) = match stands {
            Stands::Pending { over } => (true, over.cloned()),
            Stands::Current | Stands::Before => (false, None),
        };
        let text = Zeroizing::new(text.to_owned());
        secret.versions.insert(version.clone(), Version { text, over, pending });
        if matches!(stands, Stands::Current) {
            secret.serve(version);
        }
    }

    /// The text that consumers read.
    #[must_use]
    pub fn text(&self, secret: &str) -> Option<Zeroizing<String>> {
        let secrets = self.lock();
        let secret = secrets.get(secret)?;
        secret.text(secret.current.as_ref()?).map(|text| Zeroizing::new(text.to_owned()))
    }

    /// Everything that the destination has served, in order.
    #[must_use]
    pub fn served(&self, destination: &Destination) -> Vec<Served> {
        let secrets = self.lock();
        let served =
            secrets.get(&destination.secret).map(|secret| secret.served.as_slice()).unwrap_or_default();
        let standing = |(version, text): &(VersionId, Zeroizing<String>)| Served {
            version: Some(version.clone()),
            fingerprint: secret_text::extract(destination, text).map(|value| value.fingerprint()),
        };
        served.iter().map(standing).collect()
    }

    /// The pending versions.
    #[must_use]
    pub fn pending(&self, secret: &str) -> Vec<VersionId> {
        let secrets = self.lock();
        let versions = secrets.get(secret).into_iter().flat_map(|secret| &secret.versions);
        versions.filter(|(_, version)| version.pending).map(|(id, _)| id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Secret>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn absent(destination: &Destination) -> Failure {
    Failure::rejected(Kind::NotFound, format!("there is no {destination}, and it may not be created"))
}

#[async_trait]
impl SecretStore for MemoryStore {
    async fn identity(&self, destination: &Destination) -> Result<String, Failure> {
        Ok(format!("{:p}:{}", self, destination.secret))
    }

    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure> {
        let secrets = self.lock();
        let Some(secret) = secrets.get(&destination.secret) else {
            return if destination.create { Ok(Served::default()) } else { Err(absent(destination)) };
        };
        let Some(current) = &secret.current else {
            return Ok(Served::default());
        };
        let text = secret.text(current).unwrap_or_default();
        secret_text::compose(destination, Some(text), "placeholder")?;
        let value = secret_text::extract(destination, text);
        Ok(StoredVersion::served(Some(&StoredVersion { version: current.clone(), value })))
    }

    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        let mut secrets = self.lock();
        if !destination.create && !secrets.contains_key(&destination.secret) {
            return Err(absent(destination));
        }
        let secret = secrets.entry(destination.secret.clone()).or_default();
        if let Some(there) = secret.versions.get(version) {
            let same = secret_text::extract(destination, &there.text).is_some_and(|old| old.matches(value));
            return if same {
                Ok(Staged { over: there.over.clone() })
            } else {
                Err(taken(destination, version))
            };
        }
        let over = secret.current.clone();
        let base = over.as_ref().and_then(|over| secret.text(over));
        let text = secret_text::compose(destination, base, value.expose())?;
        secret.versions.insert(version.clone(), Version { text, over: over.clone(), pending: true });
        if over.is_none() && self.first == FirstVersion::Current {
            secret.serve(version);
        }
        Ok(Staged { over })
    }

    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure> {
        let secrets = self.lock();
        let Some(secret) = secrets.get(&destination.secret) else { return Ok(None) };
        let id = match which {
            VersionRef::Current => secret.current.as_ref(),
            VersionRef::Version(version) => Some(version),
        };
        let held = id.and_then(|id| secret.text(id).map(|text| (id, text)));
        Ok(held.map(|(id, text)| StoredVersion {
            version: id.clone(),
            value: secret_text::extract(destination, text),
        }))
    }

    async fn promote(
        &self,
        destination: &Destination,
        version: &VersionId,
        displacing: Option<&VersionId>,
    ) -> Result<(), Failure> {
        let mut secrets = self.lock();
        let secret = secrets.get_mut(&destination.secret).ok_or_else(|| missing(destination, version))?;
        if secret.current.as_ref() == Some(version) {
            return Ok(());
        }
        if !secret.versions.contains_key(version) {
            return Err(missing(destination, version));
        }
        if secret.current.as_ref() != displacing {
            let message = format!("cannot promote {version} in {destination}: something else is current");
            return Err(Failure::rejected(Kind::Conflict, message));
        }
        secret.serve(version);
        Ok(())
    }

    async fn discard(&self, destination: &Destination, version: &VersionId) -> Result<(), Failure> {
        let mut secrets = self.lock();
        if let Some(secret) = secrets.get_mut(&destination.secret)
            && secret.current.as_ref() != Some(version)
        {
            secret.versions.remove(version);
        }
        Ok(())
    }
}

fn taken(destination: &Destination, version: &VersionId) -> Failure {
    let message = format!("cannot stage {version} in {destination}: it exists with another content");
    Failure::rejected(Kind::Conflict, message)
}

fn missing(destination: &Destination, version: &VersionId) -> Failure {
    let message = format!("cannot promote {version} in {destination}: there is no such version");
    Failure::rejected(Kind::NotFound, message)
}
