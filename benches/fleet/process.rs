//! Child processes: ended when they are dropped, and what the kernel knows of them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// After which a child that was asked to stop is killed.
const STOP: Duration = Duration::from_secs(15);

/// How the kernel counts processor time in `/proc`: a hundredth of a second everywhere that Linux runs today.
const TICK: Duration = Duration::from_millis(10);

/// A child and the lines that it writes, each with when it was read.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<(Instant, String)>,
    name: &'static str,
}

/// Where a child says what is waited for.
#[derive(Clone, Copy)]
pub(crate) enum Says {
    Out,
    Err,
}

impl Process {
    pub(crate) fn start(name: &'static str, says: Says, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null());
        match says {
            Says::Out => command.stdout(Stdio::piped()).stderr(Stdio::inherit()),
            Says::Err => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
        let stream: Box<dyn Read + Send> = match says {
            Says::Out => Box::new(child.stdout.take().context("a pipe")?),
            Says::Err => Box::new(child.stderr.take().context("a pipe")?),
        };
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                // Read to the end also when nobody listens any more, so that the child never blocks.
                drop(sender.send((Instant::now(), line)));
            }
        });
        Ok(Self { child, lines, name })
    }

    /// The next line for which `wanted` has an answer.
    pub(crate) fn until<T>(
        &self,
        within: Duration,
        mut wanted: impl FnMut(Instant, &str) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + within;
        let mut last = String::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((at, line)) => {
                    if let Some(answer) = wanted(at, &line) {
                        return Ok(answer);
                    }
                    last = line;
                }
                Err(RecvTimeoutError::Timeout) => bail!("{}: not within {within:?}; {last}", self.name),
                Err(RecvTimeoutError::Disconnected) => bail!("{}: ended by itself; {last}", self.name),
            }
        }
    }

    /// Processor time that it has used so far, its own and the kernel's for it.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program stands in parentheses and may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        Ok(TICK * ticks.sum::<Result<u32, _>>()?)
    }

    /// Resident memory in MiB: now, and at its highest since the process started.
    pub(crate) fn memory(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = |field: &str| -> Result<f64> {
            let line =
                status.lines().find_map(|line| line.strip_prefix(field)).context("/proc/PID/status")?;
            Ok(line.trim().trim_end_matches(" kB").parse::<f64>()?)
        };
        Ok((kib("VmRSS:")? / 1024.0, kib("VmHWM:")? / 1024.0))
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        kill_process(pid, Signal::TERM)?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > STOP {
                bail!("{} did not stop within {STOP:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Processor time that the calling thread has used so far.
pub(crate) fn own_cpu() -> Result<Duration> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let used = schedstat.split(' ').next().context("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(used.parse()?))
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has usually ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
