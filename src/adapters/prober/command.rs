//! Runs an operator's program and waits for its exit code.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::domain::gate::command::CommandGate;
use crate::process_group::ProcessGroup;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A killed program is gone by then, unless the kernel itself is stuck.
const GONE_AFTER: Duration = Duration::from_secs(1);

/// As [`crate::ports::prober::Prober::run`]. The program leads a process group of its own, which is killed as a whole.
pub(super) async fn run(gate: &CommandGate, about: &BTreeMap<String, String>) -> Result<(), String> {
    let Some((program, arguments)) = gate.command.split_first() else {
        return Err("no program is named".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(about).env("PATH", PATH).env("LANG", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let group = ProcessGroup::led_by(&child);
    let ended = timeout(gate.time_limit.unsigned_abs(), child.wait()).await;
    drop(group);
    match ended {
        Err(_) => {
            // Reaped here, so that no zombie is left.
            drop(timeout(GONE_AFTER, child.wait()).await);
            Err(format!("`{program}` did not end within {:#}", gate.time_limit))
        }
        Ok(Err(error)) => Err(format!("`{program}` could not be waited for: {error}")),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(match (status.code(), status.signal()) {
            (Some(code), _) => format!("`{program}` exited with {code}"),
            (None, Some(signal)) => format!("`{program}` was ended by signal {signal}"),
            (None, None) => format!("`{program}` ended in an unknown way"),
        }),
    }
}
