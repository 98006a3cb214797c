//! The command line: one file per command.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser, Subcommand};

mod access_flags;
mod account;
#[cfg(test)]
mod advice;
mod agent;
mod agent_flags;
mod audit;
mod audit_compare;
mod bulk;
mod check;
mod commands;
mod completions;
mod confirm;
mod consumers;
mod contained;
mod daemon;
mod demo;
mod doctor;
mod examples;
mod exit;
mod forecast;
mod forget;
mod healthcheck;
mod history;
mod holds;
mod init;
mod journal;
mod manual;
mod notify;
mod paragraphs;
mod pid_one;
mod plan;
mod policy;
mod progress;
mod rehearse;
mod run;
mod sandbox;
mod schema;
mod selection;
mod source_flags;
mod status;
mod tether;
mod why;

use crate::cli::exit::CommandError;

#[derive(Parser)]
#[command(name = "rekeyd", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon: rotate the credentials of the policy
    Run(run::Arguments),
    /// Validate a policy and summarize it
    Check(check::Arguments),
    /// Draft a policy from a workspace's service accounts
    Init(init::Arguments),
    /// Check live dependencies and suggest fixes
    Doctor(doctor::Arguments),
    /// Print the policy's JSON Schema, for editors
    Schema(schema::Arguments),
    /// Run beside an application: follow its secrets, reload or restart it, and acknowledge
    Agent(Box<agent::Arguments>),
    /// Run an application that is killed when its agent dies
    #[command(hide = true)]
    Tethered(tether::Arguments),
    /// Run a program and end everything that it started
    #[command(hide = true)]
    Contained(contained::Arguments),
    /// Watch rotations, a crash and a recovery on this machine, without an account
    Demo(demo::Arguments),
    /// Run a simulated ElevenLabs workspace on this machine, for tests
    Sandbox(sandbox::Arguments),
    /// Show the status of every credential, the worst first
    Status(status::Arguments),
    /// Show which consumer uses which key, and when it was last seen
    Consumers(consumers::Arguments),
    /// Show the next rotation and its calls, without making them
    Plan(plan::Arguments),
    /// Show upcoming rotations, and warn if the schedule cannot be kept
    Forecast(forecast::Arguments),
    /// Simulate the policy over many days, with slow consumers and crashes
    Rehearse(rehearse::Arguments),
    /// Show the past rotations of a credential
    History(history::Arguments),
    /// Show, verify or export the audit log
    Audit(Box<audit::Arguments>),
    /// Rotate a credential now, regardless of its schedule
    Rotate(commands::Rotate),
    /// Resume a parked rotation, or end the wait after a failure
    Retry(commands::Retry),
    /// Cancel a rotation whose new key is not in use yet
    Abort(commands::ForCredentials),
    /// Roll back to the old key
    Rollback(commands::Rollback),
    /// Confirm that consumers use the new key, so that the old one may be revoked
    Confirm(commands::ForCredentials),
    /// Re-enable a disabled old key at once, and park the rotation
    Reinstate(commands::ForCredential),
    /// Accept out-of-band changes of a key's permissions, limits and sibling keys
    Accept(commands::ForCredentials),
    /// Rebuild a damaged credential record from the journal's events
    Repair(commands::ForCredential),
    /// Pause key creation, revocation, or both
    Pause(holds::Pause),
    /// Lift a pause, or reset a tripped breaker
    Resume(holds::Resume),
    /// Reload the policy; an invalid one is refused and the old one stays in force
    Reload(commands::ForDaemon),
    /// Create a service account in a workspace
    Account(account::Arguments),
    /// Name a destination that left the policy no longer: its value was removed
    Forget(forget::Arguments),
    /// Look for orphaned keys now
    Sweep(commands::ForDaemon),
    /// Test the notification channels
    Notify(notify::Arguments),
    /// Check the daemon's health, for containers
    Healthcheck(healthcheck::Arguments),
    /// Generate shell completions
    Completions(completions::Arguments),
    /// Write the manual pages
    Man(manual::Arguments),
}

/// Whether the arguments, which do not parse, ask for JSON.
fn wants_json(words: impl Iterator<Item = OsString>) -> bool {
    let mut words = words.take_while(|word| word != "--").peekable();
    while let Some(word) = words.next() {
        if word == "--output=json" || (word == "--output" && words.peek().is_some_and(|it| it == "json")) {
            return true;
        }
    }
    false
}

/// Whether these words, with the program's name first, parse as a command line.
///
/// # Errors
/// The parser's message.
pub fn understands<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    match examples::command().try_get_matches_from(words) {
        Err(error) if error.use_stderr() => Err(error.to_string()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let parsed = examples::command().try_get_matches().and_then(|it| Arguments::from_arg_matches(&it));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && wants_json(std::env::args_os()) => {
            return CommandError::usage(error.render().to_string().trim_end()).report(true);
        }
        Err(error) => error.exit(),
    };
    match arguments.command {
        Command::Run(arguments) => pid_one::reaping(|| run::run(&arguments)),
        Command::Check(arguments) => check::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Agent(arguments) => pid_one::reaping(|| agent::run(&arguments)),
        Command::Tethered(arguments) => tether::run(&arguments),
        Command::Contained(arguments) => contained::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Consumers(arguments) => consumers::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Forecast(arguments) => forecast::run(&arguments),
        Command::Rehearse(arguments) => rehearse::run(&arguments),
        Command::History(arguments) => history::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Rotate(arguments) => commands::rotate(&arguments),
        Command::Retry(arguments) => commands::retry(&arguments),
        Command::Abort(arguments) => commands::abort(&arguments),
        Command::Rollback(arguments) => commands::roll_back(&arguments),
        Command::Confirm(arguments) => commands::confirm(&arguments),
        Command::Reinstate(arguments) => commands::reinstate(&arguments),
        Command::Accept(arguments) => commands::accept(&arguments),
        Command::Repair(arguments) => commands::repair(&arguments),
        Command::Pause(arguments) => holds::pause(&arguments),
        Command::Resume(arguments) => holds::resume(&arguments),
        Command::Reload(arguments) => commands::reload(&arguments),
        Command::Account(arguments) => account::run(&arguments),
        Command::Forget(arguments) => forget::run(&arguments),
        Command::Sweep(arguments) => commands::sweep(&arguments),
        Command::Notify(arguments) => notify::run(&arguments),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => manual::run(&arguments),
    }
}
