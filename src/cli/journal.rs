//! What the commands share that look into the journal: which one, in which form they tell, and at what time.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;

use crate::adapters::sqlite::{OpenError, ReadOnlyJournal, SqliteJournal};

#[derive(clap::Args)]
pub(super) struct Looking {
    /// The journal of the daemon; it may be running or not
    #[arg(long, value_name = "PATH")]
    journal: PathBuf,
    /// A table for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
    /// No colours, even on a terminal
    #[arg(long, env = "NO_COLOR", num_args = 0..=1, default_missing_value = "1", hide_env = true, value_name = "ANY")]
    no_color: Option<String>,
    /// The time to tell by, instead of the clock's
    #[arg(long, hide = true)]
    now: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
}

impl Looking {
    pub(super) fn open(&self) -> Result<ReadOnlyJournal, OpenError> {
        SqliteJournal::open_read_only(&self.journal)
    }

    #[expect(clippy::disallowed_methods, reason = "a command that only looks has no clock to be tested with")]
    pub(super) fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(Timestamp::now)
    }

    pub(super) fn colours(&self) -> bool {
        self.no_color.as_ref().is_none_or(String::is_empty) && io::stdout().is_terminal()
    }
}

/// Writes a command's answer. Whoever stops reading early, as `head` does, has read what was wanted.
pub(super) fn tell(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(error) => fail(&format!("write to the standard output: {error}")),
    }
}

/// Says why a command failed.
pub(super) fn fail(why: &impl std::fmt::Display) -> ExitCode {
    // Nothing is left to say it to if this fails too.
    drop(writeln!(io::stderr(), "rekeyd: {why}"));
    ExitCode::FAILURE
}

/// Some of what the journal holds was said by outside systems: it must not move a terminal's cursor.
pub(super) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
