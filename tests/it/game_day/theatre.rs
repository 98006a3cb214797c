//! A healthy stage with the real daemon, and an on-call person who has its alerts, its page, its status and the runbook.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::demo::consumer::{Consumer, Tally};
use rekeyd::demo::daemon::Daemon;
use rekeyd::demo::stage::{Pace, Stage};
use rekeyd::ports::clock::Clock as _;
use rustix::process::Signal;
use tokio::sync::mpsc;

use crate::support::promtool;
use crate::support::rehearsal::Rehearsal;

const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Theatre {
    pub(super) rehearsal: Rehearsal,
    daemon: Option<Daemon>,
}

impl Theatre {
    /// Everything has been rotated once, rests, and raises no alert.
    pub(super) async fn open(seed: u64) -> Self {
        let theatre = Self::set(seed, &[], |_, _| {}).await;
        theatre.begins().await;
        theatre
    }

    /// The daemon has been started. The policy has these parts in the place of others; `directs` says what consumers do
    /// otherwise than the stage has it.
    pub(super) async fn set(
        seed: u64,
        changes: &[(&str, &str)],
        directs: impl FnOnce(&Stage, &mut [Consumer]),
    ) -> Self {
        let stage = Stage::build(seed, &Pace::new("365d", "2s", "300ms")).await.unwrap();
        let mut consumers = stage.consumers();
        directs(&stage, &mut consumers);
        let rehearsal = Rehearsal::on(stage, consumers, &mpsc::unbounded_channel().0);
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

    pub(super) fn signal(&self, signal: Signal) {
        self.daemon.as_ref().unwrap().signal(signal).unwrap();
    }

    /// Where the daemon listens.
    pub(super) fn url(&self) -> String {
        let address = self.rehearsal.launcher.address.borrow().unwrap();
        format!("http://{address}")
    }

    async fn get(&self, path: &str) -> String {
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
        let stage = &self.rehearsal.stage;
        let root = stage.root().display().to_string();
        let here = command
            .replace("/etc/rekeyd/credentials/elevenlabs-admin-key", &format!("{root}/admin-key"))
            .replace("/etc/rekeyd", &root)
            .replace("/var/lib/rekeyd", &root);
        let mut words = here.strip_prefix("sudo ").unwrap_or(&here).split_whitespace();
        let program = words.next().unwrap();
        let looks = ["rekeyd check", "rekeyd doctor"].iter().any(|look| command.contains(look));
        let program = if program == "rekeyd" { env!("CARGO_BIN_EXE_rekeyd") } else { program };
        let mut typed = Command::new(program);
        typed.args(words).current_dir(stage.root()).env("REKEYD_SOCKET", stage.socket());
        let output = tokio::task::spawn_blocking(move || typed.output().unwrap()).await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(looks || output.status.success(), "`{command}`: {said}");
        said
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
                Some("restart rekeyd") => {
                    self.daemon.take().unwrap().stop().await.unwrap();
                    self.daemon = Some(self.rehearsal.launcher.start().await.unwrap());
                }
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

/// What the runbook's entry below this heading shows after a prompt.
fn commands_of(heading: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md");
    let runbook = fs::read_to_string(path).unwrap();
    let entry = runbook.split(&format!("\n### {heading}\n")).nth(1).unwrap();
    let entry = entry.split("\n#").next().unwrap();
    entry.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}
