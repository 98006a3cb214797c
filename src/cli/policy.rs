//! Which policy a command is about: the one that is named, else the one of `$REKEYD_POLICY`, else where packages put it.
//! So what a message advises to type works as it stands.

use std::path::{Path, PathBuf};

use crate::cli::exit::Failed;
use crate::config::Config;
use crate::config::defaults;
use crate::config_file::diagnostic::Diagnostics;
use crate::config_file::environment::{Environment, ProcessEnvironment};

/// Where packages, the unit and the image have it.
pub(super) const INSTALLED: &str = "/etc/rekeyd/policy.toml";
const VARIABLE: &str = "REKEYD_POLICY";

#[derive(clap::Args)]
pub(super) struct OfPolicy {
    /// The policy; by default $REKEYD_POLICY, else /etc/rekeyd/policy.toml
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl OfPolicy {
    pub(super) fn path(&self) -> PathBuf {
        chosen(self.policy.as_deref())
    }

    /// # Errors
    /// It has errors, or is not there.
    pub(super) fn load(&self) -> Result<Config, Failed> {
        load(&self.path())
    }
}

/// The policy that is meant, if this one is named.
pub(super) fn chosen(named: Option<&Path>) -> PathBuf {
    named.map(Path::to_owned).or_else(by_environment).unwrap_or_else(|| PathBuf::from(INSTALLED))
}

pub(super) fn by_environment() -> Option<PathBuf> {
    ProcessEnvironment.read(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// # Errors
/// As of [`OfPolicy::load`].
pub(super) fn load(path: &Path) -> Result<Config, Failed> {
    Config::load_file(path).map_err(|problems| unusable(path, &problems))
}

pub(super) fn unusable(path: &Path, problems: &Diagnostics) -> Failed {
    let failed = Failed::policy(problems);
    if path.exists() {
        return failed;
    }
    failed.with_advice("name the policy with --policy, or set REKEYD_POLICY")
}

/// The journal that a policy names which cannot be used as a whole; `None` if it cannot be told, or is not there.
pub(super) fn journal_in_spite_of_errors(policy: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(policy).ok();
    let table = text.and_then(|text| text.parse::<toml::Table>().ok());
    let keys = ["daemon", "journal", "sqlite", "path"];
    let named = table.and_then(|table| {
        let found = keys.iter().try_fold(toml::Value::Table(table), |at, key| at.get(key).cloned());
        found?.as_str().map(PathBuf::from)
    });
    let installed = || (policy == Path::new(INSTALLED)).then(|| PathBuf::from(defaults::JOURNAL));
    named.or_else(installed).filter(|path| path.exists())
}
