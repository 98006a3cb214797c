//! Agents and the real daemon: rotations end because an agent acknowledged, and wait while none does.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rekeyd::demo::daemon::Launcher;
use rekeyd::demo::fixture::{Fixture, Pace};
use rekeyd::demo::journal_watch::JournalWatch;
use rekeyd::domain::event::Event;
use rekeyd::domain::ids::CredentialName;
use tokio::sync::watch;

use super::harness::{Agent, AgentHarness};
use super::recorder::Recorder;

const CREDENTIAL: &str = "voice-agent";

/// An agent that follows the credential of the stage, for the application `app`.
fn agent(harness: &AgentHarness, stage: &Fixture, daemon: &str, app: &Recorder) -> Agent {
    let consumers = stage.consumers();
    let consumer = consumers.iter().find(|it| it.name == CREDENTIAL).unwrap();
    fs::write(harness.path("token"), consumer.token.as_ref().unwrap()).unwrap();
    let config = format!(
        "[secrets.{CREDENTIAL}]\nfrom.file = \"{}\"\nevery = \"20ms\"\n{}\n[on_change]\nurl = \"{}\"\n[health]\nurl = \
         \"{}\"\nafter = \"20ms\"\nevery = \"50ms\"\ndeadline = \"500ms\"\n{}",
        consumer.file.display(),
        harness.to_key(),
        app.url("/reload"),
        app.url("/healthz"),
        harness.rekeyd(daemon, "1s").replace("\"api\"", &format!("\"{CREDENTIAL}\"")),
    );
    harness.agent(&config)
}

pub(crate) fn released(chronicle: &JournalWatch) -> usize {
    let rotations = chronicle.rotations().unwrap_or_default();
    let events = rotations.iter().flat_map(|told| &told.events);
    events.filter(|event| matches!(event, Event::Released { .. })).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_end_because_the_agent_acknowledges_and_wait_while_it_does_not() {
    let stage = Fixture::build(31, &Pace::new("1s", "100ms", "100ms")).await.unwrap();
    let (address, _) = watch::channel(None);
    let launcher = Launcher {
        program: PathBuf::from(env!("CARGO_BIN_EXE_rekeyd")),
        policy: stage.policy(),
        log: stage.log(),
        filter: None,
        address,
    };
    let credential = CredentialName::new(CREDENTIAL).unwrap();
    let chronicle = JournalWatch::new(&stage.journal(), [&credential].into_iter());
    let (harness, app) = (AgentHarness::new(), Recorder::start());
    let daemon = launcher.start().await.unwrap();
    let url = format!("http://{}", launcher.address.borrow().unwrap());
    let first = agent(&harness, &stage, &url, &app);
    harness.until("old keys are revoked", || released(&chronicle) >= 2);
    first.kill();

    // Nobody says any more that the newest key is in use.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let held = released(&chronicle);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(released(&chronicle), held, "a key was revoked without an acknowledgement");

    fs::remove_file(harness.path("log")).unwrap();
    let second = agent(&harness, &stage, &url, &app);
    harness.until("keys are revoked again", || released(&chronicle) > held + 1);
    // The daemon takes a bad word too.
    app.answers(500);
    harness.until("it is reported as failing", || {
        harness
            .log()
            .lines()
            .any(|line| line.contains("acknowledged to rekeyd") && line.contains("\"failing\""))
    });
    second.stop();
    daemon.stop().await.unwrap();
    let secrets = stage.secrets();
    let said = harness.log() + &fs::read_to_string(stage.log()).unwrap();
    assert!(secrets.len() > 3 && secrets.iter().all(|secret| !said.contains(secret)), "a value was told");
}
