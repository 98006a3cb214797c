//! `rekeyd account create`: has the daemon create a service account of a workspace, with its sharing groups.

use std::process::ExitCode;

use axum::http::Method;
use serde_json::json;

use crate::cli::commands::finish;
use crate::cli::daemon::{CallError, Connection, Daemon, block_on};
use crate::domain::ids::WorkspaceName;
use crate::domain::sharing::SharingGroups;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Create a service account, unless one of this name exists; the daemon records it in its audit log
    Create(Create),
}

#[derive(clap::Args)]
struct Create {
    /// Name of the service account
    name: String,
    /// Workspace of the policy
    #[arg(long, value_name = "NAME")]
    workspace: String,
    /// Sharing group of the account, with the role `viewer`, `editor` or `admin`; repeatable
    #[arg(long = "group", value_name = "ID[:ROLE]", value_parser = group)]
    groups: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

fn group(text: &str) -> Result<String, String> {
    SharingGroups::default().add(text).map(|()| text.to_owned()).map_err(str::to_owned)
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let What::Create(Create { name, workspace, groups, connection }) = &arguments.what;
    let call = async {
        WorkspaceName::new(workspace).map_err(|error| {
            CallError::CommandError(format!("`{workspace}` is not a valid workspace name: {error}"))
        })?;
        let body = json!({ "workspace": workspace, "name": name, "groups": groups });
        Daemon::at(connection)?.call(Method::POST, "/v1/accounts", Some(&body)).await
    };
    finish(connection, block_on(call))
}
