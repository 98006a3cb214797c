//! A stage with consumers at work, and the real program to be run on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::demo::consumer::{Consumer, Crowd, Directions, Switched, Tally};
use rekeyd::demo::daemon::Launcher;
use rekeyd::demo::fixture::{Fixture, Pace};
use rekeyd::demo::journal_watch::JournalWatch;
use rekeyd::demo::result::DemoResult;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::faults::{Fault, Moment, What};
use rekeyd::sandbox::route::Route;
use tokio::sync::{mpsc, watch};

/// What a shell has to know to run commands as they are written.
const SHELL: &str = "sudo() { \"$@\"; }; rekeyd() { \"$REKEYD\" \"$@\"; }; ";

/// Rest that lasts so long is rest.
const QUIET: Duration = Duration::from_secs(1);

pub(crate) struct Rehearsal {
    pub(crate) stage: Fixture,
    pub(crate) launcher: Launcher,
    pub(crate) chronicle: JournalWatch,
    crowd: Crowd,
}

impl Rehearsal {
    /// Everything but the daemon.
    pub(crate) async fn set(seed: u64, pace: &Pace) -> Self {
        let stage = Fixture::build(seed, pace).await.unwrap();
        let consumers = stage.consumers();
        Self::on(stage, consumers, &mpsc::unbounded_channel().0)
    }

    /// On a stage with these consumers; `switches` hears what they switch to.
    pub(crate) fn on(
        stage: Fixture,
        consumers: Vec<Consumer>,
        switches: &mpsc::UnboundedSender<Switched>,
    ) -> Self {
        let (address, daemon) = watch::channel(None);
        let directions = Directions { provider: stage.sandbox.base_url(), daemon };
        let launcher = Launcher {
            program: PathBuf::from(env!("CARGO_BIN_EXE_rekeyd")),
            policy: stage.policy(),
            log: stage.log(),
            filter: None,
            address,
        };
        let crowd = Crowd::start(consumers, &directions, switches).unwrap();
        let chronicle = JournalWatch::new(&stage.journal(), stage.credentials());
        Self { stage, launcher, chronicle, crowd }
    }

    /// Deletes the keys that nobody answers for: a sweep would tell of them.
    pub(crate) fn without_strangers(&self) {
        let sandbox = &self.stage.sandbox;
        let keys: Vec<String> = sandbox.truth().keys().map(|key| key.key_id.clone()).collect();
        let adopted = self.stage.adopted();
        for stranger in keys.iter().filter(|id| *id != "admin" && !adopted.contains(id.as_str())) {
            sandbox.workspace().delete_key(stranger, SystemClock.now()).unwrap();
        }
    }

    /// A command as a document shows it, with the stage's places for those of an installed machine.
    pub(crate) fn prompt(&self, command: &str) -> Command {
        let root = self.stage.root().display().to_string();
        let address = self.launcher.address.borrow().map(|address| address.to_string());
        let here = command
            .replace("/etc/rekeyd/credentials/elevenlabs-admin-key", &format!("{root}/admin-key"))
            .replace("/etc/rekeyd", &root)
            .replace("/var/lib/rekeyd", &root)
            .replace("/var/backups/rekeyd", &format!("{root}/backups"))
            .replace("127.0.0.1:9809", address.as_deref().unwrap_or("127.0.0.1:9809"));
        let mut prompt = Command::new("sh");
        prompt.args(["-c", &format!("{SHELL}{here}")]).env("REKEYD", env!("CARGO_BIN_EXE_rekeyd"));
        prompt.current_dir(self.stage.root()).env("REKEYD_SOCKET", self.stage.socket());
        prompt
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.stage.log()).unwrap_or_default()
    }

    pub(crate) fn calls(&self, route: Route) -> u64 {
        self.stage.sandbox.truth().requests.get(&route).copied().unwrap_or(0)
    }

    /// Until no rotation is under way, and none begins for a second.
    pub(crate) async fn rests(&self) {
        let (begun, mut quiet_since) = (Instant::now(), None);
        loop {
            if !self.chronicle.is_at_rest() {
                quiet_since = None;
            } else if quiet_since.get_or_insert_with(Instant::now).elapsed() >= QUIET {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "it does not come to rest:\n{}", self.tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Until `holds`, for twenty seconds at most.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < Duration::from_secs(20), "not in time: {what}\n{}", self.tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The last lines of the log.
    pub(crate) fn tail(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// What the consumers have done until now.
    pub(crate) fn tallies(&self) -> BTreeMap<String, Tally> {
        self.crowd.tallies()
    }

    /// Sends the consumers home and judges; the daemon must have stopped.
    pub(crate) async fn verdict(self, kills: usize) -> (DemoResult, BTreeMap<String, Tally>, Fixture) {
        let tallies = self.crowd.stop().await;
        let verdict = DemoResult::judge(&self.stage, &self.chronicle, &tallies, kills).unwrap();
        (verdict, tallies, self.stage)
    }
}

pub(crate) fn slow(route: Route, milliseconds: i64, moment: Moment) -> Fault {
    let lasts = jiff::SignedDuration::from_millis(milliseconds);
    Fault::on(route, What::Delay { lasts, moment })
}
