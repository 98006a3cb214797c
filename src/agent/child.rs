//! The application as a child process of the agent: started with its secrets and stopped with a time limit.
//!
//! The application is a process group, which is killed as a whole after the application exited or did not stop in time. It
//! is started through `rekeyd tethered`, so that the kernel kills it if the agent is killed.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use jiff::SignedDuration;
use rustix::process::Signal;
use tokio::process::{self, Command};
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::agent::random;
use crate::config::agent::{Exec, Restart};
use crate::contained::SELF_EXE;
use crate::domain::backoff::Backoff;
use crate::process_group::ProcessGroup;

const RETRY: Backoff = Backoff { first: SignedDuration::from_secs(1), cap: SignedDuration::from_mins(1) };
/// An application that ran for this long did not fail at its start.
const STABLE_AFTER: Duration = Duration::from_secs(60);

pub(super) struct Child {
    command_line: Vec<String>,
    exec: Exec,
    withheld: Vec<String>,
    running: Option<Running>,
    /// It is being stopped by the agent and will be started again.
    is_restarting: bool,
    failures: u32,
    /// When to start it again.
    pub(super) restart_at: Option<Instant>,
}

struct Running {
    /// Processes that the application leaves behind are killed with it. Dropped before `process`, whose end frees the id.
    group: ProcessGroup,
    process: process::Child,
    since: Instant,
}

impl Child {
    pub(super) fn new(command_line: Vec<String>, exec: Exec, withheld: Vec<String>) -> Self {
        Self {
            command_line,
            exec,
            withheld,
            running: None,
            is_restarting: false,
            failures: 0,
            restart_at: None,
        }
    }

    /// # Errors
    /// It could not be started; nothing runs.
    pub(super) fn start(&mut self, variables: &[(String, Zeroizing<String>)]) -> io::Result<()> {
        (self.restart_at, self.is_restarting) = (None, false);
        let mut command = Command::new(SELF_EXE);
        command.arg("tethered").arg("--parent").arg(std::process::id().to_string()).arg("--");
        command.args(&self.command_line).process_group(0).kill_on_drop(true).env_remove("NOTIFY_SOCKET");
        for name in &self.withheld {
            command.env_remove(name);
        }
        for (name, value) in variables {
            command.env(name, value.as_str());
        }
        let process = command.spawn()?;
        let group = ProcessGroup::led_by(&process).ok_or_else(|| io::Error::other("it has no process id"))?;
        tracing::info!(pid = process.id(), "application started");
        self.running = Some(Running { process, group, since: Instant::now() });
        Ok(())
    }

    /// How long it has been running.
    pub(super) fn age(&self) -> Option<Duration> {
        self.running.as_ref().map(|it| it.since.elapsed())
    }

    /// Waits until it exits by itself; for ever if it does not run. Cancel-safe.
    pub(super) async fn exited(&mut self) -> ExitStatus {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let age = running.since.elapsed();
        let Ok(status) = running.process.wait().await else { return std::future::pending().await };
        self.running = None;
        self.failures = if age < STABLE_AFTER { self.failures.saturating_add(1) } else { 1 };
        status
    }

    /// Whether the agent stopped it in order to start it again.
    pub(super) fn is_restarting(&self) -> bool {
        self.is_restarting
    }

    /// After an exit that the agent did not cause: whether to start it again. If so, the restart is scheduled.
    pub(super) fn will_restart(&mut self, status: ExitStatus) -> bool {
        let again = match self.exec.restart {
            Restart::Never => false,
            Restart::OnFailure => !status.success(),
            Restart::Always => true,
        };
        if again {
            self.delay();
        }
        again
    }

    pub(super) fn delay(&mut self) {
        let wait = RETRY.wait(self.failures.max(1), None, random()).unsigned_abs();
        self.restart_at = Some(Instant::now() + wait);
    }

    /// Forwards a signal.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(running) = &self.running {
            running.group.signal_leader(signal);
        }
    }

    /// Stops it before a restart: SIGTERM, then SIGKILL to the process group after `stop_within`. If this is cancelled,
    /// the application may still be running.
    pub(super) async fn stop_for_restart(&mut self) {
        self.is_restarting = true;
        self.signal(Signal::TERM);
        if let Some(status) = self.finish().await {
            tracing::info!(%status, "application stopped for a restart");
        }
    }

    /// Waits until it exits, and kills it after `stop_within`. Cancel-safe.
    pub(super) async fn finish(&mut self) -> Option<ExitStatus> {
        let running = self.running.as_mut()?;
        match timeout(self.exec.stop_within, running.process.wait()).await {
            Ok(status) => {
                self.running = None;
                status.ok()
            }
            Err(_) => {
                tracing::warn!(within = ?self.exec.stop_within, "application did not stop in time; killing it");
                self.kill().await
            }
        }
    }

    /// Sends SIGKILL to the process group and waits until the application is gone.
    pub(super) async fn kill(&mut self) -> Option<ExitStatus> {
        let running = self.running.as_mut()?;
        running.group.kill();
        let status = running.process.wait().await;
        self.running = None;
        status.ok()
    }
}

/// The exit code that a shell would report.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code & 0xff).unwrap_or(1)
}
