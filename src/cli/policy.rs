//! Where commands find the policy: `--policy`, then `$REKEYD_POLICY`, then the path of the packages, so that a suggested
//! command works as written.

use std::path::{Path, PathBuf};

use crate::cli::exit::CommandError;
use crate::config::Config;
use crate::config::components::JournalConfig;
use crate::config::defaults;
use crate::config_file::diagnostic::Diagnostics;
use crate::config_file::environment::{Environment, ProcessEnvironment};

/// The path in packages, the unit and the image.
pub(super) const INSTALLED: &str = "/etc/rekeyd/policy.toml";
const VARIABLE: &str = "REKEYD_POLICY";

#[derive(clap::Args)]
pub(super) struct PolicyArgument {
    /// Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl PolicyArgument {
    pub(super) fn path(&self) -> PathBuf {
        chosen(self.policy.as_deref())
    }

    /// # Errors
    /// The policy has errors or is missing.
    pub(super) fn load(&self) -> Result<Config, CommandError> {
        load(&self.path())
    }
}

/// The policy's path, with the argument if there is one.
pub(super) fn chosen(named: Option<&Path>) -> PathBuf {
    named.map(Path::to_owned).or_else(by_environment).unwrap_or_else(|| PathBuf::from(INSTALLED))
}

pub(super) fn by_environment() -> Option<PathBuf> {
    ProcessEnvironment.read(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// # Errors
/// As of [`PolicyArgument::load`].
pub(super) fn load(path: &Path) -> Result<Config, CommandError> {
    Config::load_file(path).map_err(|problems| unusable(path, &problems))
}

pub(super) fn unusable(path: &Path, problems: &Diagnostics) -> CommandError {
    let failed = CommandError::policy(problems);
    if path.exists() {
        return failed;
    }
    failed.with_advice("pass --policy, or set REKEYD_POLICY")
}

/// The journal that an invalid policy names; `None` if it names none that exists.
pub(super) fn journal_in_spite_of_errors(policy: &Path) -> Option<JournalConfig> {
    let text = std::fs::read_to_string(policy).ok();
    let named = text.and_then(|text| JournalConfig::salvaged(&text));
    let installed =
        || (policy == Path::new(INSTALLED)).then(|| JournalConfig::at(Path::new(defaults::JOURNAL)));
    named.or_else(installed).filter(|journal| journal.file().is_none_or(Path::exists))
}
