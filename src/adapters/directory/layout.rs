//! The layout of the directory, and which names of secrets it accepts. Pure.
//!
//! ```text
//! PATH/prod/tts                     what consumers read: a link to a version, replaced in one rename
//! PATH/.rekeyd/prod+tts/VERSION     one version, exactly as consumers read it
//! PATH/.rekeyd/prod+tts/VERSION.meta    the version it replaces, its hash, whether it is pending
//! PATH/.rekeyd/prod+tts/.previous   a link to the previous version
//! PATH/.rekeyd/.lock, .tmp/         the lock of the one writer; unfinished files
//! PATH/.rekeyd/.owner               the lock that a daemon holds as long as it lives
//! ```

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;

/// The subdirectory that only rekeyd uses.
pub(super) const HIDDEN: &str = ".rekeyd";
const SECRET_CHARACTERS_MAX: usize = 200;
const VERSION_CHARACTERS_MAX: usize = 100;
/// The version id of a content that another program wrote is this prefix and its hash.
const FOREIGN: &str = "sha256-";

/// The paths of one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretPaths {
    root: PathBuf,
    components: Vec<String>,
    /// The directory with the secret's versions.
    pub(super) versions: PathBuf,
}

impl SecretPaths {
    /// # Errors
    /// `Invalid`: the name could lead out of the directory, or into `.rekeyd`.
    pub(super) fn of(root: &Path, destination: &Destination) -> Result<Self, Failure> {
        let secret = &destination.secret;
        let components: Vec<String> = secret.split('/').map(str::to_owned).collect();
        if secret.len() > SECRET_CHARACTERS_MAX || !components.iter().all(|component| is_plain(component)) {
            let rule = "a secret's name in a directory is made of a-z, A-Z, 0-9, `-`, `_`, `.` and `@`, in parts \
                        joined by `/` that begin with a letter, a digit or `_`";
            let message =
                format!("cannot use {destination}: {rule}, at most {SECRET_CHARACTERS_MAX} characters");
            return Err(Failure::rejected(Kind::Invalid, message));
        }
        let versions = root.join(HIDDEN).join(components.join("+"));
        Ok(Self { root: root.to_owned(), components, versions })
    }

    /// What consumers read.
    pub(super) fn served(&self) -> PathBuf {
        self.components.iter().fold(self.root.clone(), |path, component| path.join(component))
    }

    /// The directories between the root and what consumers read, outermost first.
    pub(super) fn parents(&self) -> Vec<PathBuf> {
        let within = self.components.iter().take(self.components.len().saturating_sub(1));
        within
            .scan(self.root.clone(), |path, component| {
                path.push(component);
                Some(path.clone())
            })
            .collect()
    }

    /// The target of the link that consumers follow: relative, so that it works in every mount of the directory.
    pub(super) fn target(&self, version: &VersionId) -> PathBuf {
        let up = "../".repeat(self.components.len().saturating_sub(1));
        PathBuf::from(format!("{up}{HIDDEN}/{}/{version}", self.components.join("+")))
    }

    /// The version that a link points to; `None` if rekeyd did not make the link.
    pub(super) fn version_of(&self, target: &Path) -> Option<VersionId> {
        let version = VersionId::new(target.file_name()?.to_str()?).ok()?;
        (self.target(&version) == target && is_version(version.as_str())).then_some(version)
    }

    pub(super) fn version(&self, version: &VersionId) -> Option<PathBuf> {
        is_version(version.as_str()).then(|| self.versions.join(version.as_str()))
    }

    pub(super) fn meta(&self, version: &VersionId) -> PathBuf {
        self.versions.join(format!("{version}.meta"))
    }

    pub(super) fn previous(&self) -> PathBuf {
        self.versions.join(".previous")
    }
}

/// Whether a file name is that of a version.
pub(super) fn is_version(name: &str) -> bool {
    name.len() <= VERSION_CHARACTERS_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_plain(component: &str) -> bool {
    component.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && component.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'))
}

pub(super) fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The version id of a content that another program wrote.
pub(super) fn foreign(content: &[u8]) -> Result<VersionId, Failure> {
    VersionId::new(format!("{FOREIGN}{}", hash(content)))
        .map_err(|bad| Failure::rejected(Kind::Garbled, format!("cannot name a foreign version: {bad}")))
}

/// The hash in a foreign version's id.
pub(super) fn hash_in(version: &VersionId) -> Option<&str> {
    version.as_str().strip_prefix(FOREIGN)
}

#[cfg(test)]
mod tests {
    use crate::domain::ids::StoreName;

    use super::*;

    fn places(secret: &str) -> Result<SecretPaths, Failure> {
        let store = StoreName::new("local").unwrap();
        SecretPaths::of(
            Path::new("/r"),
            &Destination {
                store,
                secret: secret.to_owned(),
                json_field: None,
                create: true,
                create_field: false,
            },
        )
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long = "x".repeat(SECRET_CHARACTERS_MAX + 1);
        for bad in [
            "", "/", "/etc/x", "a//b", "a/", "..", "a/../b", ".rekeyd", ".hidden", "a/.b", "a\0b", "a b",
            "a+b", &long,
        ] {
            assert_eq!(places(bad).unwrap_err().kind, Kind::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn links_are_relative_and_recognised() {
        let version = VersionId::new("0198c0de-0000-7000-8000-000000000001").unwrap();
        for (secret, served, target) in [
            ("tts", "/r/tts", ".rekeyd/tts/0198c0de-0000-7000-8000-000000000001"),
            ("a/b/c", "/r/a/b/c", "../../.rekeyd/a+b+c/0198c0de-0000-7000-8000-000000000001"),
        ] {
            let places = places(secret).unwrap();
            assert_eq!(places.served(), Path::new(served));
            assert_eq!(places.target(&version), Path::new(target));
            assert_eq!(places.version_of(Path::new(target)), Some(version.clone()));
            assert_eq!(places.version_of(Path::new("/etc/passwd")), None);
            assert_eq!(places.version_of(Path::new(".rekeyd/other/0198c0de")), None);
        }
        assert_eq!(places("a/b/c").unwrap().parents(), [Path::new("/r/a"), Path::new("/r/a/b")]);
        for bad in ["..", "a/b", "x.meta", ".previous", "a.b"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
