//! One command for several credentials: a preview and one confirmation, then each credential's result. A refusal of one does not
//! keep the others; the exit code says that there was one.

use std::process::ExitCode;
use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cli::commands::wait;
use crate::cli::confirm::{self, Confirmation};
use crate::cli::daemon::{CallError, Connection, Daemon, Output, block_on};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::journal::tell;
use crate::cli::selection::{Selection, name_of};
use crate::domain::sanitize::one_line;

/// Commands that are under way at the same time.
const AT_ONCE: usize = 8;
/// Of a preview, so that it fits a screen.
const SHOWN_MAX: usize = 40;

/// What is done to each credential.
pub(super) struct Order {
    pub(super) verb: &'static str,
    pub(super) body: Option<Value>,
    /// Whether it can be done, by the credential's report.
    pub(super) is_possible: fn(&Value) -> bool,
    /// What it does to a credential beyond its state, if that has to be said.
    pub(super) consequence: Option<fn(&Value) -> Option<String>>,
    /// Whether to wait until the rotations are over.
    pub(super) waits: bool,
}

/// A credential's result.
type Outcome = (String, Result<Value, CallError>);

/// Does it to every credential that is meant.
pub(super) fn run(
    order: &Order,
    selection: &Selection,
    confirmation: &Confirmation,
    connection: &Connection,
) -> ExitCode {
    let outcomes = block_on(async {
        let daemon = Arc::new(Daemon::at(connection)?);
        let status = daemon.call(Method::GET, "/v1/status", None).await?;
        let reports = status.get("credentials").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let selected =
            selection.among(reports, order.is_possible).map_err(|why| refused("not_found", why))?;
        let (verb, skipped) = (order.verb, selected.skipped);
        if selected.reports.is_empty() {
            let of =
                if skipped == 0 { "none fits".to_owned() } else { format!("not possible for {skipped}") };
            return Err(refused(
                "nothing_to_do",
                format!("there is nothing to {verb}: {of}; see `rekeyd status`"),
            ));
        }
        let preview = preview(order, &selected.reports, skipped);
        if confirmation.is_needed(connection.output) {
            confirm::ask_about(&preview)?;
        } else if !confirmation.is_given() && !selection.is_by_name() {
            let names: Vec<&str> = selected.reports.iter().map(|report| name_of(report)).collect();
            let (count, names) = (names.len(), names.join(", "));
            let text = format!("nothing was changed: to {verb} these {count}, pass `--yes`: {names}");
            return Err(refused("not_confirmed", text));
        }
        Ok(all(order, &daemon, &selected.reports).await)
    });
    match outcomes {
        Ok(outcomes) => report(order, outcomes, connection.output),
        Err(error) => error.report(connection.output),
    }
}

fn refused(code: &str, message: String) -> CallError {
    CallError::Refused { code: code.to_owned(), message }
}

fn preview(order: &Order, reports: &[&Value], skipped: usize) -> Vec<String> {
    let text = |report: &Value, field: &str| {
        report.pointer(field).and_then(Value::as_str).map(one_line).unwrap_or_default()
    };
    let mut lines = vec![format!("{} of {} credentials:", order.verb, reports.len())];
    for report in reports.iter().take(SHOWN_MAX) {
        let consequence = order.consequence.and_then(|consequence| consequence(report));
        let what = consequence.unwrap_or_else(|| text(report, "/summary"));
        lines.push(format!("  {} ({}): {what}", name_of(report), text(report, "/health")));
    }
    if let Some(more) = reports.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more"));
    }
    if skipped > 0 {
        lines.push(format!("  not possible for {skipped} others, which are left as they are"));
    }
    lines
}

/// In the order of their names.
async fn all(order: &Order, daemon: &Arc<Daemon>, reports: &[&Value]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let at_once = if order.waits { reports.len().max(1) } else { AT_ONCE };
    for chunk in reports.chunks(at_once) {
        let mut tasks = JoinSet::new();
        for report in chunk {
            let (name, daemon) = (name_of(report).to_owned(), Arc::clone(daemon));
            let (verb, body, waits) = (order.verb, order.body.clone(), order.waits);
            tasks.spawn(async move {
                let path = format!("/v1/credentials/{name}");
                let outcome = if waits {
                    wait(&daemon, &path, verb, body.as_ref()).await
                } else {
                    daemon.call(Method::POST, &format!("{path}/{verb}"), body.as_ref()).await
                };
                (name, outcome)
            });
        }
        while let Some(ended) = tasks.join_next().await {
            // No task of these panics or is cancelled.
            outcomes.extend(ended);
        }
    }
    outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
    outcomes
}

fn report(order: &Order, outcomes: Vec<Outcome>, output: Output) -> ExitCode {
    let (mut text, mut results, mut failed) = (String::new(), Vec::new(), 0_usize);
    let count = outcomes.len();
    for (name, outcome) in outcomes {
        match outcome {
            Ok(answer) => {
                let message = answer.get("message").and_then(Value::as_str).unwrap_or("done");
                text += &format!("{name}: {}\n", one_line(message));
                results.push(json!({ "credential": name, "message": message }));
            }
            Err(error) => {
                failed += 1;
                let error = error.into_command_error();
                text += &format!("{name}: failed: {}\n", one_line(&error.message));
                let mut result = json!({ "credential": name });
                error.amend(&mut result);
                results.push(result);
            }
        }
    }
    let failure = (failed > 0).then(|| {
        let message = format!("{failed} of {count} failed to {}; each says why", order.verb);
        CommandError::new(Exit::CommandError, "partly_failed", message)
    });
    let code = if failure.is_some() { Exit::CommandError.into() } else { ExitCode::SUCCESS };
    match output {
        Output::Json => {
            let mut document = json!({ "results": results, "failed": failed });
            if let Some(failure) = &failure {
                failure.amend(&mut document);
            }
            tell(&format!("{document}\n"), code)
        }
        Output::Text => {
            let told = tell(&text, code);
            failure.map_or(told, |failure| failure.report(false))
        }
    }
}
