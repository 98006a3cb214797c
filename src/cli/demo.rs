//! `rekeyd demo`: rotations, a crash and a recovery, on this machine alone.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;

use crate::cli::exit::{Exit, because};
use crate::config_file::environment::{Environment as _, ProcessEnvironment};
use crate::demo::play::{self, Ended, LASTS_MIN, Script};

/// As a shell says that it was SIGINT.
const INTERRUPTED: u8 = 130;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How long rotations go on, at least 15s
    #[arg(long = "for", value_name = "DURATION", default_value = "24s", value_parser = duration)]
    lasts: Duration,
    /// What every id and value is derived from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Leave the directory with policy, journal, log and secrets
    #[arg(long)]
    keep: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|_| "write for example 30s or 2m".to_owned())?;
    let lasts = Duration::try_from(parsed).map_err(|_| "write a positive duration".to_owned())?;
    if lasts < LASTS_MIN { Err(format!("write at least {}s", LASTS_MIN.as_secs())) } else { Ok(lasts) }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match rehearse(arguments) {
        Ok(Ended::Held) => ExitCode::SUCCESS,
        Ok(Ended::Broken) => Exit::CommandError.into(),
        Ok(Ended::Interrupted) => INTERRUPTED.into(),
        Err(error) => because(Exit::CommandError, &format!("the demo broke down: {error:#}")),
    }
}

fn rehearse(arguments: &Arguments) -> anyhow::Result<Ended> {
    let script = Script {
        lasts: arguments.lasts,
        seed: arguments.seed,
        keep: arguments.keep,
        colours: io::stdout().is_terminal() && ProcessEnvironment.read("NO_COLOR").is_none(),
        program: std::env::current_exe().context("cannot find the program that this is")?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.context("cannot start the asynchronous runtime")?.block_on(play::play(script))
}
