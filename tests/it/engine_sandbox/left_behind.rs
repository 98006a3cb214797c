//! A rotation that a daemon of commit 412e970 left open continues.
//!
//! A sandbox with the same seed creates the same keys, whose ids are in the journal.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::ack::Health;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::phase::PhaseName;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::settings::{Granted, Settings};

use super::clock::{BRISK, HurriedClock};
use super::harness::{Harness, Start};
use crate::past::{MINTING, OVERLAP, unpack};

/// The metadata file that the directory store wrote beside the new version.
const META: &str = r#"{"over":null,"sha256":"ac30e6f4afeb37840def30f474a17c4728dc89006a2033919dce8c2605d0d8fe","pending":false}"#;

/// Each request took an id from the sandbox's random sequence; creating an account takes one too.
const REQUESTS_BEFORE_THE_KEY: usize = 8;

impl Harness {
    /// Everything but the controller, with the journal that an old daemon left behind, at the time `at`.
    async fn left_behind(dump: &str, at: Timestamp) -> Self {
        let clock = HurriedClock { factor: 1, began: Instant::now(), from: at };
        let mut harness = Self::prepare_on(Arc::new(clock), BRISK, Rules::default(), Start::WithKey).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        unpack(dump, &path);
        harness.journal = Arc::new(SqliteJournal::open(&path).unwrap());
        harness.folder = folder;
        harness
    }
}

/// A harness with the key that the old daemon had created, and the value of that key.
async fn left_behind(dump: &str) -> (Harness, String) {
    let mut harness = Harness::left_behind(dump, "2026-11-20T08:00:00.5Z".parse().unwrap()).await;
    harness.agree(|terms| terms.gates = vec![Gate::Acks([ConsumerName::new("tts-api").unwrap()].into())]);
    let rotation = harness.known().await.rotation.unwrap();
    let permissions = Granted::Only(vec!["text_to_speech".to_owned(), "voices_read".to_owned()]);
    let settings = Settings::new(format!("tts-backend {}", rotation.nonce()), permissions);
    let account = rotation.plan.account.as_str();
    for _ in 0..REQUESTS_BEFORE_THE_KEY {
        harness.sandbox.workspace().create_account("uninvolved", harness.clock.now());
    }
    let created = harness.sandbox.workspace().create_key(account, settings, harness.clock.now()).unwrap();
    assert_eq!(created.id, "7d0dfeef1b642a745bb6", "the sandbox draws its ids in another order");
    (harness, created.value)
}

#[tokio::test]
async fn in_its_overlap() {
    let (mut harness, value) = left_behind(OVERLAP).await;
    let rotation = harness.known().await.rotation.unwrap();
    let folder = harness.folder.path().join("secrets");
    let versions = folder.join(".rekeyd/tts-backend");
    fs::create_dir_all(&versions).unwrap();
    let version = rotation.plan.rotation.to_string();
    fs::write(versions.join(&version), value).unwrap();
    fs::write(versions.join(format!("{version}.meta")), META).unwrap();
    symlink(format!(".rekeyd/tts-backend/{version}"), folder.join("tts-backend")).unwrap();
    harness.live().await;
    harness.acknowledge("tts-api", Health::Using).await;
    harness.ended(PhaseName::Done).await;
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    harness.stop().await;
}

#[tokio::test]
async fn with_a_key_that_may_have_been_created() {
    let (mut harness, _) = left_behind(MINTING).await;
    harness.live().await;
    harness.reaches(PhaseName::Overlap).await;
    harness.acknowledge("tts-api", Health::Using).await;
    harness.ended(PhaseName::Done).await;
    // The old key, the one whose value was lost, and the one that was created in its place.
    assert_eq!(harness.states(), [State::Deleted, State::Deleted, State::Enabled]);
    harness.stop().await;
}
