//! `rekeyd schema`: the policy's JSON Schema, for editors.

use std::io::Write;
use std::process::ExitCode;

use crate::config::schema;

#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments) -> ExitCode {
    match std::io::stdout().write_all(schema::text().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
