//! `rekeyd rotate`, `retry`, `abort`, `rollback`, `accept`, `repair`, `reload` and `sweep`: orders to the running daemon.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::cli::confirm::{self, Sure};
use crate::cli::daemon::{Daemon, Output, Reaching, Unmet, block_on};
use crate::cli::journal::tell;
use crate::domain::ids::CredentialName;
use crate::domain::sanitize::one_line;

mod consequences;

/// What an order will do to the credential of a report, if it can do anything.
type Consequence = fn(&Value) -> Option<String>;

/// Between two looks at a rotation that is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub(super) struct Rotate {
    /// The credential
    name: String,
    /// Wait until the rotation has ended, the old key's quarantine included, or needs a person (exit code 1)
    #[arg(long)]
    wait: bool,
    /// The key is in wrong hands: nothing is waited for, and the old key is dead as soon as the new one is current
    #[arg(long)]
    emergency: bool,
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    reaching: Reaching,
}

#[derive(clap::Args)]
pub(super) struct Retry {
    /// The credential
    name: String,
    /// Let the rotation replace values in its destinations that rekeyd did not put there
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    reaching: Reaching,
}

#[derive(clap::Args)]
pub(super) struct Rollback {
    /// The credential
    name: String,
    /// Only say whether it is possible, and until when: exit code 0 if it is, 1 if not
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    reaching: Reaching,
}

#[derive(clap::Args)]
pub(super) struct Abort {
    /// The credential
    name: String,
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    reaching: Reaching,
}

#[derive(clap::Args)]
pub(super) struct OfOne {
    /// The credential
    name: String,
    #[command(flatten)]
    reaching: Reaching,
}

#[derive(clap::Args)]
pub(super) struct OfAll {
    #[command(flatten)]
    reaching: Reaching,
}

pub(super) fn rotate(arguments: &Rotate) -> ExitCode {
    let Rotate { name, wait, emergency, sure, reaching } = arguments;
    let how = emergency.then(|| json!({ "emergency": true }));
    finish(
        reaching,
        block_on(async {
            let (daemon, path) = (Daemon::at(reaching)?, path(name)?);
            if *emergency && sure.has_to_be_asked(reaching.output) {
                consent(&daemon, &path, consequences::of_an_emergency).await?;
            }
            if !wait {
                return order(&daemon, &path, "rotate", how.as_ref()).await;
            }
            let before = daemon.call(Method::GET, &path, None).await?;
            order(&daemon, &path, "rotate", how.as_ref()).await?;
            until_it_ends(&daemon, &path, &before).await
        }),
    )
}

pub(super) fn retry(arguments: &Retry) -> ExitCode {
    let Retry { name, overwrite, sure, reaching } = arguments;
    let body = json!({ "overwrite": overwrite });
    let asks = *overwrite && sure.has_to_be_asked(reaching.output);
    let what = asks.then_some(consequences::of_overwriting as Consequence);
    grave(name, "retry", reaching, Some(&body), what)
}

pub(super) fn abort(arguments: &Abort) -> ExitCode {
    let Abort { name, sure, reaching } = arguments;
    let asks = sure.has_to_be_asked(reaching.output);
    grave(name, "abort", reaching, None, asks.then_some(consequences::of_aborting))
}

pub(super) fn roll_back(arguments: &Rollback) -> ExitCode {
    let Rollback { name, check, sure, reaching } = arguments;
    if !check {
        let asks = sure.has_to_be_asked(reaching.output);
        return grave(name, "rollback", reaching, None, asks.then_some(consequences::of_rolling_back));
    }
    let talk = async { Daemon::at(reaching)?.call(Method::GET, &path(name)?, None).await };
    finish(reaching, block_on(talk).and_then(|report| outlook(name, &report)))
}

/// Whether the report says that there is a way back.
fn outlook(name: &str, report: &Value) -> Result<Value, Unmet> {
    let rollback = report.pointer("/rotation/rollback");
    let text = |field: &str| rollback.and_then(|it| it.get(field)).and_then(Value::as_str);
    if rollback.and_then(|it| it.get("possible")).and_then(Value::as_bool) != Some(true) {
        let detail = text("detail").unwrap_or("no rotation is under way");
        let message = format!("`{name}` cannot be rolled back: {detail}");
        return Err(Unmet::Refused { code: "not_possible".to_owned(), message });
    }
    let until = text("until").map(|until| format!(", until {until} at least")).unwrap_or_default();
    let message = format!("`{name}` can be rolled back{until}: {}", text("detail").unwrap_or_default());
    Ok(json!({ "message": message, "rollback": rollback }))
}

