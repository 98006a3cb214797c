//! Runs an operator's program and waits for its exit code.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use crate::contained::{self, Failure, Leftovers};
use crate::domain::gate::command::CommandGate;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// As [`crate::ports::prober::Prober::run`], below the executable `rekeyd`.
pub(super) async fn run(
    rekeyd: &Path,
    gate: &CommandGate,
    about: &BTreeMap<String, String>,
) -> Result<(), String> {
    let Some((program, arguments)) = gate.command.split_first() else {
        return Err("no program is named".to_owned());
    };
    let mut command = contained::command(rekeyd, program, arguments, Leftovers::Killed);
    command.env_clear().envs(about).env("PATH", PATH).env("LANG", "C.UTF-8").stderr(Stdio::null());
    match contained::run(command, gate.time_limit.unsigned_abs()).await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(match (status.code(), status.signal()) {
            (Some(code), _) => format!("`{program}` exited with {code}"),
            (None, Some(signal)) => format!("`{program}` was ended by signal {signal}"),
            (None, None) => format!("`{program}` ended in an unknown way"),
        }),
        Err(Failure::NotStarted(why)) => Err(format!("`{program}` cannot be started: {why}")),
        Err(Failure::Lost) => Err(format!("`{program}` ended in an unknown way")),
        Err(Failure::TimedOut) => Err(format!("`{program}` did not end within {:#}", gate.time_limit)),
    }
}
