//! The log of the real program, held against its journal and its audit log.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::demo::fixture::Pace;
use rekeyd::ports::journal::AuditReader;
use serde_json::Value;

use crate::support::rehearsal::Rehearsal;

fn lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_transition_is_one_line_that_leads_to_its_record_and_to_the_providers_request() {
    let pace = Pace::new("3s", "1s", "200ms");
    let rehearsal = Rehearsal::set(7, &pace).await;
    let daemon = rehearsal.launcher.start().await.unwrap();
    let journal = rehearsal.stage.journal();
    let journal = || SqliteJournal::open_read_only(&journal).unwrap();
    let gone = |_: &Rehearsal| {
        let records = journal().audit(0, 100_000).unwrap();
        records.iter().filter(|it| it.act.what == "old_key_gone").count() >= 2
    };
    rehearsal.until("two rotations are done", gone).await;
    daemon.stop().await.unwrap();
    let lines = lines(&rehearsal.said());
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();

    let mut told: BTreeMap<(String, u64), &Value> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["entry"].is_u64()) {
        let place = (text(line, "rotation"), line["entry"].as_u64().unwrap());
        assert!(told.insert(place, line).is_none(), "told twice: {line}");
    }
    let records = journal().audit(0, 100_000).unwrap();
    let mut phases: BTreeMap<String, String> = BTreeMap::new();
    for record in &records {
        let (Some(rotation), Some(entry)) = (record.act.rotation, record.act.details.get("entry")) else {
            continue;
        };
        let place = (rotation.to_string(), entry.as_u64().unwrap());
        let line = told.remove(&place).unwrap_or_else(|| panic!("no line for {record:?}"));
        let credential = record.act.credential.as_ref().unwrap().as_str();
        assert_eq!(
            (text(line, "credential").as_str(), text(line, "event")),
            (credential, record.act.what.clone())
        );
        assert_eq!(text(line, "workspace"), record.act.workspace.as_ref().unwrap().as_str());
        assert_eq!(text(line, "actor"), record.act.actor.to_string());
        let from = phases.insert(place.0, text(line, "to")).unwrap_or_else(|| "none".to_owned());
        assert_eq!(text(line, "from"), from, "{line}");
    }
    assert!(told.is_empty(), "lines without a record: {told:?}");

    // Each record names its key by itself.
    let named = |what: &str| -> Vec<_> {
        let of = records.iter().filter(|it| it.act.what == what);
        of.map(|it| (it.act.rotation, it.act.key())).collect()
    };
    let (begun, gone) = (named("begun"), named("old_key_gone"));
    assert!(
        gone.len() >= 2 && gone.iter().all(|it| it.1.is_some() && begun.contains(it)),
        "{gone:?} {begun:?}"
    );
    assert!(named("promoted").iter().all(|it| it.1.is_some() && named("minted").contains(it)));

    let whats: Vec<&str> = records.iter().map(|record| record.act.what.as_str()).collect();
    assert_eq!((whats.first(), whats.last()), (Some(&"started"), Some(&"stopped")));
    let verified = journal().verify_audit(None).unwrap();
    assert_eq!(verified.fault, None);
    let heads: Vec<String> =
        lines.iter().map(|line| text(line, "audit_head")).filter(|it| !it.is_empty()).collect();
    assert_eq!(
        (heads.len(), heads.last()),
        (2, Some(&verified.head.to_string())),
        "at the start and at the end"
    );

    calls_name_their_rotation(&lines, &phases);
    let (_, _, stage) = rehearsal.verdict(0).await;
    stage.sandbox.shutdown().await;
}

fn calls_name_their_rotation(lines: &[Value], rotations: &BTreeMap<String, String>) {
    let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let calls = lines.iter().filter(|line| text(line, "message").starts_with("answer to "));
    let mut lasting = 0;
    for line in calls {
        let span = &line["span"];
        assert!(
            rotations.contains_key(&text(span, "rotation")),
            "a call that changes something names its rotation: {line}"
        );
        lasting += 1;
    }
    assert!(lasting >= 4, "made, disabled, deleted: {lasting}");
}

/// The first line that a daemon writes to a file, `$JOURNAL_STREAM` saying that this is what `says`.
fn first_line(journal_stream: impl Fn(&File) -> String) -> String {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy.toml");
    let journal = directory.path().join("nowhere/journal.db");
    let text = include_str!("../../config/rehearsal.toml");
    let path = "/dev/shm/rekeyd-rehearsal/journal.db";
    assert!(text.contains(path));
    std::fs::write(&policy, text.replace(path, journal.to_str().unwrap())).unwrap();
    let log = File::create(directory.path().join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.arg("run").arg("--policy").arg(&policy).stdin(Stdio::null()).stdout(Stdio::null());
    command.env("JOURNAL_STREAM", journal_stream(&log)).stderr(log);
    let mut daemon = command.spawn().unwrap();
    let begun = Instant::now();
    while daemon.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it should not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let said = std::fs::read_to_string(directory.path().join("log")).unwrap();
    said.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_stream_that_does_not_lead_to_the_journal_is_json_whatever_the_environment_says() {
    let json = first_line(|_| "1:2".to_owned());
    assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
    let lines = first_line(|log| {
        let it = log.metadata().unwrap();
        format!("{}:{}", it.dev(), it.ino())
    });
    // Where the journal listens it has the line, and the file has none.
    assert!(lines.is_empty() || lines.starts_with('<'), "a line with a priority: {lines}");
}
