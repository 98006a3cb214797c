//! `rekeyd completions`: shell completion scripts.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::cli::examples;
use crate::cli::journal::tell;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Shell to generate completions for
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut examples::command(), "rekeyd", &mut script);
    tell(&String::from_utf8_lossy(&script), ExitCode::SUCCESS)
}
