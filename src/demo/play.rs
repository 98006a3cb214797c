//! The demo's script: the daemon rotates, is killed in the middle of a call, starts again, and finishes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::adapters::clock::SystemClock;
use crate::demo::consumer::{Crowd, Directions, Switched, Tally};
use crate::demo::daemon::{Daemon, Launcher};
use crate::demo::fixture::{Fixture, Pace};
use crate::demo::journal_watch::JournalWatch;
use crate::demo::result::DemoResult;
use crate::demo::timeline::{Mood, Timeline};
use crate::demo::words;
use crate::domain::ids::{CredentialName, Nonce};
use crate::ports::clock::Clock as _;
use crate::sandbox::faults::{Fault, Moment, What};
use crate::sandbox::key::State;
use crate::sandbox::route::Route;

/// The shortest rehearsal in which everything can happen.
pub const LASTS_MIN: Duration = Duration::from_secs(15);

const LOOK: Duration = Duration::from_millis(20);
/// The first rotations are over by then.
const KILL_FROM: Duration = Duration::from_secs(5);
/// The consumer that is slow to notice its first new key, and for how long.
const STRAGGLER: &str = "tts-batch";
const STRAGGLES: Duration = Duration::from_secs(9);
const DOWN: Duration = Duration::from_millis(1500);
/// For the rotations that are under way at the end.
const REST: Duration = Duration::from_secs(30);
/// A reload takes effect within this time: rest that lasts so long is rest.
const QUIET: Duration = Duration::from_millis(600);

/// What is to be played.
pub struct Script {
    pub lasts: Duration,
    pub seed: u64,
    /// Leave the directory.
    pub keep: bool,
    pub colours: bool,
    /// The program that is the daemon.
    pub program: PathBuf,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Held,
    Broken,
    Interrupted,
}

/// Plays, and ends everything that was started, whatever happens.
///
/// # Errors
/// Something could not be started, or broke down.
pub async fn play(script: Script) -> anyhow::Result<Ended> {
    let scroll = Timeline::unroll(script.colours);
    let pace = Pace::new("8s", "2s", "1s");
    let stage = Fixture::build(script.seed, &pace).await?;
    stage.sandbox.set_faults(latency());
    let mut theatre = Harness::open(&stage, &script, scroll)?;
    let outcome = theatre.perform(&script, &pace).await;
    let outcome = theatre.close(outcome).await;
    if script.keep {
        let root = stage.keep();
        Timeline::unroll(false).write(&format!("left in {}\n", root.display()));
    }
    outcome
}

/// An API that is somewhere else: a creation takes long enough to die in.
fn latency() -> Vec<Fault> {
    let slow = |route, milliseconds, moment| {
        let lasts = SignedDuration::from_millis(milliseconds);
        Fault::on(route, What::Delay { lasts, moment })
    };
    vec![
        slow(Route::ListAccounts, 40, Moment::Before),
        slow(Route::CreateKey, 300, Moment::After),
        slow(Route::User, 40, Moment::Before),
        slow(Route::DisableKey, 60, Moment::Before),
        slow(Route::DeleteKey, 60, Moment::Before),
    ]
}

/// Where the drama has come to.
#[derive(Clone, Copy)]
enum Act {
    BeforeTheKill,
    Down(Instant),
    AfterTheKill,
}

struct Harness<'s> {
    stage: &'s Fixture,
    scroll: Timeline,
    launcher: Launcher,
    daemon: Option<Daemon>,
    crowd: Crowd,
    switches: mpsc::UnboundedReceiver<Switched>,
    chronicle: JournalWatch,
    /// Who was told to hold an old key back.
    waits_for: BTreeMap<CredentialName, BTreeSet<String>>,
    named: usize,
    kills: usize,
}

impl<'s> Harness<'s> {
    fn open(stage: &'s Fixture, script: &Script, scroll: Timeline) -> anyhow::Result<Self> {
        let (address, daemon) = watch::channel(None);
        let (told, switches) = mpsc::unbounded_channel();
        let directions = Directions { provider: stage.sandbox.base_url(), daemon };
        let launcher = Launcher {
            program: script.program.clone(),
            policy: stage.policy(),
            log: stage.log(),
            filter: None,
            address,
        };
        let mut consumers = stage.consumers();
        consumers.iter_mut().filter(|it| it.name == STRAGGLER).for_each(|it| it.first_cache = STRAGGLES);
        let crowd = Crowd::start(consumers, &directions, &told)?;
        let chronicle = JournalWatch::new(&stage.journal(), stage.credentials());
        let waits_for = BTreeMap::new();
        Ok(Self {
            stage,
            scroll,
            launcher,
            daemon: None,
            crowd,
            switches,
            chronicle,
            waits_for,
            named: 0,
            kills: 0,
        })
    }

