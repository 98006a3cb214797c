//! What a person types: one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod check;
mod sandbox;
mod schema;

#[derive(Parser)]
#[command(name = "rekeyd", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Report every problem of a policy, or say what it means
    Check(check::Arguments),
    /// Print the JSON Schema of the policy, for editors
    Schema(schema::Arguments),
    /// Run an ElevenLabs workspace on this machine, for rehearsals and tests
    Sandbox(sandbox::Arguments),
}

/// Parses the command line, runs the command and says how it went.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Sandbox(arguments) => sandbox::run(&arguments),
    }
}
