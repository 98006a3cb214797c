//! What the commands share that look into the journal: which one, in which form they tell, and at what time.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::exit::CommandError;
use crate::cli::policy;
use crate::config::Config;
use crate::config::components::JournalConfig;
use crate::domain::policy::Policy;
use crate::ports::journal::JournalReader;

#[derive(clap::Args)]
pub(super) struct Looking {
    /// The journal of the daemon, which may be running or not, or a copy; by default the one of the policy
    #[arg(long, value_name = "PATH")]
    journal: Option<PathBuf>,
    /// The policy of the daemon: says where the journal is, and which credentials there should be; by default
    /// $REKEYD_POLICY, else /etc/rekeyd/policy.toml, and none with --journal
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
    /// No colours, even on a terminal
    #[arg(long, env = "NO_COLOR", num_args = 0..=1, default_missing_value = "1", hide_env = true, value_name = "ANY")]
    no_color: Option<String>,
    /// The time to tell by, instead of the clock's
    #[arg(long, hide = true)]
    now: Option<Timestamp>,
}

/// What a command tells from. The policy is empty if none was named.
pub(super) struct Sources {
    pub(super) journal: Box<dyn JournalReader>,
    pub(super) policy: Policy,
    /// Of the daemon, as the policy says.
    pub(super) socket: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    #[value(alias = "text")]
    Table,
    Json,
}

impl Looking {
    /// # Errors
    /// Why the policy or the journal cannot be used.
    pub(super) fn open(&self) -> Result<Sources, CommandError> {
        let (journal, policy, socket) = match (&self.journal, &self.policy) {
            (Some(journal), None) => (JournalConfig::at(journal), Policy::default(), None),
            (journal, Some(policy)) => {
                let (of_policy, policy, socket) = parts(policy::load(policy)?);
                (journal.as_deref().map_or(of_policy, JournalConfig::at), policy, socket)
            }
            (None, None) => parts_of_chosen()?,
        };
        let journal = journal.open_read_only().map_err(CommandError::journal)?;
        Ok(Sources { journal, policy, socket })
    }

    #[expect(clippy::disallowed_methods, reason = "a command that only looks has no clock to be tested with")]
    pub(super) fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(Timestamp::now)
    }

    /// Says why the command failed, in the form that was asked for.
    pub(super) fn fail(&self, failed: &CommandError) -> ExitCode {
        failed.report(self.output == Output::Json)
    }

    pub(super) fn colours(&self) -> bool {
        self.no_color.as_ref().is_none_or(String::is_empty) && io::stdout().is_terminal()
    }
}

/// The journal, the policy, and where the daemon's socket is if that is known.
type Parts = (JournalConfig, Policy, Option<PathBuf>);

fn parts(config: Config) -> Parts {
    (config.daemon.journal, config.policy, Some(config.daemon.socket))
}

/// Nothing was named. What happened can be told even if the policy has errors by now, as when somebody has just edited
/// it: the daemon goes on with the one before.
fn parts_of_chosen() -> Result<Parts, CommandError> {
    let chosen = policy::chosen(None);
    match policy::load(&chosen) {
        Ok(config) => Ok(parts(config)),
        Err(failed) => {
            let journal = policy::journal_in_spite_of_errors(&chosen).ok_or(failed)?;
            let shown = chosen.display();
            let told = "the policy has errors, and this is told from the journal alone; next: rekeyd check";
            // Who cannot be told of it sees what the journal knows all the same.
            drop(writeln!(io::stderr(), "rekeyd: {shown}: {told} {shown}"));
            Ok((journal, Policy::default(), None))
        }
    }
}

/// A report as programs read it.
///
/// # Errors
/// It cannot be written so.
pub(super) fn as_json(report: &impl Serialize) -> Result<String, CommandError> {
    let told = serde_json::to_string_pretty(report);
    told.map(|json| json + "\n")
        .map_err(|error| CommandError::other(format!("write the report as JSON: {error}")))
}

/// Writes a command's answer. Whoever stops reading early, as `head` does, has read what was wanted.
pub(super) fn tell(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(error) => CommandError::other(format!("write to the standard output: {error}")).report(false),
    }
}
