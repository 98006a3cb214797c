//! The secret store port in memory, for simulations and tests. It records everything that each secret has served.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::adapters::secret_text;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::domain::successor::Served;
use crate::domain::time::later;
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

/// Tells the time.
type Now = Box<dyn Fn() -> Timestamp + Send + Sync>;

#[derive(Default)]
pub struct MemoryStore {
    first: FirstVersion,
    /// Without it every answer is new.
    now: Option<Now>,
    secrets: Mutex<BTreeMap<String, Secret>>,
}

#[derive(Default)]
struct Secret {
    versions: BTreeMap<VersionId, Version>,
    current: Option<VersionId>,
    served: Vec<ServedText>,
    foreign: u32,
    /// Every version that was staged.
    staged: Vec<VersionId>,
}

struct ServedText {
    version: VersionId,
    text: Zeroizing<String>,
    since: Timestamp,
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

    fn serve(&mut self, version: &VersionId, since: Timestamp) {
        if let Some(served) = self.versions.get_mut(version) {
            served.pending = false;
            self.served.push(ServedText { version: version.clone(), text: served.text.clone(), since });
            self.current = Some(version.clone());
        }
    }

    /// What was current at `as_of`, and before that.
    fn current(&self, as_of: Timestamp) -> (Option<&VersionId>, Option<&VersionId>) {
        let mut served = self.served.iter().rev().skip_while(|served| served.since > as_of);
        let mut next = || served.next().map(|served| &served.version);
        (next(), next())
    }
}

impl MemoryStore {
    #[must_use]
    pub fn new(first: FirstVersion) -> Self {
        Self { first, ..Self::default() }
    }

    /// A store whose answers may be old: see [`Self::read_late`].
    #[must_use]
    pub fn timed(first: FirstVersion, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { first, now: Some(Box::new(now)), ..Self::default() }
    }

    fn now(&self) -> Timestamp {
        self.now.as_ref().map_or(Timestamp::UNIX_EPOCH, |now| now())
    }

    fn as_of(&self, lag: SignedDuration) -> Timestamp {
        if lag.is_zero() { Timestamp::MAX } else { later(self.now(), -lag) }
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
        secret.serve(&version, self.now());
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
            secret.serve(version, self.now());
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
        let standing = |served: &ServedText| Served {
            version: Some(served.version.clone()),
            fingerprint: secret_text::extract(destination, &served.text).map(|value| value.fingerprint()),
        };
        served.iter().map(standing).collect()
    }

    /// Every version that was ever staged, in order.
    #[must_use]
    pub fn staged(&self, secret: &str) -> Vec<VersionId> {
        self.lock().get(secret).map(|secret| secret.staged.clone()).unwrap_or_default()
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

/// The port's methods where the answers about what is current are older than they are asked for by `lag`. Versions are
/// found at once, and what is written is written to what is there now: so does AWS.
impl MemoryStore {
    /// # Errors
    /// As of [`SecretStore::preflight`].
    pub fn preflight_late(&self, destination: &Destination, lag: SignedDuration) -> Result<Served, Failure> {
        let secrets = self.lock();
        let Some(secret) = secrets.get(&destination.secret) else {
            return if destination.create { Ok(Served::default()) } else { Err(absent(destination)) };
        };
        let (Some(current), _) = secret.current(self.as_of(lag)) else {
            return Ok(Served::default());
        };
        let text = secret.text(current).unwrap_or_default();
        secret_text::compose(destination, Some(text), "placeholder")?;
        let value = secret_text::extract(destination, text);
        Ok(StoredVersion::served(Some(&StoredVersion { version: current.clone(), value })))
    }

    /// # Errors
    /// As of [`SecretStore::stage`].
    pub fn stage_late(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
        lag: SignedDuration,
    ) -> Result<Staged, Failure> {
        let mut secrets = self.lock();
        if !destination.create && !secrets.contains_key(&destination.secret) {
            return Err(absent(destination));
        }
        let secret = secrets.entry(destination.secret.clone()).or_default();
        let (over, before) = secret.current(self.as_of(lag));
        if let Some(there) = secret.versions.get(version) {
            let same = secret_text::extract(destination, &there.text).is_some_and(|old| old.matches(value));
            // AWS does not say what a version was made over: it has to be found among what it shows.
            let found = lag.is_zero() || [over, before, Some(version)].contains(&there.over.as_ref());
            return if same && found {
                Ok(Staged { over: there.over.clone() })
            } else {
                Err(taken(destination, version))
            };
        }
        let over = over.cloned();
        let base = over.as_ref().and_then(|over| secret.text(over));
        let text = secret_text::compose(destination, base, value.expose())?;
        secret.versions.insert(version.clone(), Version { text, over: over.clone(), pending: true });
        secret.staged.push(version.clone());
        if secret.current.is_none() && self.first == FirstVersion::Current {
            secret.serve(version, self.now());
        }
        Ok(Staged { over })
    }

    /// Reads a version, or what was current that long ago.
    #[must_use]
    pub fn read_late(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
        lag: SignedDuration,
    ) -> Option<StoredVersion> {
        let secrets = self.lock();
        let secret = secrets.get(&destination.secret)?;
        let id = match which {
            VersionRef::Current => secret.current(self.as_of(lag)).0?,
            VersionRef::Version(version) => version,
        };
        let text = secret.text(id)?;
        Some(StoredVersion { version: id.clone(), value: secret_text::extract(destination, text) })
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    async fn identity(&self, destination: &Destination) -> Result<String, Failure> {
        Ok(format!("{:p}:{}", self, destination.secret))
    }

    async fn preflight(&self, destination: &Destination) -> Result<Served, Failure> {
        self.preflight_late(destination, SignedDuration::ZERO)
    }

    async fn stage(
        &self,
        destination: &Destination,
        version: &VersionId,
        value: &SecretValue,
    ) -> Result<Staged, Failure> {
        self.stage_late(destination, version, value, SignedDuration::ZERO)
    }

    async fn read(
        &self,
        destination: &Destination,
        which: VersionRef<'_>,
    ) -> Result<Option<StoredVersion>, Failure> {
        Ok(self.read_late(destination, which, SignedDuration::ZERO))
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
        secret.serve(version, self.now());
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
