//! What the agent holds: the newest value of every secret, and the files and variables by which the application gets
//! them. A value that cannot be had again stays; nothing here ever takes a file away.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::agent::output_file::OutputFile;
use crate::domain::ids::CredentialName;
use crate::domain::secret::{Fingerprint, SecretValue};

/// How the application gets one secret.
pub struct CachedSecret {
    pub name: CredentialName,
    pub to: Option<OutputFile>,
    pub variable: Option<String>,
    pub path_variable: Option<String>,
}

pub(super) struct SecretCache {
    secrets: BTreeMap<CredentialName, CachedSecret>,
    env_file: Option<OutputFile>,
    values: Mutex<BTreeMap<CredentialName, SecretValue>>,
}

/// Why a value could not be put where the application reads it.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("cannot write `{path}`")]
    Write { path: String, source: std::io::Error },
    #[error("cannot write `{path}`: the value of `{name}` has a quote in it, which env files cannot hold")]
    Quote { path: String, name: CredentialName },
}

impl SecretCache {
    pub(super) fn new(secrets: Vec<CachedSecret>, env_file: Option<OutputFile>) -> Self {
        let secrets = secrets.into_iter().map(|it| (it.name.clone(), it)).collect();
        Self { secrets, env_file, values: Mutex::default() }
    }

    /// How many secrets there are.
    pub(super) fn count(&self) -> usize {
        self.secrets.len()
    }

    /// Takes up what an earlier life wrote last, and removes what it did not finish.
    pub(super) fn restore(&self) {
        let mut values = self.values();
        let places = self.secrets.values().filter_map(|it| it.to.as_ref()).chain(&self.env_file);
        for place in places {
            if let Err(error) = place.clear() {
                tracing::warn!(path = %place.path.display(), %error, "what was left unfinished beside it stays");
            }
        }
        for secret in self.secrets.values() {
            let Some(place) = &secret.to else { continue };
            let read = place.read().map(|content| {
                let text = content.and_then(|content| String::from_utf8(content.to_vec()).ok());
                text.and_then(|text| SecretValue::new(text).ok())
            });
            match read {
                Ok(Some(value)) => {
                    values.insert(secret.name.clone(), value);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(secret = %secret.name, path = %place.path.display(), %error,
                        "the last good file cannot be read");
                }
            }
        }
    }

    pub(super) fn fingerprint(&self, name: &CredentialName) -> Option<Fingerprint> {
        self.values().get(name).map(SecretValue::fingerprint)
    }

    /// Puts a value where the application reads it. May be repeated; where it stands already nothing is written.
    ///
    /// # Errors
    /// What was there before may be there still; that of another file may be new.
    pub(super) fn put(&self, name: &CredentialName, value: SecretValue) -> Result<Fingerprint, WriteError> {
        let fingerprint = value.fingerprint();
        let mut values = self.values();
        if let Some(place) = self.secrets.get(name).and_then(|secret| secret.to.as_ref()) {
            write(place, value.expose().as_bytes())?;
        }
        values.insert(name.clone(), value);
        if let Some(place) = &self.env_file
            && let Some(lines) = self.lines(&values, place)?
        {
            write(place, lines.as_bytes())?;
        }
        Ok(fingerprint)
    }

    /// The env file's text, once every secret that belongs there is known.
    fn lines(
        &self,
        values: &BTreeMap<CredentialName, SecretValue>,
        place: &OutputFile,
    ) -> Result<Option<Zeroizing<String>>, WriteError> {
        let named = self.secrets.values().filter_map(|it| Some((it, it.variable.as_ref()?)));
        let mut lines = Zeroizing::new(String::with_capacity(self.secrets.len().saturating_mul(8192)));
        for (secret, variable) in named {
            let Some(value) = values.get(&secret.name) else { return Ok(None) };
            let value = value.expose();
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-./+=:@%,".contains(c);
            let quote = if value.chars().all(plain) { "" } else { "'" };
            if !quote.is_empty() && value.contains(['\'', '\\']) {
                let name = secret.name.clone();
                return Err(WriteError::Quote { path: place.path.display().to_string(), name });
            }
            for part in [variable, "=", quote, value, quote, "\n"] {
                lines.push_str(part);
            }
        }
        Ok(Some(lines))
    }

    /// What an application that the agent starts finds in its environment.
    pub(super) fn variables(&self) -> Vec<(String, Zeroizing<String>)> {
        let values = self.values();
        let mut variables = Vec::new();
        for secret in self.secrets.values() {
            if let (Some(variable), Some(value)) = (&secret.variable, values.get(&secret.name)) {
                variables.push((variable.clone(), Zeroizing::new(value.expose().to_owned())));
            }
            if let (Some(variable), Some(place)) = (&secret.path_variable, &secret.to) {
                variables.push((variable.clone(), Zeroizing::new(place.path.display().to_string())));
            }
        }
        variables
    }

    pub(super) fn path(&self, name: &CredentialName) -> Option<&Path> {
        self.secrets.get(name)?.to.as_ref().map(|place| place.path.as_path())
    }

    /// Which key the application was last told of, in this life or an earlier one.
    pub(super) fn told(&self, name: &CredentialName) -> Option<Fingerprint> {
        let note = self.secrets.get(name)?.to.as_ref()?.beside("rekeyd-told");
        let text = std::fs::read_to_string(note).ok()?;
        Fingerprint::try_from(text.trim().to_owned()).ok()
    }

    /// While it is being told, nobody knows what it was told last.
    pub(super) fn forget_told(&self, name: &CredentialName) {
        let Some(place) = self.secrets.get(name).and_then(|secret| secret.to.as_ref()) else { return };
        let note = place.beside("rekeyd-told");
        match std::fs::remove_file(&note) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::error!(path = %note.display(), %error, "a restarted agent may not tell the application again");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Notes that it was told. If that is lost, it is told again.
    pub(super) fn note_told(&self, name: &CredentialName, fingerprint: &Fingerprint) {
        let Some(place) = self.secrets.get(name).and_then(|secret| secret.to.as_ref()) else { return };
        let note = place.beside("rekeyd-told");
        if let Err(error) = std::fs::write(&note, format!("{fingerprint}\n")) {
            tracing::warn!(path = %note.display(), %error, "a restarted agent will tell the application again");
        }
    }

    fn values(&self) -> MutexGuard<'_, BTreeMap<CredentialName, SecretValue>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(place: &OutputFile, content: &[u8]) -> Result<(), WriteError> {
    place
        .write(content)
        .map_err(|source| WriteError::Write { path: place.path.display().to_string(), source })
}
