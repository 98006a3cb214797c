//! Runs a program with a time limit that ends everything that the program started, whatever process group or session it
//! is in.
//!
//! The program runs below `rekeyd contained`, to which the kernel gives every orphan of the program. That process ends them
//! all when its standard input closes: at the time limit, when the caller is cancelled, and when this process dies.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

/// The running executable, even if its file was replaced since.
pub(crate) const SELF_EXE: &str = "/proc/self/exe";

/// Whatever is killed is gone by then, unless the kernel itself is stuck.
const GONE_AFTER: Duration = Duration::from_secs(3);
const REPORT_BYTES_MAX: u64 = 4096;

/// What becomes of the processes that a program leaves behind when it ends in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftovers {
    Killed,
    /// They were started on purpose.
    Kept,
}

/// Why a program has no exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    NotStarted(String),
    TimedOut,
    /// The process that contains it was killed.
    Lost,
}

/// The command that runs `program` below the executable `rekeyd`. Environment, directory and standard error are for the
/// caller to set; the program has no standard input and output.
pub(crate) fn command(
    rekeyd: impl AsRef<std::ffi::OsStr>,
    program: &str,
    arguments: &[String],
    leftovers: Leftovers,
) -> Command {
    let mut command = Command::new(rekeyd);
    command.arg("contained");
    match leftovers {
        Leftovers::Killed => {}
        Leftovers::Kept => {
            command.arg("--keep");
        }
    }
    command.arg("--").arg(program).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    command
}

/// Runs a [`command`]. After the time limit, and after a cancellation, nothing of what it started is left.
pub(crate) async fn run(mut command: Command, limit: Duration) -> Result<ExitStatus, Failure> {
    let mut child = command.spawn().map_err(|error| Failure::NotStarted(error.to_string()))?;
    let lifeline = child.stdin.take();
    let report = timeout(limit, report(child.stdout.take())).await;
    drop(lifeline);
    // Reaped here, so that no zombie is left.
    drop(timeout(GONE_AFTER, child.wait()).await);
    match report {
        Err(_) => Err(Failure::TimedOut),
        Ok(Err(_)) => Err(Failure::Lost),
        Ok(Ok(report)) => outcome(&report),
    }
}

async fn report(output: Option<ChildStdout>) -> io::Result<String> {
    let mut report = String::new();
    if let Some(output) = output {
        output.take(REPORT_BYTES_MAX).read_to_string(&mut report).await?;
    }
    Ok(report)
}

/// What the containing process writes when the program has ended.
pub(crate) fn ended(status: ExitStatus) -> String {
    format!("ended {}", status.into_raw())
}

/// What it writes when there is no program to wait for.
pub(crate) fn not_started(error: &io::Error) -> String {
    format!("not started {error}")
}

fn outcome(report: &str) -> Result<ExitStatus, Failure> {
    if let Some(why) = report.strip_prefix("not started ") {
        return Err(Failure::NotStarted(why.to_owned()));
    }
    let status = report.strip_prefix("ended ").and_then(|raw| raw.parse().ok());
    status.map(ExitStatus::from_raw).ok_or(Failure::Lost)
}
