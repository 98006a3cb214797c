//! The audit log in SQLite: any change of its rows is detected, and the commands report it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::audit::check::FaultKind;
use rekeyd::domain::audit::{Act, Actor, changes};
use rekeyd::domain::event::Event;
use rekeyd::ports::journal::{AuditLog, AuditReader, RotationLog};
use serde_json::{Value, json};

use super::samples::{at, begun, entry, every_event, hindered, rotation};

/// A journal with ten records, and where it is.
async fn ten_records(directory: &Path) -> PathBuf {
    let path = directory.join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    let id = rotation(1);
    journal.append(&entry("tts", id, 0, begun("tts", "prod", id)), None).await.unwrap();
    for sequence in 1..7 {
        journal.append(&entry("tts", id, sequence, hindered()), None).await.unwrap();
    }
    for seconds in 0..3 {
        journal
            .record(&Act::new(at(seconds), Actor::Policy, changes::STARTED, json!({ "n": 1 })))
            .await
            .unwrap();
    }
    path
}

/// Does to the file what no program of ours does.
fn tamper(path: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let triggers = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;
        DROP TRIGGER entries_never_change; DROP TRIGGER entries_never_go; DROP TRIGGER entries_have_no_gaps;
        DROP TRIGGER audit_never_changes; DROP TRIGGER audit_never_goes; DROP TRIGGER audit_has_no_gaps;
        DROP TRIGGER audit_is_a_chain;";
    connection.execute_batch(triggers).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn rekeyd(arguments: &[&str], journal: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.args(arguments).arg("--journal").arg(journal).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn whatever_is_done_to_a_row_the_first_record_that_does_not_fit_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let whole = ten_records(directory.path()).await;
    let noted = SqliteJournal::open_read_only(&whole).unwrap().audit_head().unwrap();
    let swap =
        "UPDATE audit SET sequence = 99 WHERE sequence = 4; UPDATE audit SET sequence = 4 WHERE sequence = 5;
                UPDATE audit SET sequence = 5 WHERE sequence = 99";
    for (number, (damage, sequence, kind)) in [
        ("UPDATE audit SET at = replace(at, '2026', '2025') WHERE sequence = 4", 4, FaultKind::Altered),
        ("UPDATE audit SET actor = 'policy', by = NULL WHERE sequence = 4", 4, FaultKind::Altered),
        ("UPDATE audit SET by = 'uid 1' WHERE sequence = 4", 4, FaultKind::Altered),
        ("UPDATE audit SET what = 'hindereD' WHERE sequence = 4", 4, FaultKind::Altered),
        ("UPDATE audit SET credential = 'ttt' WHERE sequence = 4", 4, FaultKind::Altered),
        ("UPDATE audit SET workspace = NULL WHERE sequence = 4", 4, FaultKind::Altered),
        (
            "UPDATE audit SET rotation = replace(rotation, '0190b', '0190B') WHERE sequence = 4",
            4,
            FaultKind::Altered,
        ),
        ("UPDATE audit SET details = replace(details, '{', '{ ') WHERE sequence = 9", 9, FaultKind::Altered),
        ("UPDATE audit SET details = '[]' WHERE sequence = 9", 9, FaultKind::Altered),
        ("UPDATE audit SET previous = hash WHERE sequence = 4", 4, FaultKind::Altered),
        ("UPDATE audit SET hash = previous WHERE sequence = 4", 4, FaultKind::Altered),
        ("UPDATE audit SET hash = 'x' WHERE sequence = 4", 4, FaultKind::Altered),
        ("DELETE FROM audit WHERE sequence = 4", 4, FaultKind::Missing),
        ("DELETE FROM audit WHERE sequence <= 4", 1, FaultKind::Missing),
        (swap, 4, FaultKind::Altered),
        ("DELETE FROM audit WHERE sequence >= 9", 9, FaultKind::CutOff),
        ("DELETE FROM audit WHERE sequence >= 7", 7, FaultKind::CutOff),
        (
            "UPDATE entries SET body = replace(body, 'refused', 'lost') WHERE sequence = 3",
            4,
            FaultKind::Unrecorded,
        ),
        (
            "UPDATE entries SET body = json_set(body, '$.by', 'uid 0 forged') WHERE sequence = 3",
            4,
            FaultKind::Unrecorded,
        ),
        ("UPDATE entries SET body = replace(body, ',', ', ') WHERE sequence = 3", 4, FaultKind::Unrecorded),
        ("UPDATE entries SET at = replace(at, 'T', ' ') WHERE sequence = 3", 4, FaultKind::Unrecorded),
        ("UPDATE entries SET by = 'uid 1' WHERE sequence = 3", 4, FaultKind::Unrecorded),
        ("UPDATE entries SET key = 'other' WHERE sequence = 3", 4, FaultKind::Unrecorded),
        ("DELETE FROM entries WHERE sequence = 6", 7, FaultKind::Eventless),
    ]
    .into_iter()
    .enumerate()
    {
        let path = directory.path().join(format!("copy-{number}.db"));
        std::fs::copy(&whole, &path).unwrap();
        tamper(&path, damage);
        let verified = SqliteJournal::open_read_only(&path).unwrap().verify_audit(Some(&noted)).unwrap();
        let fault = verified.fault.unwrap_or_else(|| panic!("not found: {damage}"));
        assert_eq!((fault.sequence, fault.kind), (sequence, kind), "{damage}");
    }
}

#[tokio::test]
async fn an_event_that_an_older_version_wrote_in_other_words_is_whole_and_stays_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    let id = rotation(1);
    journal.append(&entry("tts", id, 0, begun("tts", "prod", id)), None).await.unwrap();
    let older = entry("tts", id, 1, hindered());
    // It wrote what is left out today.
    let body = serde_json::to_string(&older.event).unwrap().replacen(
        "\"message\"",
        "\"retired\":null,\"message\"",
        1,
    );
    assert!(body.contains("retired"), "{body}");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let row = "INSERT INTO entries (rotation, sequence, at, event, body, actor, by, key)
               VALUES (?1, 1, ?2, 'effect_failed', ?3, 'operator', 'uid 0 (root)', 'key_old')";
    let stored = (id.to_string(), format!("{:.9}", older.at), &body);
    connection.execute(row, stored).unwrap();
    journal.record(&older.act_as_written(&body)).await.unwrap();
    assert_eq!(SqliteJournal::open_read_only(&path).unwrap().verify_audit(None).unwrap().fault, None);
    tamper(&path, "UPDATE entries SET body = replace(body, '\"retired\":null,', '') WHERE sequence = 1");
    let verified = SqliteJournal::open_read_only(&path).unwrap().verify_audit(None).unwrap();
    assert_eq!(verified.fault.map(|it| (it.sequence, it.kind)), Some((2, FaultKind::Unrecorded)));
}

