//! `rekeyd contained`: runs a program and ends everything that it started. Only rekeyd itself uses it: a process that adopts
//! the orphans of a program cannot tell them from the orphans of other programs, so each program has one of its own.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::cli::exit::{self, Exit};
use crate::contained;

/// A process that was killed is gone by then, unless the kernel itself is stuck or it belongs to another user.
const GONE_AFTER: Duration = Duration::from_secs(2);
/// Children that were killed leave their own children behind.
const AGAIN: Duration = Duration::from_millis(5);

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Let the processes run on that the program leaves behind when it ends
    #[arg(long)]
    keep: bool,
    #[arg(last = true, required = true)]
    program: Vec<std::ffi::OsString>,
}

/// Writes to the standard output how the program ended. Ends everything when the standard input closes.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = match runtime.and_then(|runtime| runtime.block_on(contain(arguments))) {
        Ok(status) => contained::ended(status),
        Err(error) => contained::not_started(&error),
    };
    match io::stdout().write_all(report.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            exit::because(Exit::CommandError, &format!("cannot report how the program ended: {error}"))
        }
    }
}

async fn contain(arguments: &Arguments) -> io::Result<ExitStatus> {
    let Some((program, words)) = arguments.program.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    set_child_subreaper(Some(getpid()))?;
    let mut changed = signal(SignalKind::child())?;
    let lifeline = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    let program = command.spawn()?.id();
    let mut is_over = false;
    let status = loop {
        if let Some(status) = reap(program) {
            break status;
        }
        tokio::select! {
            _ = changed.recv() => {}
            () = closed(&lifeline), if !is_over => is_over = true,
            () = sleep(AGAIN), if is_over => {}
        }
        if is_over {
            kill_children()?;
        }
    };
    if is_over || !arguments.keep {
        end_all().await?;
    }
    Ok(status)
}

/// Waits until the caller closes its end, or is gone.
async fn closed(lifeline: &pipe::Receiver) {
    let mut bytes = [0; 16];
    while lifeline.readable().await.is_ok() {
        match lifeline.try_read(&mut bytes) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// Reaps every child that has ended; returns the status of `program` if it is among them.
fn reap(program: u32) -> Option<ExitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if u32::try_from(pid.as_raw_nonzero().get()) == Ok(program) {
            found = Some(ExitStatus::from_raw(status.as_raw()));
        }
    }
    found
}

/// Kills children until there are none: the kernel gives this process the children of those that it killed.
async fn end_all() -> io::Result<()> {
    let begun = Instant::now();
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if !kill_children()? || begun.elapsed() > GONE_AFTER {
            return Ok(());
        }
        sleep(AGAIN).await;
    }
}

/// Sends SIGKILL to every child; returns whether there was any. A child keeps its number until it is reaped here, so that
/// no other process is hit.
fn kill_children() -> io::Result<bool> {
    let mut found = false;
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid
            && parent(pid) == Some(getpid())
        {
            found = true;
            kill_process(pid, Signal::KILL).ok();
        }
    }
    Ok(found)
}

/// `None` if the process is gone.
fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name before may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok().and_then(Pid::from_raw)
}
