//! `rekeyd schema`: the policy's JSON Schema, for editors.

use std::process::ExitCode;

use crate::cli::journal::tell;
use crate::config::schema;

#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments) -> ExitCode {
    tell(&schema::text(), ExitCode::SUCCESS)
}
