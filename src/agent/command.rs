//! Runs a configured command with a time limit.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::process_group::ProcessGroup;

/// Runs the command with `variables` added to the environment and `withheld` removed; `Err` holds why it failed. If this
/// is cancelled, the command is killed.
pub(super) async fn run(
    command_line: &[String],
    variables: &[(&str, &str)],
    withheld: &[String],
    limit: Duration,
) -> Result<(), String> {
    let Some((program, arguments)) = command_line.split_first() else {
        return Err("there is no command".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
    command.env_remove("NOTIFY_SOCKET").process_group(0).kill_on_drop(true);
    for name in withheld {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| format!("cannot start `{program}`: {error}"))?;
    let group = ProcessGroup::led_by(&child);
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(Ok(status)) => {
            // Background processes that it started on purpose go on.
            if let Some(group) = group {
                group.release();
            }
            if status.success() { Ok(()) } else { Err(format!("`{program}` ended with {status}")) }
        }
        Ok(Err(error)) => Err(format!("cannot wait for `{program}`: {error}")),
        Err(_) => Err(format!("`{program}` took longer than {limit:?} and was killed")),
    }
}