    async fn perform(&mut self, script: &Script, pace: &Pace) -> anyhow::Result<Ended> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            outcome = self.acts(script, pace) => outcome,
            _ = terminate.recv() => Ok(Ended::Interrupted),
            _ = interrupt.recv() => Ok(Ended::Interrupted),
        }
    }

    async fn acts(&mut self, script: &Script, pace: &Pace) -> anyhow::Result<Ended> {
        self.scroll
            .title("rekeyd demo: three credentials, four consumers, and a daemon that will be killed\n");
        let url = self.stage.sandbox.base_url();
        self.scroll.tell("sandbox", Mood::Scene, &format!("an ElevenLabs workspace on this machine: {url}"));
        self.start_daemon("rotates every 8 s; real ones do every 30 days").await?;
        let mut act = Act::BeforeTheKill;
        while self.scroll.elapsed() < script.lasts {
            self.look().await?;
            act = self.go_on(act).await?;
        }
        if matches!(act, Act::Down(_)) {
            self.start_daemon("starts again on the same journal").await?;
        }
        self.come_to_rest(pace).await?;
        Ok(Ended::Held)
    }

    async fn start_daemon(&mut self, text: &str) -> anyhow::Result<()> {
        let daemon = self.launcher.start().await?;
        self.scroll.tell("daemon", Mood::Scene, &format!("process {} {text}", daemon.id()));
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Tells what happened, and notices a daemon that has ended.
    async fn look(&mut self) -> anyhow::Result<()> {
        for news in self.chronicle.news() {
            if let Some((mood, text)) = words::told(&news) {
                self.scroll.tell(news.plan.credential.as_str(), mood, &text);
            }
        }
        while let Ok(Switched { consumer, credential, .. }) = self.switches.try_recv() {
            let text = format!("consumer {consumer} now uses the new key");
            self.scroll.tell(credential.as_str(), Mood::Switch, &text);
        }
        self.name_lagging_consumers();
        if let Some(daemon) = &mut self.daemon {
            daemon.check()?;
        }
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    /// Tells who holds an old key back, and that nobody does any more.
    fn name_lagging_consumers(&mut self) {
        let now = self.chronicle.waiting_on(SystemClock.now());
        for (credential, waiting_on) in now {
            let told = self.waits_for.entry(credential.clone()).or_default();
            let names: BTreeSet<String> = waiting_on.iter().map(|it| it.who.clone()).collect();
            for straggler in waiting_on.iter().filter(|it| !told.contains(&it.who)) {
                let text = format!("the old key stays: {} {}", straggler.who, straggler.why);
                self.scroll.tell(credential.as_str(), Mood::Trouble, &text);
                self.named += 1;
            }
            for name in told.difference(&names) {
                let text = format!("nothing is held back for {name} any more");
                self.scroll.tell(credential.as_str(), Mood::Good, &text);
            }
            *told = names;
        }
    }

    async fn go_on(&mut self, act: Act) -> anyhow::Result<Act> {
        match act {
            Act::BeforeTheKill if self.scroll.elapsed() >= KILL_FROM && self.a_key_hangs_in_the_air() => {
                if let Some(daemon) = self.daemon.take() {
                    daemon.kill().await?;
                }
                self.launcher.address.send_replace(None);
                self.kills += 1;
                let text = "KILLED while a key was being created: its value has reached nobody";
                self.scroll.tell("daemon", Mood::Trouble, text);
                Ok(Act::Down(Instant::now()))
            }
            Act::Down(since) if since.elapsed() >= DOWN => {
                self.start_daemon("starts again on the same journal").await?;
                Ok(Act::AfterTheKill)
            }
            Act::BeforeTheKill | Act::Down(_) | Act::AfterTheKill => Ok(act),
        }
    }

    /// Whether the provider has created a key whose creation the daemon does not know of yet.
    fn a_key_hangs_in_the_air(&self) -> bool {
        let truth = self.stage.sandbox.truth();
        truth.keys().any(|key| {
            key.state == State::Enabled
                && Nonce::find_in(&key.name).is_some()
                && !self.chronicle.knows(&key.key_id)
        })
    }

    async fn come_to_rest(&mut self, pace: &Pace) -> anyhow::Result<()> {
        self.stage.write_policy(&pace.at_rest())?;
        if let Some(daemon) = &self.daemon {
            daemon.signal(Signal::HUP)?;
        }
        let text = "takes a policy under which nothing more becomes due; what has begun goes on to its end";
        self.scroll.tell("daemon", Mood::Scene, text);
        let (begun, mut quiet_since) = (Instant::now(), None);
        loop {
            self.look().await?;
            if !self.chronicle.is_at_rest() {
                quiet_since = None;
            } else if quiet_since.get_or_insert_with(Instant::now).elapsed() >= QUIET {
                break;
            }
            // What has not ended by then is told by the verdict.
            if begun.elapsed() > REST {
                break;
            }
        }
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await?;
            self.scroll.tell("daemon", Mood::Scene, "stopped in order");
        }
        Ok(())
    }

    async fn close(self, outcome: anyhow::Result<Ended>) -> anyhow::Result<Ended> {
        let Self { stage, scroll, daemon, crowd, chronicle, named, kills, .. } = self;
        let tallies = crowd.stop().await;
        if let Some(daemon) = daemon {
            // It may have ended by itself: that is what the outcome says.
            drop(daemon.kill().await);
        }
        match outcome? {
            Ended::Interrupted => {
                scroll.tell("demo", Mood::Scene, "interrupted: everything that was started has been ended");
                Ok(Ended::Interrupted)
            }
            Ended::Held | Ended::Broken => conclude(stage, &scroll, &chronicle, &tallies, (named, kills)),
        }
    }
}

fn conclude(
    stage: &Fixture,
    scroll: &Timeline,
    chronicle: &JournalWatch,
    tallies: &BTreeMap<String, Tally>,
    (named, kills): (usize, usize),
) -> anyhow::Result<Ended> {
    let mut verdict = DemoResult::judge(stage, chronicle, tallies, kills)?;
    if kills == 0 {
        verdict.broken.push("the daemon was never killed: nothing is proven about crashes".to_owned());
    }
    if named == 0 {
        verdict.broken.push("the straggler was never named: nothing is proven about waiting".to_owned());
    }
    scroll.write(&format!("\n{}\n", verdict.table()));
    if verdict.holds() {
        scroll.title("every invariant held: no consumer noticed anything");
        return Ok(Ended::Held);
    }
    scroll.title("NOT every invariant held:");
    for broken in &verdict.broken {
        scroll.write(&format!("  {broken}\n"));
    }
    Ok(Ended::Broken)
}
