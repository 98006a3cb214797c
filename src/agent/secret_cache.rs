//! The newest value of every secret, and the files and variables by which the application gets it. A value stays when its
//! source becomes unreadable; no file with a secret is ever removed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::agent::output_file::OutputFile;
use crate::domain::ids::CredentialName;
use crate::domain::secret::{Fingerprint, SecretValue};

/// Suffix of the hidden file with the fingerprint that the application was last notified of.
const NOTE: &str = "rekeyd-notified";
/// The note, and its earlier name in case an older agent left one.
const NOTES: [&str; 2] = [NOTE, "rekeyd-told"];

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

/// Why a value could not be written for the application.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("cannot write `{path}`")]
    Write { path: String, source: std::io::Error },
    #[error(
        "cannot write `{path}`: the value of `{name}` has a quote or a backslash in it, which env files cannot hold"
    )]
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

    /// Reads the files that an earlier process wrote, and removes its unfinished ones.
    pub(super) fn restore(&self) {
        let mut values = self.values();
        let files = self.secrets.values().filter_map(|it| it.to.as_ref()).chain(&self.env_file);
        for file in files {
            if let Err(error) = file.clear() {
                tracing::warn!(path = %file.path.display(), %error, "cannot remove the unfinished file beside it");
            }
        }
        for secret in self.secrets.values() {
            let Some(file) = &secret.to else { continue };
            let read = file.read().map(|content| {
                let text = content.and_then(|content| String::from_utf8(content.to_vec()).ok());
                text.and_then(|text| SecretValue::new(text).ok())
            });
            match read {
                Ok(Some(value)) => {
                    values.insert(secret.name.clone(), value);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(secret = %secret.name, path = %file.path.display(), %error,
                        "cannot read the last good file");
                }
            }
        }
    }

    pub(super) fn fingerprint(&self, name: &CredentialName) -> Option<Fingerprint> {
        self.values().get(name).map(SecretValue::fingerprint)
    }

    /// Writes a value for the application. May be repeated; a file that has the value already is not written.
    ///
    /// # Errors
    /// Each file has its old content or its new one.
    pub(super) fn put(&self, name: &CredentialName, value: SecretValue) -> Result<Fingerprint, WriteError> {
        let fingerprint = value.fingerprint();
        let mut values = self.values();
        if let Some(file) = self.file(name) {
            write(file, value.expose().as_bytes())?;
        }
        values.insert(name.clone(), value);
        if let Some(file) = &self.env_file
            && let Some(lines) = self.lines(&values, file)?
        {
            write(file, lines.as_bytes())?;
        }
        Ok(fingerprint)
    }

    /// The text of the env file, once every secret in it is known.
    fn lines(
        &self,
        values: &BTreeMap<CredentialName, SecretValue>,
        file: &OutputFile,
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
                return Err(WriteError::Quote { path: file.path.display().to_string(), name });
            }
            for part in [variable, "=", quote, value, quote, "\n"] {
                lines.push_str(part);
            }
        }
        Ok(Some(lines))
    }

    /// The environment variables for an application that the agent starts.
    pub(super) fn variables(&self) -> Vec<(String, Zeroizing<String>)> {
        let values = self.values();
        let mut variables = Vec::new();
        for secret in self.secrets.values() {
            if let (Some(variable), Some(value)) = (&secret.variable, values.get(&secret.name)) {
                variables.push((variable.clone(), Zeroizing::new(value.expose().to_owned())));
            }
            if let (Some(variable), Some(file)) = (&secret.path_variable, &secret.to) {
                variables.push((variable.clone(), Zeroizing::new(file.path.display().to_string())));
            }
        }
        variables
    }

    pub(super) fn path(&self, name: &CredentialName) -> Option<&Path> {
        self.file(name).map(|file| file.path.as_path())
    }

    /// The key that the application was last notified of, by this process or an earlier one.
    pub(super) fn notified(&self, name: &CredentialName) -> Option<Fingerprint> {
        let file = self.file(name)?;
        let text = NOTES.iter().find_map(|note| std::fs::read_to_string(file.beside(note)).ok())?;
        Fingerprint::try_from(text.trim().to_owned()).ok()
    }

    /// Before a notification: until it succeeded, the last one that the application got is unknown.
    pub(super) fn clear_notified(&self, name: &CredentialName) {
        let Some(file) = self.file(name) else { return };
        for note in NOTES.map(|note| file.beside(note)) {
            match std::fs::remove_file(&note) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::error!(path = %note.display(), %error,
                        "cannot remove the note of the last notification: a restarted agent may not notify again");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Records a notification. If the record is lost, the application is notified again.
    pub(super) fn record_notified(&self, name: &CredentialName, fingerprint: &Fingerprint) {
        let Some(file) = self.file(name) else { return };
        let note = file.beside(NOTE);
        if let Err(error) = std::fs::write(&note, format!("{fingerprint}\n")) {
            tracing::warn!(path = %note.display(), %error,
                "cannot record the notification: a restarted agent will notify again");
        }
    }

    fn file(&self, name: &CredentialName) -> Option<&OutputFile> {
        self.secrets.get(name)?.to.as_ref()
    }

    fn values(&self) -> MutexGuard<'_, BTreeMap<CredentialName, SecretValue>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(file: &OutputFile, content: &[u8]) -> Result<(), WriteError> {
    file.write(content).map_err(|source| WriteError::Write { path: file.path.display().to_string(), source })
}
