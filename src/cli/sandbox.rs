//! `rekeyd sandbox`: an ElevenLabs workspace on this machine.

use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments) -> ExitCode {
    ExitCode::SUCCESS
}