#[tokio::test]
async fn an_end_that_was_cut_off_shows_by_its_events_even_without_a_noted_head() {
    let directory = tempfile::tempdir().unwrap();
    let path = ten_records(directory.path()).await;
    tamper(&path, "DELETE FROM audit WHERE sequence >= 6");
    let verified = SqliteJournal::open_read_only(&path).unwrap().verify_audit(None).unwrap();
    assert_eq!(verified.fault.map(|it| (it.sequence, it.kind)), Some((6, FaultKind::Unrecorded)));
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("DELETE FROM entries WHERE sequence >= 5").unwrap();
    drop(connection);
    let forged = SqliteJournal::open_read_only(&path).unwrap().verify_audit(None).unwrap();
    assert_eq!(forged.fault, None, "that is what a head noted elsewhere is for");
}

#[tokio::test]
async fn the_program_verifies_beside_a_running_daemon_and_says_what_does_not_fit() {
    let directory = tempfile::tempdir().unwrap();
    let path = ten_records(directory.path()).await;
    let running = SqliteJournal::open(&path).unwrap();
    let fine = rekeyd(&["audit", "verify"], &path);
    let said = text(&fine.stdout);
    assert_eq!((fine.status.code(), text(&fine.stderr)), (Some(0), ""));
    assert!(said.starts_with("the audit log is whole: 10 records, 7 of them of events"), "{said}");
    let head = said.split_once("head: ").unwrap().1.trim().to_owned();
    running.record(&Act::new(at(9), Actor::Policy, changes::STOPPED, Value::Null)).await.unwrap();
    let later = rekeyd(&["audit", "verify", "--expect", &head, "--output", "json"], &path);
    let told: Value = serde_json::from_slice(&later.stdout).unwrap();
    assert_eq!((later.status.code(), &told["whole"], &told["records"]), (Some(0), &json!(true), &json!(11)));
    drop(running);

    let unusable = rekeyd(&["audit", "verify", "--expect", "10:abc"], &path);
    assert_eq!(unusable.status.code(), Some(2));
    tamper(&path, "DELETE FROM audit WHERE sequence >= 9");
    let cut = rekeyd(&["audit", "verify", "--expect", &head], &path);
    let said = text(&cut.stdout);
    assert_eq!(cut.status.code(), Some(4), "{said}");
    assert!(said.contains("record 9: the record existed when the expected head was noted"), "{said}");
    assert!(said.contains("next: keep a copy"), "{said}");
    let told = rekeyd(&["audit", "verify", "--expect", &head, "--output", "json"], &path);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&told["whole"], &told["fault"]["kind"]), (&json!(false), &json!("cut_off")));
    assert_eq!(rekeyd(&["audit", "verify"], &directory.path().join("nowhere.db")).status.code(), Some(1));
}

