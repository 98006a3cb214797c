//! Consumers that do not come along: one that goes on with the old key, and one whose agent has died.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::demo::consumer::Consumer;
use rekeyd::demo::fixture::Fixture;
use rekeyd::domain::ids::CredentialName;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::key::State;

use super::harness::Harness;
use crate::agent::harness::{Agent, AgentHarness};

const STRAGGLER: &str = "tts-batch";

fn straggler(consumers: &mut [Consumer]) -> &mut Consumer {
    consumers.iter_mut().find(|it| it.name == STRAGGLER).unwrap()
}

fn published(stage: &Fixture) -> PathBuf {
    stage.secret(&CredentialName::new("tts-backend").unwrap())
}

/// Its container shows the directory that rekeyd publishes to.
fn mount(to: &Path, stage: &Fixture) {
    let fresh = to.with_extension("fresh");
    symlink(published(stage), &fresh).unwrap();
    fs::rename(fresh, to).unwrap();
}

/// Its container goes on showing the file that was there when it started.
fn mount_one_file(to: &Path) {
    let held = fs::read(to).unwrap();
    let fresh = to.with_extension("fresh");
    fs::write(&fresh, held).unwrap();
    fs::rename(fresh, to).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_goes_on_with_the_old_key_is_told_and_switched() {
    let place = |stage: &Fixture| stage.root().join("mounted-in-tts-batch");
    let overlap = [("at_most = \"1h\"", "at_most = \"3s\"")];
    let mut harness = Harness::set(71, &overlap, |stage, consumers| {
        mount(&place(stage), stage);
        straggler(consumers).file = place(stage);
    })
    .await;
    harness.begins().await;
    let mounted = place(&harness.rehearsal.stage);
    mount_one_file(&mounted);
    harness.types("rekeyd rotate tts-backend").await;
    harness.status_says(&["past its deadline", STRAGGLER, "rekeyd consumers tts-batch"]).await;
    harness.tells("gate=\"acks\",name=\"tts-batch\"} 1").await;
    harness.raises(&["RekeydConsumerLagging"]).await;
    harness.page_says("/", &["past its deadline", STRAGGLER, "rekeyd consumers tts-batch"]).await;
    harness
        .page_says("/credentials/tts-backend", &["Both keys work", STRAGGLER, "rekeyd consumers tts-batch"])
        .await;
    let told = harness.types("rekeyd consumers tts-batch --policy /etc/rekeyd/policy.toml").await;
    assert!(told.contains(" old "), "{told}");

    let starts_again = |harness: &Harness, command: &str| {
        let is_its = command == "sudo systemctl restart tts-batch";
        if is_its {
            mount(&mounted, &harness.rehearsal.stage);
        }
        is_its
    };
    harness.follows("RekeydConsumerLagging", starts_again).await;
    let served = |harness: &Harness| harness.rehearsal.stage.served().into_values().collect::<Vec<_>>();
    harness.is_mended(&[]).await;
    let truth = harness.rehearsal.stage.sandbox.truth();
    let left = truth.keys().filter(|key| key.state == State::Enabled && key.key_id != "admin");
    let left: Vec<_> = left.map(|key| key.fingerprint.clone()).collect();
    assert_eq!(left.len(), 3, "the old keys are gone");
    assert!(served(&harness).iter().all(|print| left.contains(print)));
    drop(truth);
    harness.ends_well().await;
}

/// The agent beside the application that has its key in the agent_harness's file.
fn start(agent_harness: &AgentHarness, harness: &Harness) -> Agent {
    let source = published(&harness.rehearsal.stage);
    let config = format!(
        "[secrets.tts-backend]\nfrom.file = \"{}\"\nevery = \"30ms\"\n{}\n[on_change]\ncommand = [\"true\"]\n{}",
        source.display(),
        agent_harness.to_key(),
        agent_harness.rekeyd(&harness.url(), "1s").replace("\"api\"", "\"tts-batch\""),
    );
    agent_harness.agent(&config)
}

/// What the consumer said last was said so long ago.
fn was_silent_for(harness: &Harness, silence: SignedDuration) {
    let last = format!("{:.9}", SystemClock.now() - silence);
    let journal = rusqlite::Connection::open(harness.rehearsal.stage.journal()).unwrap();
    let earlier = "UPDATE acks SET since = ?1, at = ?1 WHERE consumer = ?2";
    let changed = journal.execute(earlier, [last.as_str(), STRAGGLER]).unwrap();
    assert_eq!(changed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_died_is_told_before_anybody_waits_for_it_and_started_again() {
    let agent_harness = AgentHarness::new();
    let acks = "acks = [\"tts-api\", \"tts-batch\"]";
    let expires = format!("{acks}, acks_valid_for = \"30m\"");
    let mut harness = Harness::set(72, &[(acks, &expires)], |stage, consumers| {
        fs::copy(stage.root().join("token-of-tts-batch"), agent_harness.path("token")).unwrap();
        let consumer = straggler(consumers);
        consumer.file = agent_harness.path("key");
        // It is its agent who acknowledges.
        consumer.token = None;
    })
    .await;
    let agent = RefCell::new(Some(start(&agent_harness, &harness)));
    harness.begins().await;

    agent.take().unwrap().kill();
    was_silent_for(&harness, SignedDuration::from_hours(1));
    harness.tells_of("rekeyd_consumer_silent_since_timestamp_seconds{credential=\"tts-backend\"").await;
    harness.raises(&["RekeydConsumerSilent"]).await;
    let cause = ["tts-batch last acknowledged at", "ago; check", "rekeyd consumers tts-batch"];
    harness.status_says(&cause).await;
    harness.page_says("/", &cause).await;
    harness.page_says("/credentials/tts-backend", &cause).await;

    let machine = |harness: &Harness, command: &str| {
        if command == "sudo systemctl restart rekeyd-agent@tts-batch" {
            agent.replace(Some(start(&agent_harness, harness)));
        }
        command.contains("rekeyd-agent@tts-batch")
    };
    harness.follows("RekeydConsumerSilent", machine).await;
    harness.is_mended(&[]).await;
    // And it follows: the next rotation ends.
    harness.types("rekeyd rotate tts-backend --wait").await;
    harness.ends_well().await;
    agent.take().unwrap().stop();
}
