//! `rekeyd tethered`: becomes an application that the kernel kills when the agent that started it dies, however it
//! dies. For `rekeyd agent --exec` alone: only the process itself can tie itself so, before it becomes another program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, ExitCode};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::cli::exit::{self, Exit};

/// What shells say of a program that is not there, and of one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The agent's process number
    #[arg(long)]
    parent: u32,
    #[arg(last = true, required = true)]
    app: Vec<OsString>,
}

/// Does not return if all goes well.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return exit::because(Exit::Failed, &format!("cannot be tied to the agent: {error}"));
    }
    if parent_id() != arguments.parent {
        return exit::because(Exit::Failed, &"the agent is gone already: the application is not started");
    }
    let Some((program, words)) = arguments.app.split_first() else { return Exit::Usage.into() };
    let error = Command::new(program).args(words).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
    let shown = program.to_string_lossy();
    exit::because(Exit::Failed, &format!("the application `{shown}` cannot be started: {error}"));
    code.into()
}
