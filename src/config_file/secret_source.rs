//! Where a secret is to be found: the policy only ever refers to secrets, and they are read when they are needed.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::config_file::environment::Environment;
use crate::current_read::reading_file;
use crate::domain::secret::{BadSecret, SecretValue};
use crate::plain_file;

const FILE_BYTES_MAX: u64 = 64 * 1024;
const READABLE_BY_OTHERS: u32 = 0o077;

/// A reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretSource {
    /// A credential that systemd handed to the unit: `$CREDENTIALS_DIRECTORY/NAME`.
    SystemdCredential(String),
    File(PathBuf),
    EnvironmentVariable(String),
}

/// Why a secret could not be read. Names the reference, never what it holds.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(
        "cannot read {place}: systemd passed no credentials to this process (LoadCredential= in the unit)"
    )]
    NoCredentials { place: SecretSource },
    #[error("cannot read {place}: it is not set")]
    Unset { place: SecretSource },
    #[error("cannot read {place}")]
    Io {
        place: SecretSource,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot use {place}: not UTF-8 text")]
    NotText { place: SecretSource },
    #[error("cannot use {place}")]
    Unfit {
        place: SecretSource,
        #[source]
        source: BadSecret,
    },
}

impl SecretSource {
    /// Reads the secret, now: a file that was replaced gives its new content. White space around it is no part of it.
    ///
    /// # Errors
    /// Says which reference could not be read, and why. Nothing is kept of what was read.
    pub fn read(&self, environment: &dyn Environment) -> Result<SecretValue, Unreadable> {
        let place = || self.clone();
        let text = match self {
            Self::EnvironmentVariable(name) => {
                Zeroizing::new(environment.read(name).ok_or_else(|| Unreadable::Unset { place: place() })?)
            }
            Self::SystemdCredential(_) | Self::File(_) => {
                let path =
                    self.path(environment).ok_or_else(|| Unreadable::NoCredentials { place: place() })?;
                let bytes = plain_file::read(&path, FILE_BYTES_MAX)
                    .map_err(|source| Unreadable::Io { place: place(), source })?;
                let text = std::str::from_utf8(&bytes).map_err(|_| Unreadable::NotText { place: place() })?;
                Zeroizing::new(text.to_owned())
            }
        };
        SecretValue::new(text.trim().to_owned())
            .map_err(|source| Unreadable::Unfit { place: place(), source })
    }

    /// The mode of the file that holds the secret, if others than its owner may use it. A file that cannot be looked
    /// at is no finding: the policy may be checked on another machine.
    #[must_use]
    pub fn exposure(&self) -> Option<u32> {
        let Self::File(path) = self else { return None };
        reading_file(path);
        let mode = path.metadata().ok()?.permissions().mode() & 0o777;
        (mode & READABLE_BY_OTHERS != 0).then_some(mode)
    }

    fn path(&self, environment: &dyn Environment) -> Option<PathBuf> {
        match self {
            Self::SystemdCredential(name) => {
                environment.read("CREDENTIALS_DIRECTORY").map(|directory| PathBuf::from(directory).join(name))
            }
            Self::File(path) => Some(path.clone()),
            Self::EnvironmentVariable(_) => None,
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SystemdCredential(name) => write!(f, "the systemd credential `{name}`"),
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::EnvironmentVariable(name) => write!(f, "the environment variable `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn failure(source: &SecretSource, environment: &dyn Environment) -> String {
        let Err(error) = source.read(environment) else { panic!("it was read") };
        format!("{error} {error:?}")
    }

    #[test]
    fn each_kind_of_reference_is_read_without_its_final_newline() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("admin"), "sk_planted\n").unwrap();
        let environment = BTreeMap::from([
            ("TOKEN".to_owned(), "sk_planted".to_owned()),
            ("CREDENTIALS_DIRECTORY".to_owned(), directory.path().to_str().unwrap().to_owned()),
        ]);
        for source in [
            SecretSource::EnvironmentVariable("TOKEN".to_owned()),
            SecretSource::SystemdCredential("admin".to_owned()),
            SecretSource::File(directory.path().join("admin")),
        ] {
            assert_eq!(source.read(&environment).map(|it| it.expose().to_owned()).unwrap(), "sk_planted");
        }
    }

    #[test]
    fn an_error_names_the_reference_and_never_the_content() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("two"), "planted words").unwrap();
        std::fs::write(directory.path().join("binary"), b"planted\xff").unwrap();
        let environment = BTreeMap::from([("BAD".to_owned(), "planted words".to_owned())]);
        for (source, expected) in [
            (SecretSource::EnvironmentVariable("BAD".to_owned()), "variable `BAD`"),
            (SecretSource::EnvironmentVariable("NONE".to_owned()), "variable `NONE`: it is not set"),
            (SecretSource::SystemdCredential("admin".to_owned()), "credential `admin`: systemd passed no"),
            (SecretSource::File(directory.path().join("two")), "two`"),
            (SecretSource::File(directory.path().join("binary")), "not UTF-8 text"),
            (SecretSource::File(directory.path().join("none")), "none`"),
        ] {
            let text = failure(&source, &environment);
            assert!(text.contains(expected) && !text.contains("planted"), "{text}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_found_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "x").unwrap();
        for (mode, expected) in [(0o600, None), (0o400, None), (0o640, Some(0o640)), (0o604, Some(0o604))] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(SecretSource::File(path.clone()).exposure(), expected);
        }
    }
}
