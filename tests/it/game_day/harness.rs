//! A healthy stage with the real daemon, and an on-call person who has its alerts, its page, its status and the runbook.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::demo::consumer::{Consumer, Tally};
use rekeyd::demo::daemon::Daemon;
use rekeyd::demo::fixture::{Fixture, Pace};
use rekeyd::ports::clock::Clock as _;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use tokio::sync::mpsc;

use crate::support::promtool;
use crate::support::rehearsal::Rehearsal;

const PATIENCE: Duration = Duration::from_secs(15);

/// Who the daemon and its operator are for AWS, which is never the real one.
const AWS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "testing"),
    ("AWS_SECRET_ACCESS_KEY", "testing"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

pub(super) struct Harness {
    pub(super) rehearsal: Rehearsal,
    daemon: Option<Daemon>,
}

impl Harness {
    /// Everything has been rotated once, rests, and raises no alert.
    pub(super) async fn open(seed: u64) -> Self {
        let harness = Self::set(seed, &[], |_, _| {}).await;
        harness.begins().await;
        harness
    }

    /// The daemon has been started. The policy has these parts in the place of others; `directs` says what consumers do
    /// otherwise than the stage has it.
    pub(super) async fn set(
        seed: u64,
        changes: &[(&str, &str)],
        directs: impl FnOnce(&Fixture, &mut [Consumer]),
    ) -> Self {
        let stage = Fixture::build(seed, &Pace::new("365d", "2s", "300ms")).await.unwrap();
        let mut consumers = stage.consumers();
        directs(&stage, &mut consumers);
        let mut rehearsal = Rehearsal::on(stage, consumers, &mpsc::unbounded_channel().0);
        rehearsal.launcher.program = wrapped(rehearsal.stage.root());
        let stage = &rehearsal.stage;
        let quick = ("sweep_every = \"15s\"", "sweep_every = \"15s\"\ninspect_every = \"1s\"");
        let mut text = fs::read_to_string(stage.policy()).unwrap();
        for (from, to) in std::iter::once(&quick).chain(changes) {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, &to.replace("/etc/rekeyd", &stage.root().display().to_string()));
        }
        fs::write(stage.policy(), text).unwrap();
        rehearsal.without_strangers();
        let daemon = Some(rehearsal.launcher.start().await.unwrap());
        Self { rehearsal, daemon }
    }

    /// Waits until everything has been rotated once, rests, and raises no alert.
    pub(super) async fn begins(&self) {
        let rehearsal = &self.rehearsal;
        let done = |it: &Rehearsal| it.chronicle.rotations().is_ok_and(|all| all.len() >= 3);
        rehearsal.until("every credential is rotated", done).await;
        rehearsal.rests().await;
        self.raises(&[]).await;
    }

    /// The file system takes no more of what the daemon writes, or does again.
    pub(super) fn fill_the_disk(&self, full: bool) {
        let pid = Pid::from_raw(i32::try_from(self.daemon.as_ref().unwrap().id()).unwrap());
        let ours = getrlimit(Resource::Fsize);
        let theirs = if full { Rlimit { current: Some(0), ..ours } } else { ours };
        prlimit(pid, Resource::Fsize, theirs).unwrap();
    }

    /// Ends the daemon, does something while it is down, and starts it again.
    pub(super) async fn meanwhile(&mut self, done: impl FnOnce(&Self)) {
        self.daemon.take().unwrap().stop().await.unwrap();
        done(self);
        self.daemon = Some(self.rehearsal.launcher.start().await.unwrap());
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.daemon.as_ref().unwrap().signal(signal).unwrap();
    }

    /// Where the daemon listens.
    pub(super) fn url(&self) -> String {
        let address = self.rehearsal.launcher.address.borrow().unwrap();
        format!("http://{address}")
    }

    pub(super) async fn get(&self, path: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        client.get(format!("{}{path}", self.url())).send().await.unwrap().text().await.unwrap()
    }

    /// Until a line of the metrics ends so.
    pub(super) async fn tells(&self, wanted: &str) {
        self.tells_some(wanted, |line| line.strip_suffix(".0").unwrap_or(line).ends_with(wanted)).await;
    }

    /// Until a line of the metrics begins so.
    pub(super) async fn tells_of(&self, wanted: &str) {
        self.tells_some(wanted, |line| line.starts_with(wanted)).await;
    }

    async fn tells_some(&self, wanted: &str, is_it: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let scrape = self.get("/metrics").await;
            if scrape.lines().any(&is_it) {
                return;
            }
            let late = begun.elapsed() > PATIENCE;
            assert!(!late, "never `{wanted}`:\n{scrape}\n{}", self.rehearsal.tail());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The names of the alerts that fire if everything stays as it is.
    pub(super) async fn alerts(&self) -> Vec<String> {
        self.alerts_since(&self.scrape().await).await
    }

    pub(super) async fn scrape(&self) -> String {
        self.get("/metrics").await
    }

    /// The same, where counters have moved since an earlier scrape.
    pub(super) async fn alerts_since(&self, before: &str) -> Vec<String> {
        let (before, scrape) = (before.to_owned(), self.scrape().await);
        let at = SystemClock.now().as_second() as f64;
        let name =
            |it: String| it.split("alertname=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let firing = move || promtool::firing(&before, &scrape, at);
        tokio::task::spawn_blocking(firing).await.unwrap().into_iter().map(name).collect()
    }

    /// Until these alerts fire, and no others.
    pub(super) async fn raises(&self, wanted: &[&str]) {
        let begun = Instant::now();
        loop {
            let raised = self.alerts().await;
            if raised == wanted {
                return;
            }
            let late = begun.elapsed() > PATIENCE;
            assert!(!late, "{raised:?} fire, and not {wanted:?}\n{}", self.rehearsal.tail());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Until the page says all of it.
    pub(super) async fn page_says(&self, path: &str, wanted: &[&str]) {
        let begun = Instant::now();
        loop {
            let page = self.get(path).await;
            let plain: String =
                page.split('<').map(|part| part.split_once('>').map_or(part, |it| it.1)).collect();
            let missing: Vec<&&str> = wanted
                .iter()
                .filter(|it| !plain.contains(**it) && !plain.contains(&it.replace('_', " ")))
                .collect();
            if missing.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{path} does not say {missing:?}: {plain}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Until both forms of status say all of it, the cause and what to type.
    pub(super) async fn status_says(&self, wanted: &[&str]) {
        for status in ["status", "status --why tts-backend"] {
            let begun = Instant::now();
            let command = format!("rekeyd {status} --policy /etc/rekeyd/policy.toml");
            loop {
                let told = self.types(&command).await;
                let missing: Vec<&&str> = wanted.iter().filter(|it| !told.contains(**it)).collect();
                if missing.is_empty() {
                    break;
                }
                assert!(begun.elapsed() < PATIENCE, "{command} does not say {missing:?}:\n{told}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Types a command as a document has it, with the stage's places for the real ones; says what came back.
    pub(super) async fn types(&self, command: &str) -> String {
        let looks = ["rekeyd check", "rekeyd doctor"].iter().any(|look| command.contains(look));
        let (succeeded, said) = self.tries(command).await;
        assert!(looks || succeeded, "`{command}`: {said}");
        said
    }

    /// As [`Self::types`]; what it says says no.
    pub(super) async fn says_no(&self, command: &str) -> String {
        let (succeeded, said) = self.tries(command).await;
        assert!(!succeeded, "`{command}`: {said}");
        said
    }

    async fn tries(&self, command: &str) -> (bool, String) {
        let mut typed = self.rehearsal.prompt(command);
        typed.envs(AWS);
        let output = tokio::task::spawn_blocking(move || typed.output().unwrap()).await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    }

    /// Does what the runbook's entry shows, command by command. `does` is asked first: what only a person can do.
    pub(super) async fn follows(&mut self, heading: &str, does: impl Fn(&Self, &str) -> bool) {
        let commands = commands_of(heading);
        assert!(!commands.is_empty(), "the runbook's entry `{heading}` shows no command");
        for command in commands {
            if does(self, &command) {
                continue;
            }
            match command.strip_prefix("sudo systemctl ") {
                Some("reload rekeyd") => self.signal(Signal::HUP),
                Some("restart rekeyd") => self.meanwhile(|_| {}).await,
                Some("stop rekeyd") => self.daemon.take().unwrap().stop().await.unwrap(),
                Some("start rekeyd") => self.daemon = Some(self.rehearsal.launcher.start().await.unwrap()),
                _ => drop(self.types(&command).await),
            }
        }
    }

    /// Nothing fires any more, status says that all is fine, and no consumer was ever refused.
    pub(super) async fn ends_well(self) {
        self.is_mended(&[]).await;
        self.ends(|_| true).await;
    }

    /// None of these consumers was ever refused.
    pub(super) async fn ends(self, unhurt: impl Fn(&str) -> bool) {
        let tallies = self.rehearsal.tallies();
        let is_well = |(name, it): (&String, &Tally)| it.requests > 0 && (it.failed == 0 || !unhurt(name));
        assert!(tallies.iter().all(is_well), "{tallies:?}");
        self.daemon.unwrap().stop().await.unwrap();
    }

    /// Until nothing fires but this, and status says that all is fine.
    pub(super) async fn is_mended(&self, left: &[&str]) {
        let begun = Instant::now();
        loop {
            let status = self.types("rekeyd status --policy /etc/rekeyd/policy.toml").await;
            let raised = self.alerts().await;
            if status.matches("fine ").count() == 3 && raised == left {
                break;
            }
            let late = begun.elapsed() > PATIENCE;
            assert!(!late, "{raised:?}\n{status}\n{}", self.rehearsal.tail());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// A script that becomes the daemon: AWS knows it, and a limit on its files is an error that it gets, not its end.
fn wrapped(root: &Path) -> PathBuf {
    let path = root.join("daemon");
    let set: String = AWS.iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
    let rekeyd = env!("CARGO_BIN_EXE_rekeyd");
    fs::write(&path, format!("#!/bin/sh\ntrap '' XFSZ\n{set}exec {rekeyd} \"$@\"\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    path
}

/// What the runbook's entry below this heading shows after a prompt.
fn commands_of(heading: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md");
    let runbook = fs::read_to_string(path).unwrap();
    let entry = runbook.split(&format!("\n### {heading}\n")).nth(1).unwrap();
    let entry = entry.split("\n#").next().unwrap();
    entry.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}
