//! What a person types: one file per command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod check;
mod demo;
mod exit;
mod history;
mod journal;
mod moments;
mod run;
mod sandbox;
mod schema;
mod status;

#[derive(Parser)]
#[command(name = "rekeyd", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Keep the keys of a policy fresh, until told to stop
    Run(run::Arguments),
    /// Report every problem of a policy, or say what it means
    Check(check::Arguments),
    /// Print the JSON Schema of the policy, for editors
    Schema(schema::Arguments),
    /// Watch rotations, a crash and a recovery on this machine: no account, no cloud
    Demo(demo::Arguments),
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
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::History(arguments) => history::run(&arguments),
    }
}
