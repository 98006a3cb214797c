//! Runs a configured command with a time limit.

use std::time::Duration;

use crate::contained::{self, Failure, Leftovers, SELF_EXE};

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
    // Background processes that it started on purpose go on.
    let mut command = contained::command(SELF_EXE, program, arguments, Leftovers::Kept);
    command.envs(variables.iter().copied()).env_remove("NOTIFY_SOCKET");
    for name in withheld {
        command.env_remove(name);
    }
    match contained::run(command, limit).await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program}` ended with {status}")),
        Err(Failure::NotStarted(why)) => Err(format!("cannot start `{program}`: {why}")),
        Err(Failure::Lost) => Err(format!("`{program}` ended in an unknown way")),
        Err(Failure::TimedOut) => Err(format!("`{program}` took longer than {limit:?} and was killed")),
    }
}
