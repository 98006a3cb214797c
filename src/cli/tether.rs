//! `rekeyd tethered`: runs an application that the kernel kills when its agent dies. Only `rekeyd agent --exec` uses it:
//! a process must set its own parent-death signal before it executes another program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, ExitCode};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::cli::exit::{self, Exit};

/// The exit codes of shells for a missing program, and for one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// PID of the agent
    #[arg(long)]
    parent: u32,
    #[arg(last = true, required = true)]
    app: Vec<OsString>,
}

/// Returns only on failure.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return exit::because(Exit::CommandError, &format!("cannot set the parent-death signal: {error}"));
    }
    if parent_id() != arguments.parent {
        return exit::because(
            Exit::CommandError,
            &"the agent has already exited; the application is not started",
        );
    }
    let Some((program, words)) = arguments.app.split_first() else { return Exit::Usage.into() };
    let error = Command::new(program).args(words).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
    let shown = program.to_string_lossy();
    exit::because(Exit::CommandError, &format!("cannot start the application `{shown}`: {error}"));
    code.into()
}