pub(super) fn reinstate(arguments: &OfOne) -> ExitCode {
    one(&arguments.name, "reinstate", &arguments.reaching, None)
}

pub(super) fn accept(arguments: &OfOne) -> ExitCode {
    one(&arguments.name, "accept", &arguments.reaching, None)
}

/// A damaged credential's record is made anew by the daemon, which alone writes the journal.
pub(super) fn repair(arguments: &OfOne) -> ExitCode {
    one(&arguments.name, "repair", &arguments.reaching, None)
}

pub(super) fn reload(arguments: &OfAll) -> ExitCode {
    all("/v1/reload", &arguments.reaching)
}

pub(super) fn sweep(arguments: &OfAll) -> ExitCode {
    all("/v1/sweep", &arguments.reaching)
}

fn one(name: &str, verb: &str, reaching: &Reaching, body: Option<&Value>) -> ExitCode {
    grave(name, verb, reaching, body, None)
}

/// An order that a person at a terminal is asked about first, if there is anything to say.
fn grave(
    name: &str,
    verb: &str,
    reaching: &Reaching,
    body: Option<&Value>,
    what: Option<Consequence>,
) -> ExitCode {
    let talk = async {
        let (daemon, path) = (Daemon::at(reaching)?, path(name)?);
        if let Some(what) = what {
            consent(&daemon, &path, what).await?;
        }
        order(&daemon, &path, verb, body).await
    };
    finish(reaching, block_on(talk))
}

/// What the daemon would refuse is not worth a question.
async fn consent(daemon: &Daemon, path: &str, what: Consequence) -> Result<(), Unmet> {
    let report = daemon.call(Method::GET, path, None).await?;
    what(&report).map_or(Ok(()), |what| confirm::ask(&what))
}

fn all(path: &str, reaching: &Reaching) -> ExitCode {
    let talk = async { Daemon::at(reaching)?.call(Method::POST, path, None).await };
    finish(reaching, block_on(talk))
}

fn path(name: &str) -> Result<String, Unmet> {
    match CredentialName::new(name) {
        Ok(name) => Ok(format!("/v1/credentials/{name}")),
        Err(error) => Err(Unmet::Failed(format!("`{name}` cannot be a credential: {error}"))),
    }
}

async fn order(daemon: &Daemon, path: &str, verb: &str, body: Option<&Value>) -> Result<Value, Unmet> {
    daemon.call(Method::POST, &format!("{path}/{verb}"), body).await
}

pub(super) fn finish(reaching: &Reaching, outcome: Result<Value, Unmet>) -> ExitCode {
    match (outcome, reaching.output) {
        (Ok(answer), Output::Json) => tell(&format!("{answer}\n"), ExitCode::SUCCESS),
        (Ok(answer), Output::Text) => {
            let message = answer.get("message").and_then(Value::as_str).unwrap_or("done");
            tell(&format!("{}\n", one_line(message)), ExitCode::SUCCESS)
        }
        (Err(unmet), output) => unmet.tell(output),
    }
}

/// Looks until the rotation that was asked for is over, and tells each of its phases on the standard error.
async fn until_it_ends(daemon: &Daemon, path: &str, before: &Value) -> Result<Value, Unmet> {
    let last = |report: &Value| report.pointer("/last/rotation").cloned();
    let text = |report: &Value, field: &str| {
        report.pointer(field).and_then(Value::as_str).map(one_line).unwrap_or_default()
    };
    let mut told = String::new();
    loop {
        let report = daemon.call(Method::GET, path, None).await?;
        let now = format!("{}: {}", text(&report, "/condition"), text(&report, "/summary"));
        if last(&report).is_some_and(|ended| !ended.is_null() && Some(&ended) != last(before).as_ref()) {
            let outcome = text(&report, "/last/outcome");
            if outcome == "done" {
                let done = format!("`{}` has a new key", text(&report, "/credential"));
                return Ok(json!({ "message": done, "report": report }));
            }
            let why = text(&report, "/last/why");
            let message = format!("the rotation ended as `{outcome}`: {why}");
            return Err(Unmet::Refused { code: outcome, message });
        }
        if matches!(text(&report, "/condition").as_str(), "parked" | "blocked" | "damaged") {
            let next = text(&report, "/next_command");
            let message = if next.is_empty() { now } else { format!("{now}; next: {next}") };
            return Err(Unmet::Refused { code: text(&report, "/condition"), message });
        }
        if now != told {
            // Who cannot be told still waits.
            drop(writeln!(std::io::stderr(), "{now}"));
            told = now;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
