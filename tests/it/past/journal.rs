//! A journal of commit 412e970 that holds every kind of row.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::audit::Head;
use rekeyd::domain::hold::{HoldKind, Scope};
use rekeyd::domain::ids::{ChannelName, CredentialName, WorkspaceName};
use rekeyd::domain::record::Record;
use rekeyd::domain::secret::Fingerprint;
use rekeyd::ports::journal::{
    Acknowledgements, AuditReader, HoldRegister, Records, RotationLog, WorkspaceActivity,
};
use rekeyd::ports::outbox::Outbox;
use serde_json::Value;

use super::{rekeyd, text, unpacked};

const JOURNAL: &str = include_str!("journal.sql");
/// The head of its audit log, and its number of events.
const HEAD: &str = "377:6d8bcf5b36ed7c69f463469b00a8b1144ef7139f220987918fc2734455d6f54b";
const EVENTS: usize = 314;
const EVENT_NAMES: usize = 34;

fn name(text: &str) -> CredentialName {
    CredentialName::new(text).unwrap()
}

/// Opens it as the daemon does, which brings its schema up to date.
fn opened() -> (tempfile::TempDir, std::path::PathBuf, SqliteJournal) {
    let (directory, path) = unpacked(JOURNAL);
    let journal = SqliteJournal::open(&path).unwrap();
    (directory, path, journal)
}

async fn record(journal: &SqliteJournal, credential: &str) -> Record {
    journal.load_one(&name(credential)).await.unwrap().unwrap().record
}

/// Every row of what is chained by hashes.
fn chained(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for sql in [
        "SELECT json_array(rotation, sequence, at, event, body, actor, by, key) FROM entries ORDER BY 1",
        "SELECT json_array(sequence, at, actor, by, what, credential, workspace, rotation, details, previous, hash)
         FROM audit ORDER BY sequence",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        rows.extend(statement.query_map([], |row| row.get(0)).unwrap().map(|row| row.unwrap()));
    }
    rows
}

#[tokio::test]
async fn every_credential_loads_in_the_phase_it_was_left_in() {
    let (_directory, _, journal) = opened();
    let mut phases = BTreeSet::new();
    for (credential, state) in journal.load().await.unwrap() {
        let state = state.unwrap_or_else(|error| panic!("{credential}: {error}"));
        let Some(rotation) = state.rotation else { continue };
        let phase = rotation.phase.name().label();
        phases.insert(phase);
        let left_in = credential.as_str().replace('-', "_");
        assert!(
            left_in.starts_with(&format!("in_{phase}"))
                || ["published_again", "rekeyd_admin"].contains(&left_in.as_str()),
            "{credential} is in {phase}"
        );
    }
    assert_eq!(phases.len(), 15, "{phases:?}");
    for (credential, outcome) in [
        ("done", "done"),
        ("first", "done"),
        ("leaked", "done"),
        ("aborted", "aborted"),
        ("refuted", "aborted"),
        ("rolled-back", "rolled_back"),
        ("rolled-back-late", "rolled_back"),
        ("rolled-back-leaked", "rolled_back"),
    ] {
        assert_eq!(record(&journal, credential).await.last.unwrap().outcome.label(), outcome, "{credential}");
    }
}

#[tokio::test]
async fn every_old_event_is_read_and_none_is_rewritten() {
    let (_directory, path) = unpacked(JOURNAL);
    let before = chained(&path);
    let journal = SqliteJournal::open(&path).unwrap();
    let (mut events, mut names) = (0, BTreeSet::new());
    for (rotation, credential) in journal.rotations(None, None, 1000).await.unwrap() {
        for entry in journal.entries(rotation).await.unwrap() {
            assert_eq!(entry.credential, credential);
            events += 1;
            names.insert(entry.event.name());
        }
    }
    assert_eq!((events, names.len()), (EVENTS, EVENT_NAMES), "{names:?}");
    let prod = WorkspaceName::new("prod").unwrap();
    let beginning = "2026-11-20T00:00:00Z".parse().unwrap();
    assert_eq!(journal.mints_since(&prod, beginning).await.unwrap().len(), 27);
    drop(journal);
    assert_eq!(chained(&path), before);
}

#[tokio::test]
async fn the_record_of_a_credential_keeps_every_field() {
    let (_directory, _, journal) = opened();
    let full = record(&journal, "full").await;
    let kinds: Vec<&str> = full.findings.iter().map(|finding| finding.kind.label()).collect();
    assert_eq!((full.revision, full.aborts, full.asked, kinds.len()), (3, 2, true, 12), "{kinds:?}");
    assert_eq!(full.accepted.len(), 2);
    assert_eq!(full.published[0].version.as_str(), "v0");
    assert_eq!(full.due.unwrap().schedule, "every 30d");
    assert_eq!(full.answered.unwrap().why, "it was seen in public");
    let current = full.current.unwrap();
    assert!(current.fingerprint == Some(Fingerprint::of(b"old")) && current.attributes.is_some());
    let mut obstacles = BTreeSet::new();
    for (_, state) in journal.load().await.unwrap() {
        obstacles.extend(state.unwrap().record.obstacle.map(|obstacle| obstacle.kind.label()));
    }
    assert_eq!(obstacles.len(), 4, "{obstacles:?}");
}

