//! `rekeyd pause` and `rekeyd resume`: what the daemon must not do until somebody says so.

use std::process::ExitCode;

use axum::http::Method;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::daemon::{Daemon, Reaching, Unmet, block_on};
use crate::cli::orders::finish;
use crate::domain::ids::{CredentialName, WorkspaceName};

/// Whom it is about: exactly one of these.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// One credential
    name: Option<String>,
    /// Everything that this daemon does
    #[arg(long)]
    all: bool,
    /// All credentials of a workspace
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct Pause {
    #[command(flatten)]
    whom: Whom,
    /// Hold only the creation of keys back, or only their revocation; by default both, and nothing begins
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Why, for whoever finds it paused
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    reaching: Reaching,
}

#[derive(clap::Args)]
pub(super) struct Resume {
    #[command(flatten)]
    whom: Whom,
    /// Lift only what holds the creation of keys back, or their revocation; by default whatever is held for just that
    #[arg(long, value_enum)]
    only: Option<Only>,
    #[command(flatten)]
    reaching: Reaching,
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
    let Pause { whom, only, why, reaching } = arguments;
    say("/v1/pause", whom, *only, why.as_deref(), reaching)
}

pub(super) fn resume(arguments: &Resume) -> ExitCode {
    let Resume { whom, only, reaching } = arguments;
    say("/v1/resume", whom, *only, None, reaching)
}

fn say(path: &str, whom: &Whom, only: Option<Only>, why: Option<&str>, reaching: &Reaching) -> ExitCode {
    let talk = async {
        let body = body(whom, only, why)?;
        Daemon::at(reaching)?.call(Method::POST, path, Some(&body)).await
    };
    finish(reaching, block_on(talk))
}

fn body(whom: &Whom, only: Option<Only>, why: Option<&str>) -> Result<Value, Unmet> {
    let cannot =
        |what: &str, name: &str, error| Unmet::Failed(format!("`{name}` cannot be a {what}: {error}"));
    let mut body = if let Some(name) = &whom.name {
        CredentialName::new(name).map_err(|error| cannot("credential", name, error))?;
        json!({ "credential": name })
    } else if let Some(name) = &whom.workspace {
        WorkspaceName::new(name).map_err(|error| cannot("workspace", name, error))?;
        json!({ "workspace": name })
    } else {
        json!({ "all": true })
    };
    if let (Some(only), Some(body)) = (only, body.as_object_mut()) {
        body.insert("only".to_owned(), only.label().into());
    }
    if let (Some(why), Some(body)) = (why, body.as_object_mut()) {
        body.insert("why".to_owned(), why.into());
    }
    Ok(body)
}
