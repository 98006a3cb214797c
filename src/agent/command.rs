//! A command of the application's side, run for as long as it may take and not longer.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::process_group::ProcessGroup;

/// Runs it with `told` added to the environment and `withheld` taken out; `Err` says why it is no success. When this is
/// cancelled, the command is killed.
pub(super) async fn run(
    words: &[String],
    told: &[(&str, &str)],
    withheld: &[String],
    limit: Duration,
) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("there is no command".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(told.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
    command.env_remove("NOTIFY_SOCKET").process_group(0).kill_on_drop(true);
    for name in withheld {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let group = ProcessGroup::led_by(&child);
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(Ok(status)) => {
            // Processes that it left running on purpose may run on.
            if let Some(group) = group {
                group.release();
            }
            if status.success() { Ok(()) } else { Err(format!("`{program}` ended with {status}")) }
        }
        Ok(Err(error)) => Err(format!("`{program}` cannot be waited for: {error}")),
        Err(_) => Err(format!("`{program}` took longer than {limit:?} and was killed")),
    }
}
