//! What a person types: one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod sandbox;

#[derive(Parser)]
#[command(name = "rekeyd", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run an ElevenLabs workspace on this machine, for rehearsals and tests
    Sandbox(sandbox::Arguments),
}

/// Parses the command line, runs the command and says how it went.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Sandbox(arguments) => sandbox::run(&arguments),
    }
}
