//! `rekeyd pause` and `rekeyd resume`: holds on key creation and revocation.

use std::process::ExitCode;

use axum::http::Method;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::commands::finish;
use crate::cli::daemon::{CallError, Connection, Daemon, block_on};
use crate::domain::ids::{CredentialName, WorkspaceName};

/// The scope of a hold: exactly one of these.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Credential
    name: Option<String>,
    /// Every credential of the policy
    #[arg(long)]
    all: bool,
    /// Every credential of a workspace
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct Pause {
    #[command(flatten)]
    target: Target,
    /// Pause only key creation (minting) or only revocation (revoking); by default both, and no rotation begins
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Reason to record with the pause
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
pub(super) struct Resume {
    #[command(flatten)]
    target: Target,
    /// Resume only key creation (minting) or only revocation (revoking); by default both
    #[arg(long, value_enum)]
    only: Option<Only>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    Minting,
    Revoking,
}

impl Only {
    fn label(self) -> &'static str {
        match self {
            Self::Minting => "minting",
            Self::Revoking => "revoking",
        }
    }
}

pub(super) fn pause(arguments: &Pause) -> ExitCode {
    let Pause { target, only, reason, connection } = arguments;
    send("/v1/pause", target, *only, reason.as_deref(), connection)
}

pub(super) fn resume(arguments: &Resume) -> ExitCode {
    let Resume { target, only, connection } = arguments;
    send("/v1/resume", target, *only, None, connection)
}

fn send(
    path: &str,
    target: &Target,
    only: Option<Only>,
    reason: Option<&str>,
    connection: &Connection,
) -> ExitCode {
    let call = async {
        let body = body(target, only, reason)?;
        Daemon::at(connection)?.call(Method::POST, path, Some(&body)).await
    };
    finish(connection, block_on(call))
}

fn body(target: &Target, only: Option<Only>, reason: Option<&str>) -> Result<Value, CallError> {
    let cannot = |what: &str, name: &str, error| {
        CallError::CommandError(format!("`{name}` is not a valid {what} name: {error}"))
    };
    let mut body = if let Some(name) = &target.name {
        CredentialName::new(name).map_err(|error| cannot("credential", name, error))?;
        json!({ "credential": name })
    } else if let Some(name) = &target.workspace {
        WorkspaceName::new(name).map_err(|error| cannot("workspace", name, error))?;
        json!({ "workspace": name })
    } else {
        json!({ "all": true })
    };
    if let (Some(only), Some(body)) = (only, body.as_object_mut()) {
        body.insert("only".to_owned(), only.label().into());
    }
    if let (Some(reason), Some(body)) = (reason, body.as_object_mut()) {
        body.insert("why".to_owned(), reason.into());
    }
    Ok(body)
}
