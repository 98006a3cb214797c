//! A command of the application's side, run for as long as it may take and not longer.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

/// Ends a command and everything that it started, unless it has ended by itself.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It may be gone already.
            kill_process_group(pid, Signal::KILL).ok();
        }
    }
}

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
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(Ok(status)) => {
            // What it left running on purpose may go on.
            group.0 = None;
            if status.success() { Ok(()) } else { Err(format!("`{program}` ended with {status}")) }
        }
        Ok(Err(error)) => Err(format!("`{program}` cannot be waited for: {error}")),
        Err(_) => Err(format!("`{program}` took longer than {limit:?} and was killed")),
    }
}
