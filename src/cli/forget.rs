//! `rekeyd forget`: says that a destination which left the policy holds nothing any more.

use std::process::ExitCode;

use axum::http::Method;
use serde_json::json;

use crate::cli::commands::finish;
use crate::cli::daemon::{Connection, Daemon, block_on};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Destination as `rekeyd status` names it; rekeyd removes nothing there
    #[arg(value_name = "STORE:SECRET[#FIELD]")]
    destination: String,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { destination, connection } = arguments;
    let call = async {
        let body = json!({ "destination": destination });
        Daemon::at(connection)?.call(Method::POST, "/v1/forget", Some(&body)).await
    };
    finish(connection, block_on(call))
}