#[tokio::test]
async fn acknowledgements_observations_and_holds_are_kept() {
    let (_directory, _, journal) = opened();
    let acks = journal.acks(&name("in-overlap")).await.unwrap();
    let said: Vec<_> = acks.iter().map(|ack| (ack.consumer.as_str(), ack.health.label())).collect();
    assert_eq!(said, [("tts-api", "using"), ("tts-batch", "failing")]);
    for (credential, usage, probes) in [("in-overlap", 3, 2), ("in-returning", 0, 0)] {
        let open = record(&journal, credential).await.open.unwrap();
        let observed = journal.observed(&name(credential), open).await.unwrap().unwrap();
        assert_eq!((observed.usage.len(), observed.probes.len()), (usage, probes), "{credential}");
        assert_eq!(observed.way_back && observed.gone, credential == "in-returning");
    }
    let holds = journal.holds().await.unwrap();
    let mut held: Vec<_> = holds.iter().map(|hold| (hold.what.label(), hold.is_breakers())).collect();
    held.sort_unstable();
    assert_eq!(held, [("minting", true), ("revoking", false)]);
    let prod = Scope::Workspace(WorkspaceName::new("prod").unwrap());
    assert!(journal.lifted(&prod, HoldKind::Revoking).await.unwrap().is_some());
    assert!(journal.lifted(&Scope::Fleet, HoldKind::Everything).await.unwrap().is_some());
}

#[tokio::test]
async fn undelivered_notifications_are_kept() {
    let (_directory, _, journal) = opened();
    let recalled = journal.recall().await.unwrap();
    let sizes = (recalled.incidents.len(), recalled.occurrences.len(), recalled.failing.len());
    assert_eq!(sizes, (3, 5, 1));
    let incidents: Vec<_> =
        recalled.incidents.iter().map(|it| (it.alert.key.as_str(), &it.alert.reason)).collect();
    assert_eq!(incidents[1], ("parked/credential/in-parked", &"old_key_reenabled".to_owned()));
    assert!(recalled.incidents.iter().all(|incident| incident.channels.len() == 2));
    assert_eq!(recalled.failing[0].why, "it answered with 503");
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut again = 0;
    for (channel, count) in [("chat", 11), ("pager", 3)] {
        let waiting = journal.waiting(&ChannelName::new(channel).unwrap(), 100).await.unwrap();
        assert_eq!((waiting.count, waiting.notifications.len() as u64), (count, count));
        for notification in &waiting.notifications {
            *kinds.entry(notification.event.label()).or_default() += 1;
            again += notification.failures;
            assert!(!notification.alert.reason.is_empty());
        }
    }
    let expected = [("changed", 3), ("happened", 4), ("opened", 6), ("resolved", 1)];
    assert_eq!((kinds, again), (expected.into(), 1));
}

#[test]
fn the_old_audit_log_verifies_up_to_its_recorded_head() {
    let (_directory, path, journal) = opened();
    drop(journal);
    let journal = SqliteJournal::open_read_only(&path).unwrap();
    let verified = journal.verify_audit(Head::read(HEAD).as_ref()).unwrap();
    assert_eq!((verified.fault, verified.events), (None, EVENTS));
    assert_eq!(verified.head.to_string(), HEAD);
    let path = path.to_str().unwrap();
    let output = rekeyd(&["audit", "verify", "--journal", path]);
    assert!(output.status.success() && text(&output.stdout).contains(HEAD), "{}", text(&output.stdout));
}

#[test]
fn every_reporting_command_reads_an_old_journal() {
    let (_directory, path, journal) = opened();
    drop(journal);
    let path = path.to_str().unwrap();
    let status = rekeyd(&["status", "--output", "json", "--journal", path]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let credentials = status["credentials"].as_array().unwrap();
    assert_eq!(credentials.len(), 32);
    for credential in credentials {
        let name = credential["credential"].as_str().unwrap();
        assert_eq!(credential["damage"], Value::Null, "{name}");
        let mut commands = vec![["status", name, "--why"]];
        if JOURNAL.contains(&format!("','{name}','prod');")) {
            commands.push(["history", name, "--limit=9"]);
        }
        for arguments in commands {
            let output = rekeyd(&[arguments.as_slice(), &["--journal", path]].concat());
            assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        }
    }
    for arguments in [vec!["consumers"], vec!["audit", "--limit=1000"], vec!["audit", "export"]] {
        let output = rekeyd(&[arguments.as_slice(), &["--journal", path]].concat());
        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}");
    }
}
