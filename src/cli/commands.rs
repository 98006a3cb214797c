//! `rekeyd rotate`, `retry`, `abort`, `rollback`, `accept`, `repair`, `reload` and `sweep`: commands to the daemon.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::bulk::{self, Order};
use crate::cli::confirm::{self, Confirmation};
use crate::cli::daemon::{CallError, Connection, Daemon, Output, block_on};
use crate::cli::journal::tell;
use crate::cli::selection::Selection;
use crate::domain::ids::CredentialName;
use crate::domain::sanitize::one_line;

mod consequences;
mod possible;

/// What a command will do to the credential of a report; `None` if it cannot do anything.
type Consequence = fn(&Value) -> Option<String>;

/// Between two polls of a rotation.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    selection: Selection,
    /// Wait until the rotation has ended, quarantine included, or needs an operator (exit code 1)
    #[arg(long)]
    wait: bool,
    /// The key has leaked: skip all waits, and revoke the old key as soon as the new one is current
    #[arg(long)]
    emergency: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
pub(super) struct Retry {
    #[command(flatten)]
    selection: Selection,
    /// Overwrite values in the destinations that rekeyd did not write
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
pub(super) struct Rollback {
    /// Credential
    name: String,
    /// Only report whether a rollback is possible, and until when (exit code 0 or 1)
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

/// Of `abort`, `confirm` and `accept`.
#[derive(clap::Args)]
pub(super) struct ForCredentials {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
pub(super) struct ForCredential {
    /// Credential
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
pub(super) struct ForDaemon {
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn rotate(arguments: &Rotate) -> ExitCode {
    let Rotate { selection, wait: waits, emergency, confirmation, connection } = arguments;
    let body = emergency.then(|| json!({ "emergency": true }));
    let Some(name) = selection.only() else {
        let order = Order {
            verb: "rotate",
            body,
            is_possible: if *emergency { possible::emergency } else { possible::rotate },
            consequence: emergency.then_some(consequences::of_an_emergency as Consequence),
            waits: *waits,
        };
        return bulk::run(&order, selection, confirmation, connection);
    };
    finish(
        connection,
        block_on(async {
            let (daemon, path) = (Daemon::at(connection)?, path(name)?);
            if *emergency && confirmation.is_needed(connection.output) {
                consent(&daemon, &path, consequences::of_an_emergency).await?;
            }
            if *waits {
                return wait(&daemon, &path, "rotate", body.as_ref()).await;
            }
            send(&daemon, &path, "rotate", body.as_ref()).await
        }),
    )
}

/// Gives the command, and waits until the rotation has ended.
pub(super) async fn wait(
    daemon: &Daemon,
    path: &str,
    verb: &str,
    body: Option<&Value>,
) -> Result<Value, CallError> {
    let before = daemon.call(Method::GET, path, None).await?;
    send(daemon, path, verb, body).await?;
    until_it_ends(daemon, path, &before).await
}

pub(super) fn retry(arguments: &Retry) -> ExitCode {
    let Retry { selection, overwrite, confirmation, connection } = arguments;
    let body = json!({ "overwrite": overwrite });
    let what = overwrite.then_some(consequences::of_overwriting as Consequence);
    let Some(name) = selection.only() else {
        let is_possible = if *overwrite { possible::overwrite } else { possible::retry };
        let order = Order { verb: "retry", body: Some(body), is_possible, consequence: what, waits: false };
        return bulk::run(&order, selection, confirmation, connection);
    };
    let what = what.filter(|_| confirmation.is_needed(connection.output));
    confirmed(name, "retry", connection, Some(&body), what)
}

pub(super) fn abort(arguments: &ForCredentials) -> ExitCode {
    let prompts = arguments.confirmation.is_needed(arguments.connection.output);
    let what = consequences::of_aborting as Consequence;
    plain(arguments, "abort", possible::abort, Some(what), prompts)
}

pub(super) fn confirm(arguments: &ForCredentials) -> ExitCode {
    plain(arguments, "confirm", possible::confirm, None, false)
}

pub(super) fn accept(arguments: &ForCredentials) -> ExitCode {
    plain(arguments, "accept", possible::accept, None, false)
}

/// A command without a body. `prompts`: whether it prompts also for one credential.
fn plain(
    arguments: &ForCredentials,
    verb: &'static str,
    is_possible: fn(&Value) -> bool,
    consequence: Option<Consequence>,
    prompts: bool,
) -> ExitCode {
    let ForCredentials { selection, confirmation, connection } = arguments;
    match selection.only() {
        Some(name) => confirmed(name, verb, connection, None, consequence.filter(|_| prompts)),
        None => {
            let order = Order { verb, body: None, is_possible, consequence, waits: false };
            bulk::run(&order, selection, confirmation, connection)
        }
    }
}

pub(super) fn roll_back(arguments: &Rollback) -> ExitCode {
    let Rollback { name, check, confirmation, connection } = arguments;
    if !check {
        let prompts = confirmation.is_needed(connection.output);
        return confirmed(
            name,
            "rollback",
            connection,
            None,
            prompts.then_some(consequences::of_rolling_back),
        );
    }
    let call = async { Daemon::at(connection)?.call(Method::GET, &path(name)?, None).await };
    finish(connection, block_on(call).and_then(|report| rollback_check(name, &report)))
}

/// Whether the report says that a rollback is possible.
fn rollback_check(name: &str, report: &Value) -> Result<Value, CallError> {
    let rollback = report.pointer("/rotation/rollback");
    let text = |field: &str| rollback.and_then(|it| it.get(field)).and_then(Value::as_str);
    if rollback.and_then(|it| it.get("possible")).and_then(Value::as_bool) != Some(true) {
        let detail = text("detail").unwrap_or("no rotation is under way");
        let message = format!("cannot roll back `{name}`: {detail}");
        return Err(CallError::Refused { code: "not_possible".to_owned(), message });
    }
    let until = text("until").and_then(|until| until.parse::<Timestamp>().ok());
    let until = until.map(|until| format!(" until at least {until:.0}")).unwrap_or_default();
    let message = format!("`{name}` can be rolled back{until}: {}", text("detail").unwrap_or_default());
    Ok(json!({ "message": message, "rollback": rollback }))
}

pub(super) fn reinstate(arguments: &ForCredential) -> ExitCode {
    one(&arguments.name, "reinstate", &arguments.connection, None)
}

/// The daemon rebuilds the record, since only the daemon writes the journal.
pub(super) fn repair(arguments: &ForCredential) -> ExitCode {
    one(&arguments.name, "repair", &arguments.connection, None)
}

pub(super) fn reload(arguments: &ForDaemon) -> ExitCode {
    all("/v1/reload", &arguments.connection)
}

pub(super) fn sweep(arguments: &ForDaemon) -> ExitCode {
    all("/v1/sweep", &arguments.connection)
}

fn one(name: &str, verb: &str, connection: &Connection, body: Option<&Value>) -> ExitCode {
    confirmed(name, verb, connection, body, None)
}

/// Sends a command, after a prompt if it has consequences to confirm.
fn confirmed(
    name: &str,
    verb: &str,
    connection: &Connection,
    body: Option<&Value>,
    what: Option<Consequence>,
) -> ExitCode {
    let call = async {
        let (daemon, path) = (Daemon::at(connection)?, path(name)?);
        if let Some(what) = what {
            consent(&daemon, &path, what).await?;
        }
        send(&daemon, &path, verb, body).await
    };
    finish(connection, block_on(call))
}

/// A command that the daemon would refuse has no prompt.
async fn consent(daemon: &Daemon, path: &str, what: Consequence) -> Result<(), CallError> {
    let report = daemon.call(Method::GET, path, None).await?;
    what(&report).map_or(Ok(()), |what| confirm::ask(&what))
}

fn all(path: &str, connection: &Connection) -> ExitCode {
    let call = async { Daemon::at(connection)?.call(Method::POST, path, None).await };
    finish(connection, block_on(call))
}

fn path(name: &str) -> Result<String, CallError> {
    match CredentialName::new(name) {
        Ok(name) => Ok(format!("/v1/credentials/{name}")),
        Err(error) => {
            Err(CallError::CommandError(format!("`{name}` is not a valid credential name: {error}")))
        }
    }
}

async fn send(daemon: &Daemon, path: &str, verb: &str, body: Option<&Value>) -> Result<Value, CallError> {
    daemon.call(Method::POST, &format!("{path}/{verb}"), body).await
}

pub(super) fn finish(connection: &Connection, outcome: Result<Value, CallError>) -> ExitCode {
    match (outcome, connection.output) {
        (Ok(answer), Output::Json) => tell(&format!("{answer}\n"), ExitCode::SUCCESS),
        (Ok(answer), Output::Text) => {
            let message = answer.get("message").and_then(Value::as_str).unwrap_or("done");
            tell(&format!("{}\n", one_line(message)), ExitCode::SUCCESS)
        }
        (Err(error), output) => error.report(output),
    }
}

/// Polls until the rotation has ended, and prints each phase on the standard error.
async fn until_it_ends(daemon: &Daemon, path: &str, before: &Value) -> Result<Value, CallError> {
    let last = |report: &Value| report.pointer("/last/rotation").cloned();
    let text = |report: &Value, field: &str| {
        report.pointer(field).and_then(Value::as_str).map(one_line).unwrap_or_default()
    };
    let mut shown = String::new();
    loop {
        let report = daemon.call(Method::GET, path, None).await?;
        let now = format!("{}: {}", text(&report, "/health"), text(&report, "/summary"));
        if last(&report).is_some_and(|ended| !ended.is_null() && Some(&ended) != last(before).as_ref()) {
            let outcome = text(&report, "/last/outcome");
            if outcome == "done" {
                let done = format!("`{}` has a new key", text(&report, "/credential"));
                return Ok(json!({ "message": done, "report": report }));
            }
            let why = text(&report, "/last/why");
            let message = format!("the rotation ended as `{outcome}`: {why}");
            return Err(CallError::Refused { code: outcome, message });
        }
        if matches!(text(&report, "/health").as_str(), "parked" | "blocked" | "damaged") {
            let next = text(&report, "/next_command");
            let message = if next.is_empty() { now } else { format!("{now}; next: {next}") };
            return Err(CallError::Refused { code: text(&report, "/health"), message });
        }
        if now != shown {
            // A closed standard error does not end the wait.
            drop(writeln!(std::io::stderr(), "{now}"));
            shown = now;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
