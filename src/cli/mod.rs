//! What a person types: one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod history;
mod journal;
mod moments;
mod sandbox;
mod status;

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
    /// Show how every credential fares, the worst first, straight from the journal
    Status(status::Arguments),
    /// Show what happened to a credential, straight from the journal
    History(history::Arguments),
}

/// Parses the command line, runs the command and says how it went.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::History(arguments) => history::run(&arguments),
    }
}
