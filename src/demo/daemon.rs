//! The real daemon as a child process that can be started, killed and started again.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::watch;

const READY: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);
/// Longer than the policy's drain.
const STOP: Duration = Duration::from_secs(20);
const LOG_TAIL_BYTES: u64 = 64 * 1024;

/// How to start it.
pub struct Launcher {
    pub program: PathBuf,
    pub policy: PathBuf,
    /// What it says on its standard error is appended here.
    pub log: PathBuf,
    /// What it logs, as `REKEYD_LOG` says it; `None` is the daemon's own default.
    pub filter: Option<String>,
    /// Where its listener is: told as soon as it is ready, and taken back when it is killed.
    pub address: watch::Sender<Option<SocketAddr>>,
}

/// The running process. It is killed when this is dropped.
pub struct Daemon {
    child: Child,
    pid: Pid,
}

impl Launcher {
    /// Starts it without waiting for anything.
    ///
    /// # Errors
    /// The program could not be started, or its log not be written.
    pub fn spawn(&self) -> anyhow::Result<Daemon> {
        let log = self.open_log().context("cannot open the daemon's log")?;
        let mut command = Command::new(&self.program);
        command.arg("run").arg("--policy").arg(&self.policy).stdin(Stdio::null()).stdout(Stdio::null());
        // Not in our group: whoever interrupts us lets us end it in order.
        command.stderr(log).process_group(0).kill_on_drop(true);
        // Lines that a program reads, whoever runs us.
        command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET").env_remove("REKEYD_LOG");
        if let Some(filter) = &self.filter {
            command.env("REKEYD_LOG", filter);
        }
        let child = command.spawn().context("cannot start the daemon")?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Daemon { child, pid: pid.context("the daemon ended at once")? })
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// It ended, or took too long; with what it said last.
    pub async fn start(&self) -> anyhow::Result<Daemon> {
        let before = self.open_log().and_then(|log| log.metadata()).map_or(0, |log| log.len());
        let mut daemon = self.spawn()?;
        let begun = Instant::now();
        loop {
            if let Some(address) = ready_line(&self.said_since(before)) {
                self.address.send_replace(Some(address));
                return Ok(daemon);
            }
            if let Some(status) = daemon.child.try_wait()? {
                bail!("the daemon ended with {status}: {}", last_line(&self.said_since(before)));
            }
            if begun.elapsed() > READY {
                bail!("the daemon is not ready in time: {}", last_line(&self.said_since(before)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn open_log(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).append(true).open(&self.log)
    }

    fn said_since(&self, before: u64) -> String {
        let mut bytes = Vec::new();
        let read = File::open(&self.log).and_then(|mut log| {
            log.seek(SeekFrom::Start(before))?;
            log.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)
        });
        read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Daemon {
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Sends a signal; one that has ended does not hear it.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        match kill_process(self.pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).context("cannot send the daemon a signal"),
        }
    }

    /// # Errors
    /// It has ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the daemon ended by itself with {status}"),
        }
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// It could not be killed; or it had ended by itself.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.check()?;
        self.child.kill().await.context("cannot kill the daemon")
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It does not end.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        Ok(ended.context("the daemon does not end")??)
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Errors
    /// It does not end, or had not ended in order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.ended().await?;
        if status.success() { Ok(()) } else { bail!("the daemon ended with {status}") }
    }
}

/// The address in the line by which the daemon says that it is ready.
fn ready_line(said: &str) -> Option<SocketAddr> {
    said.lines().find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let is_ready = line.get("message")? == "ready";
        line.get("listen").filter(|_| is_ready)?.as_str()?.parse().ok()
    })
}

fn last_line(said: &str) -> &str {
    said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing")
}
