//! Consumers that do not come along: one that goes on with the old key, and one whose agent has died.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::demo::consumer::Consumer;
use rekeyd::demo::stage::Stage;
use rekeyd::domain::ids::CredentialName;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::key::State;

use super::theatre::Theatre;
use crate::agent::bench::{Agent, Bench};

const STRAGGLER: &str = "tts-batch";

fn straggler(consumers: &mut [Consumer]) -> &mut Consumer {
    consumers.iter_mut().find(|it| it.name == STRAGGLER).unwrap()
}

fn published(stage: &Stage) -> PathBuf {
    stage.secret(&CredentialName::new("tts-backend").unwrap())
}

/// Its container shows the directory that rekeyd publishes to.
fn mount(to: &Path, stage: &Stage) {
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
    let place = |stage: &Stage| stage.root().join("mounted-in-tts-batch");
    let overlap = [("at_most = \"1h\"", "at_most = \"3s\"")];
    let mut theatre = Theatre::set(71, &overlap, |stage, consumers| {
        mount(&place(stage), stage);
        straggler(consumers).file = place(stage);
    })
    .await;
    theatre.begins().await;
    let mounted = place(&theatre.rehearsal.stage);
    mount_one_file(&mounted);
    theatre.types("rekeyd rotate tts-backend").await;
    theatre.status_says(&["held beyond its deadline", STRAGGLER, "rekeyd consumers tts-batch"]).await;
    theatre.tells("gate=\"acks\",who=\"tts-batch\"} 1").await;
    theatre.raises(&["RekeydStraggler"]).await;
    theatre.page_says("/", &["held beyond its deadline", STRAGGLER, "rekeyd consumers tts-batch"]).await;
    theatre
        .page_says("/credentials/tts-backend", &["Both keys work", STRAGGLER, "rekeyd consumers tts-batch"])
        .await;
    let told = theatre.types("rekeyd consumers tts-batch --policy /etc/rekeyd/policy.toml").await;
    assert!(told.contains(" old "), "{told}");

    let starts_again = |theatre: &Theatre, command: &str| {
        let is_its = command == "sudo systemctl restart tts-batch";
        if is_its {
            mount(&mounted, &theatre.rehearsal.stage);
        }
        is_its
    };
    theatre.follows("RekeydStraggler", starts_again).await;
    let served = |theatre: &Theatre| theatre.rehearsal.stage.served().into_values().collect::<Vec<_>>();
    theatre.is_mended(&[]).await;
    let truth = theatre.rehearsal.stage.sandbox.truth();
    let left = truth.keys().filter(|key| key.state == State::Enabled && key.key_id != "admin");
    let left: Vec<_> = left.map(|key| key.fingerprint.clone()).collect();
    assert_eq!(left.len(), 3, "the old keys are gone");
    assert!(served(&theatre).iter().all(|print| left.contains(print)));
    drop(truth);
    theatre.ends_well().await;
}

/// The agent beside the application that has its key in the bench's file.
fn start(bench: &Bench, theatre: &Theatre) -> Agent {
    let source = published(&theatre.rehearsal.stage);
    let config = format!(
        "[secrets.tts-backend]\nfrom.file = \"{}\"\nevery = \"30ms\"\n{}\n[on_change]\ncommand = [\"true\"]\n{}",
        source.display(),
        bench.to_key(),
        bench.rekeyd(&theatre.url(), "1s").replace("\"api\"", "\"tts-batch\""),
    );
    bench.agent(&config)
}

/// What the consumer said last was said so long ago.
fn was_silent_for(theatre: &Theatre, silence: SignedDuration) {
    let last = format!("{:.9}", SystemClock.now() - silence);
    let journal = rusqlite::Connection::open(theatre.rehearsal.stage.journal()).unwrap();
    let earlier = "UPDATE acks SET since = ?1, at = ?1 WHERE consumer = ?2";
    let changed = journal.execute(earlier, [last.as_str(), STRAGGLER]).unwrap();
    assert_eq!(changed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_died_is_told_before_anybody_waits_for_it_and_started_again() {
    let bench = Bench::new();
    let acks = "acks = [\"tts-api\", \"tts-batch\"]";
    let expires = format!("{acks}, acks_valid_for = \"30m\"");
    let mut theatre = Theatre::set(72, &[(acks, &expires)], |stage, consumers| {
        fs::copy(stage.root().join("token-of-tts-batch"), bench.path("token")).unwrap();
        let consumer = straggler(consumers);
        consumer.file = bench.path("key");
        // It is its agent who acknowledges.
        consumer.token = None;
    })
    .await;
    let agent = RefCell::new(Some(start(&bench, &theatre)));
    theatre.begins().await;

    agent.take().unwrap().kill();
    was_silent_for(&theatre, SignedDuration::from_hours(1));
    theatre.tells_of("rekeyd_consumer_silent_since_timestamp_seconds{credential=\"tts-backend\"").await;
    theatre.raises(&["RekeydConsumerSilent"]).await;
    let cause = ["tts-batch is silent since", "is its agent alive?", "rekeyd consumers tts-batch"];
    theatre.status_says(&cause).await;
    theatre.page_says("/", &cause).await;
    theatre.page_says("/credentials/tts-backend", &cause).await;

    let machine = |theatre: &Theatre, command: &str| {
        if command == "sudo systemctl restart rekeyd-agent@tts-batch" {
            agent.replace(Some(start(&bench, theatre)));
        }
        command.contains("rekeyd-agent@tts-batch")
    };
    theatre.follows("RekeydConsumerSilent", machine).await;
    theatre.is_mended(&[]).await;
    // And it follows: the next rotation ends.
    theatre.types("rekeyd rotate tts-backend --wait").await;
    theatre.ends_well().await;
    agent.take().unwrap().stop();
}
