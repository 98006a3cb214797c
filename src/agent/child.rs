//! The application as a child process: started with its secrets, stopped in order, and never left behind.
//!
//! It is a group of its own, which is killed as a whole when the application has ended or does not end; and it is started
//! through `rekeyd tethered`, by which the kernel kills it when the agent is killed.

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
use crate::domain::backoff::Backoff;
use crate::process_group::ProcessGroup;

/// This very program, also when its file was replaced by a newer one.
const OURSELVES: &str = "/proc/self/exe";
const RETRY: Backoff = Backoff { first: SignedDuration::from_secs(1), cap: SignedDuration::from_mins(1) };
/// An application that ran so long did not fail at its start.
const LONG: Duration = Duration::from_secs(60);

pub(super) struct Child {
    words: Vec<String>,
    exec: Exec,
    withheld: Vec<String>,
    running: Option<Running>,
    /// It is being stopped in order to be started again.
    is_replaced: bool,
    failures: u32,
    /// When it is started again.
    pub(super) again_at: Option<Instant>,
}

struct Running {
    process: process::Child,
    /// What an application leaves behind is killed with it.
    group: ProcessGroup,
    since: Instant,
}

impl Child {
    pub(super) fn new(words: Vec<String>, exec: Exec, withheld: Vec<String>) -> Self {
        Self { words, exec, withheld, running: None, is_replaced: false, failures: 0, again_at: None }
    }

    /// # Errors
    /// It could not be started; nothing runs.
    pub(super) fn start(&mut self, variables: &[(String, Zeroizing<String>)]) -> io::Result<()> {
        (self.again_at, self.is_replaced) = (None, false);
        let mut command = Command::new(OURSELVES);
        command.arg("tethered").arg("--parent").arg(std::process::id().to_string()).arg("--");
        command.args(&self.words).process_group(0).kill_on_drop(true).env_remove("NOTIFY_SOCKET");
        for name in &self.withheld {
            command.env_remove(name);
        }
        for (name, value) in variables {
            command.env(name, value.as_str());
        }
        let process = command.spawn()?;
        let group = ProcessGroup::led_by(&process).ok_or_else(|| io::Error::other("it has no process id"))?;
        tracing::info!(pid = process.id(), "the application is started");
        self.running = Some(Running { process, group, since: Instant::now() });
        Ok(())
    }

    /// How long it has been running.
    pub(super) fn age(&self) -> Option<Duration> {
        self.running.as_ref().map(|it| it.since.elapsed())
    }

    /// Waits until it ends by itself; for ever if it does not run. Cancel-safe.
    pub(super) async fn ended(&mut self) -> ExitStatus {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let age = running.since.elapsed();
        let Ok(status) = running.process.wait().await else { return std::future::pending().await };
        self.running = None;
        self.failures = if age < LONG { self.failures.saturating_add(1) } else { 1 };
        status
    }

    /// Whether it was told to end, to make room for another start of it.
    pub(super) fn is_replaced(&self) -> bool {
        self.is_replaced
    }

    /// After it ended by itself: whether it is started again, which is noted.
    pub(super) fn comes_again(&mut self, status: ExitStatus) -> bool {
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
        self.again_at = Some(Instant::now() + wait);
    }

    /// Passes a signal on.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(running) = &self.running {
            running.group.signal_leader(signal);
        }
    }

    /// SIGTERM, and SIGKILL to all of it if it takes too long, before it is started again. When this is cancelled, it
    /// may still be running.
    pub(super) async fn make_room(&mut self) {
        self.is_replaced = true;
        self.signal(Signal::TERM);
        if let Some(status) = self.finish().await {
            tracing::info!(%status, "the application ended, to be started again");
        }
    }

    /// Waits until it has ended, and kills it when that takes too long. Cancel-safe.
    pub(super) async fn finish(&mut self) -> Option<ExitStatus> {
        let running = self.running.as_mut()?;
        match timeout(self.exec.stop_within, running.process.wait()).await {
            Ok(status) => {
                self.running = None;
                status.ok()
            }
            Err(_) => {
                tracing::warn!(within = ?self.exec.stop_within, "the application does not end: it is killed");
                self.kill().await
            }
        }
    }

    /// SIGKILL to all of it, and waits until it is gone.
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
