//! As process 1, in a container, rekeyd runs as a child of a process that does nothing but what process 1 has to: it reaps
//! whatever is left to it, and passes signals on. The child waits for its own children only, so that none of them is reaped
//! before it was waited for.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus};
use std::task::Poll;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::cli::exit::{self, Exit};
use crate::contained::SELF_EXE;

const FORWARDED: [Signal; 6] =
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];
/// How long the child may take until it handles signals.
const HANDLED_AFTER: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(2);

/// Does the work, or has a child do it if this is process 1; returns the exit code.
pub(super) fn reaping(work: impl FnOnce() -> ExitCode) -> ExitCode {
    if !getpid().is_init() {
        return work();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(supervise())) {
        Ok(status) => code(status).into(),
        Err(error) => exit::because(Exit::CommandError, &format!("cannot start as process 1: {error}")),
    }
}

async fn supervise() -> io::Result<ExitStatus> {
    let mut changed = signal(SignalKind::child())?;
    let listen = |it: Signal| Ok((it, signal(SignalKind::from_raw(it.as_raw()))?));
    let mut forwarded = FORWARDED.into_iter().map(listen).collect::<io::Result<Vec<_>>>()?;
    let mut command = Command::new(SELF_EXE);
    // A group of its own: a terminal's signals come once, from here.
    command.arg0("rekeyd").args(std::env::args_os().skip(1)).process_group(0);
    let child = command.spawn()?.id();
    let child = i32::try_from(child).ok().and_then(Pid::from_raw);
    let child = child.ok_or_else(|| io::Error::other("the child has no process id"))?;
    let mut is_young = true;
    loop {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == child {
                return Ok(ExitStatus::from_raw(status.as_raw()));
            }
        }
        tokio::select! {
            _ = changed.recv() => {}
            signal = next(&mut forwarded) => {
                if std::mem::take(&mut is_young) {
                    handled(child).await;
                }
                kill_process(child, signal).ok();
            }
        }
    }
}

/// The next signal that was received.
async fn next(signals: &mut [(Signal, unix::Signal)]) -> Signal {
    poll_fn(|context| {
        for (signal, stream) in signals.iter_mut() {
            if matches!(stream.poll_recv(context), Poll::Ready(Some(()))) {
                return Poll::Ready(*signal);
            }
        }
        Poll::Pending
    })
    .await
}

/// Waits until the child handles the signals that the daemon and the agent handle: earlier ones would end it.
async fn handled(child: Pid) {
    let begun = Instant::now();
    while !handles_hangup(child) && begun.elapsed() < HANDLED_AFTER {
        sleep(AGAIN).await;
    }
}

fn handles_hangup(child: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.as_raw_nonzero())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    caught & (1 << (Signal::HUP.as_raw() - 1)) != 0
}

/// The exit code that a shell would report.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code & 0xff).unwrap_or(1)
}
