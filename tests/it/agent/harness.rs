//! A folder with what is followed and what is written, and agents that are started on it and ended with their test.

use std::fs;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rekeyd::domain::secret::Fingerprint;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const TOKEN: &str = "tok_agent_planted";

pub(crate) struct AgentHarness {
    directory: TempDir,
}

impl AgentHarness {
    /// With a token's file, and a secret to follow that holds `sk_first`.
    pub(crate) fn new() -> Self {
        let harness = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(harness.path("token"), format!("{TOKEN}\n")).unwrap();
        harness.publish("sk_first");
        harness
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn shown(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Replaces the followed secret in one step, as rekeyd does.
    pub(crate) fn publish(&self, value: &str) {
        self.publish_as("source", value);
    }

    pub(crate) fn publish_as(&self, name: &str, value: &str) {
        fs::write(self.path("fresh"), value).unwrap();
        fs::rename(self.path("fresh"), self.path(name)).unwrap();
    }

    /// A configuration that follows `source` quickly and writes `key`, and whatever `more` says.
    pub(crate) fn config(&self, of_secret: &str, more: &str) -> String {
        format!(
            "[secrets.tts]\nfrom.file = \"{}\"\nevery = \"20ms\"\n{of_secret}\n{more}\n",
            self.shown("source")
        )
    }

    pub(crate) fn to_key(&self) -> String {
        format!("to.path = \"{}\"", self.shown("key"))
    }

    pub(crate) fn rekeyd(&self, url: &str, heartbeat: &str) -> String {
        format!(
            "[rekeyd]\nurl = \"{url}\"\nconsumer = \"api\"\ntoken.file = \"{}\"\nheartbeat = \"{heartbeat}\"\n",
            self.shown("token")
        )
    }

    pub(crate) fn agent(&self, config: &str) -> Agent {
        self.agent_with(config, &[], &[])
    }

    pub(crate) fn exec(&self, config: &str, script: &str) -> Agent {
        self.agent_with(config, &["--exec", "--", "sh", "-c", script], &[])
    }

    /// What it says, and what its application says on its standard error, goes to the file `log`.
    pub(crate) fn agent_with(&self, config: &str, more: &[&str], environment: &[(&str, &str)]) -> Agent {
        fs::write(self.path("agent.toml"), config).unwrap();
        let log = OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let output = File::create(self.path("output")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.arg("agent").arg("--config").arg(self.path("agent.toml")).args(more);
        command.env("REKEYD_LOG", "debug").env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
        command.current_dir(self.directory.path()).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(output).stderr(log);
        Agent { child: command.spawn().unwrap() }
    }

    pub(crate) fn log(&self) -> String {
        self.read("log")
    }

    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    pub(crate) fn until_key(&self, value: &str) {
        self.until(&format!("the key is {value}"), || self.read("key") == value);
    }

    #[track_caller]
    pub(crate) fn until_log(&self, words: &str) {
        self.until(&format!("the log says `{words}`"), || self.log().contains(words));
    }
}

/// A running agent. It is killed when this is dropped.
pub(crate) struct Agent {
    child: Child,
}

impl Agent {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap(), signal).unwrap();
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the agent does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and it ends in order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn fingerprint(value: &str) -> String {
    Fingerprint::of(value.as_bytes()).to_string()
}

/// Whether a process is there and has not ended; one that nobody has waited for yet has.
pub(crate) fn is_alive(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}
