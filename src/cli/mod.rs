//! What a person types: one file per command.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser, Subcommand};

#[cfg(test)]
mod advice;
mod agent;
mod agent_flags;
mod audit;
mod audit_compare;
mod check;
mod completions;
mod confirm;
mod consumers;
mod daemon;
mod demo;
mod doctor;
mod examples;
mod exit;
mod forecast;
mod healthcheck;
mod history;
mod holds;
mod init;
mod journal;
mod manual;
mod notify;
mod orders;
mod paragraphs;
mod plan;
mod policy;
mod progress;
mod rehearse;
mod run;
mod sandbox;
mod schema;
mod status;
mod tether;
mod why;

use crate::cli::exit::Failed;

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
    /// Write a first policy from what a workspace lists
    Init(init::Arguments),
    /// Look at everything that a policy needs, for real, and say what mends what is wrong; changes nothing
    Doctor(doctor::Arguments),
    /// Print the JSON Schema of the policy, for editors
    Schema(schema::Arguments),
    /// Follow secrets beside the application that uses them, tell or restart it, and acknowledge
    Agent(Box<agent::Arguments>),
    /// Start an application that ends with its agent
    #[command(hide = true)]
    Tethered(tether::Arguments),
    /// Watch rotations, a crash and a recovery on this machine: no account, no cloud
    Demo(demo::Arguments),
    /// Run an ElevenLabs workspace on this machine, for rehearsals and tests
    Sandbox(sandbox::Arguments),
    /// Show how every credential fares, the worst first, straight from the journal
    Status(status::Arguments),
    /// Show who uses which credential, with which key, and when it was last heard of, straight from the journal
    Consumers(consumers::Arguments),
    /// Tell what would be done now, and with which calls; makes none of them
    Plan(plan::Arguments),
    /// Tell what a policy will do in the time to come, and what of it cannot be kept; calls nothing
    Forecast(forecast::Arguments),
    /// Play the whole policy over many days in an imagined world: what will happen, and what cannot be kept; calls nothing
    Rehearse(rehearse::Arguments),
    /// Show what happened to a credential, straight from the journal
    History(history::Arguments),
    /// Show who did or decided what, and verify or export that
    Audit(Box<audit::Arguments>),
    /// Have a credential rotated now, whatever its schedule and window say
    Rotate(orders::Rotate),
    /// Let a parked rotation go on
    Retry(orders::Retry),
    /// Give up a rotation whose key is not in service yet
    Abort(orders::Abort),
    /// Put a credential's old key back into service
    Rollback(orders::Rollback),
    /// Have a disabled old key enabled again at once; its rotation is parked
    Reinstate(orders::OfOne),
    /// Take a key's permissions and limits as they are, and its account's other keys, for what they should be
    Accept(orders::OfOne),
    /// Have a damaged credential's record made anew from the journal's events
    Repair(orders::OfOne),
    /// Hold back that keys are created, revoked, or both; survives restarts
    Pause(holds::Pause),
    /// Lift a pause, or what a breaker has stopped
    Resume(holds::Resume),
    /// Have the daemon load its policy again; one with errors is refused and the old one stays in force
    Reload(orders::OfAll),
    /// Have the daemon look for keys that nobody answers for, now
    Sweep(orders::OfAll),
    /// Try the channels by which people are told
    Notify(notify::Arguments),
    /// Ask a daemon on this machine whether it is well, for containers
    Healthcheck(healthcheck::Arguments),
    /// Print what a shell needs to complete commands and options
    Completions(completions::Arguments),
    /// Write the manual, a page for each command
    Man(manual::Arguments),
}

/// Whether a program asked that cannot be understood otherwise.
fn wants_json(words: impl Iterator<Item = OsString>) -> bool {
    let mut words = words.take_while(|word| word != "--").peekable();
    while let Some(word) = words.next() {
        if word == "--output=json" || (word == "--output" && words.peek().is_some_and(|it| it == "json")) {
            return true;
        }
    }
    false
}

/// Whether these words, the first of which is the program, are a command line.
///
/// # Errors
/// What is said of them if they are none.
pub fn understands<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    match examples::command().try_get_matches_from(words) {
        Err(error) if error.use_stderr() => Err(error.to_string()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Parses the command line, runs the command and says how it went.
pub fn main() -> ExitCode {
    let parsed = examples::command().try_get_matches().and_then(|it| Arguments::from_arg_matches(&it));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && wants_json(std::env::args_os()) => {
            return Failed::usage(error.render().to_string().trim_end()).tell(true);
        }
        Err(error) => error.exit(),
    };
    match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Agent(arguments) => agent::run(&arguments),
        Command::Tethered(arguments) => tether::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Sandbox(arguments) => sandbox::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Consumers(arguments) => consumers::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Forecast(arguments) => forecast::run(&arguments),
        Command::Rehearse(arguments) => rehearse::run(&arguments),
        Command::History(arguments) => history::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Rotate(arguments) => orders::rotate(&arguments),
        Command::Retry(arguments) => orders::retry(&arguments),
        Command::Abort(arguments) => orders::abort(&arguments),
        Command::Rollback(arguments) => orders::roll_back(&arguments),
        Command::Reinstate(arguments) => orders::reinstate(&arguments),
        Command::Accept(arguments) => orders::accept(&arguments),
        Command::Repair(arguments) => orders::repair(&arguments),
        Command::Pause(arguments) => holds::pause(&arguments),
        Command::Resume(arguments) => holds::resume(&arguments),
        Command::Reload(arguments) => orders::reload(&arguments),
        Command::Sweep(arguments) => orders::sweep(&arguments),
        Command::Notify(arguments) => notify::run(&arguments),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => manual::run(&arguments),
    }
}