#[tokio::test]
async fn the_program_lists_the_newest_and_exports_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = ten_records(directory.path()).await;
    let listed = rekeyd(&["audit", "--limit", "4"], &path);
    let lines: Vec<&str> = text(&listed.stdout).lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let words: Vec<&str> = lines[0].split_whitespace().take(7).collect();
    assert_eq!(words, ["7", "2026-01-01T00:00:06Z", "operator", "uid", "0", "(root)", "effect_failed"]);
    assert!(lines[0].contains("key=key_old") && !lines[0].contains("entry_sha256"), "{}", lines[0]);
    let json = rekeyd(
        &["audit", "--credential", "tts", "--since", "2026-01-01T00:00:05Z", "--output", "json"],
        &path,
    );
    let told: Value = serde_json::from_slice(&json.stdout).unwrap();
    let numbers: Vec<&Value> = told["records"].as_array().unwrap().iter().map(|it| &it["sequence"]).collect();
    assert_eq!(numbers, [&json!(6), &json!(7)]);

    let exported = rekeyd(&["audit", "export"], &path);
    let lines: Vec<Value> =
        text(&exported.stdout).lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(lines.len(), 10);
    let head = format!("audit head: 10:{}\n", lines[9]["hash"].as_str().unwrap());
    assert_eq!(text(&exported.stderr), head);
    let mut names: Vec<&String> = lines[0].as_object().unwrap().keys().collect();
    names.sort();
    let expected = "actor at by credential details hash previous rotation sequence what workspace";
    assert_eq!(names, expected.split(' ').collect::<Vec<_>>());
}

/// The program in docs/audit.md that verifies an export without rekeyd.
fn verifier() -> String {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md");
    let document = std::fs::read_to_string(document).unwrap();
    let program = document.split_once("```python\n").unwrap().1;
    program.split_once("```").unwrap().0.to_owned()
}

#[tokio::test]
async fn an_export_is_verified_by_the_program_in_the_document() {
    let directory = tempfile::tempdir().unwrap();
    let path = ten_records(directory.path()).await;
    {
        let journal = SqliteJournal::open(&path).unwrap();
        for event in every_event("odd", rotation(2)) {
            let id = rotation(2);
            let sequence = u64::try_from(journal.entries(id).await.unwrap().len()).unwrap();
            let event = if sequence == 0 { begun("odd", "prod", id) } else { event };
            journal.append(&entry("odd", id, sequence, event), None).await.unwrap();
        }
    }
    let exported = rekeyd(&["audit", "export"], &path);
    let (program, export) = (directory.path().join("verify.py"), directory.path().join("audit.jsonl"));
    std::fs::write(&program, verifier()).unwrap();
    let verify = |lines: &str| {
        std::fs::write(&export, lines).unwrap();
        Command::new("python3").arg(&program).arg(&export).output().unwrap()
    };
    let lines = text(&exported.stdout);
    let fine = verify(lines);
    assert!(fine.status.success(), "{}", text(&fine.stderr));
    let head = text(&exported.stderr).trim_start_matches("audit head: ");
    assert_eq!(text(&fine.stdout), head);
    let broken = verify(&lines.replacen("\"what\":\"effect_failed\"", "\"what\":\"promoted\"", 1));
    assert!(!broken.status.success());
    assert!(text(&broken.stderr).contains("record 2"), "{}", text(&broken.stderr));
}

#[test]
fn every_event_and_every_other_act_is_in_the_document_and_so_is_every_fault() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md");
    let document = std::fs::read_to_string(document).unwrap();
    for word in changes::ALL.into_iter().chain(FaultKind::ALL.map(FaultKind::label)) {
        assert!(document.contains(&format!("| `{word}` |")), "docs/audit.md says nothing of `{word}`");
    }
    let events = every_event("tts", rotation(1));
    for event in events.iter().map(Event::name) {
        assert!(document.contains(&format!("`{event}`")), "docs/audit.md says nothing of `{event}`");
    }
}
