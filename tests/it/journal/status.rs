//! What is told of credentials: the report, and `rekeyd status` and `rekeyd history` as a person sees them.

use std::path::Path;
use std::process::{Command, Output};

use jiff::Timestamp;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::ack::Ack;
use rekeyd::domain::effect::EffectName;
use rekeyd::domain::event::Event;
use rekeyd::domain::failure::{Failure, Kind};
use rekeyd::domain::gate::Evidence;
use rekeyd::domain::ids::{KeyId, StoreName, VersionId};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::Destination;
use rekeyd::domain::record::{Current, Due, Obstacle, ObstacleKind, PublishedVersion, Record};
use rekeyd::domain::report::destinations::DestinationState;
use rekeyd::domain::report::history::RotationTimeline;
use rekeyd::domain::report::{CredentialHealth, CredentialReport, Facts};
use rekeyd::domain::rotation::{ParkReason, RollbackCause, Rotation};
use rekeyd::domain::successor::{KeyFacts, Served};
use rekeyd::ports::journal::{Acknowledgements, Entry, Records, RotationLog};

use super::samples::{ack, at, begun, entry, fingerprint, record, request, rotation, timeless};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn version(text: &str) -> VersionId {
    VersionId::new(text).unwrap()
}

fn key(text: &str) -> KeyId {
    KeyId::new(text).unwrap()
}

/// A credential: its record, and what happened to its open rotation when (in seconds).
pub(super) struct Sample {
    pub(super) record: Record,
    events: Vec<(i64, Event)>,
    pub(super) acks: Vec<Ack>,
}

impl Sample {
    pub(super) fn idle(credential: &str) -> Self {
        let destination = Destination {
            store: StoreName::new("aws").unwrap(),
            secret: format!("prod/{credential}"),
            json_field: None,
            create: false,
            create_field: false,
        };
        let current = Current {
            key: key("key_old"),
            fingerprint: Some(fingerprint("old")),
            since: at(-20 * DAY),
            expires_at: None,
            usage_hash: None,
            attributes: None,
        };
        let record = Record {
            current: Some(current),
            published: vec![PublishedVersion { destination, version: version("v0") }],
            due: Some(Due { at: at(10 * DAY), schedule: "every 30d".to_owned() }),
            ..record(credential, 1, None)
        };
        Self { record, events: Vec::new(), acks: Vec::new() }
    }

    /// In the middle of a rotation with two destinations, after the first `count` events of its smooth course and
    /// then `more`.
    pub(super) fn rotating(credential: &str, number: u64, count: usize, more: Vec<(i64, Event)>) -> Self {
        let id = rotation(number);
        let mut beginning = begun(credential, "prod", id);
        if let Event::Begun(plan) = &mut beginning {
            let second = Destination {
                json_field: None,
                secret: "prod/second".to_owned(),
                ..plan.destinations[0].clone()
            };
            plan.destinations.push(second);
        }
        let standing = Served { version: Some(version("v0")), fingerprint: Some(fingerprint("old")) };
        let facts = KeyFacts {
            created_at: Some(at(2)),
            expires_at: None,
            usage_hash: None,
            hint: "…1".to_owned(),
            attributes: None,
        };
        let staged = |destination| Event::Staged {
            destination,
            version: version("v1"),
            over: Some(version("v0")),
            before: None,
        };
        let promoted = |destination| Event::Promoted { destination, displaced: Some(version("v0")) };
        let course = [
            (0, beginning),
            (1, Event::MintIntended { request: request(), before: vec![standing.clone(), standing] }),
            (2, Event::Minted { key: key("key_new"), fingerprint: fingerprint("new") }),
            (3, staged(0)),
            (4, staged(1)),
            (5, Event::Verified { facts }),
            (6, promoted(0)),
            (10, promoted(1)),
            (HOUR * 2 + 10, Event::Released { verdicts: vec![], forced: false }),
            (HOUR * 2 + 11, Event::OldKeyDisabled),
        ];
        let mut events: Vec<_> = course.into_iter().take(count).collect();
        events.extend(more);
        let idle = Self::idle(credential).record;
        Self { record: Record { open: Some(id), ..idle }, events, acks: Vec::new() }
    }

    pub(super) fn rotation(&self) -> Option<Rotation> {
        let events = self.events.iter().map(|(seconds, event)| (at(*seconds), event.clone()));
        (!self.events.is_empty()).then(|| Rotation::fold(events).unwrap())
    }

    fn report(&self, now: i64) -> CredentialReport {
        let rotation = self.rotation();
        let evidence = Evidence { acks: self.acks.clone(), ..Evidence::default() };
        let facts =
            Facts { record: &self.record, rotation: rotation.as_ref(), evidence: &evidence, policy: None };
        CredentialReport::new(facts, at(now))
    }

    pub(super) async fn write(&self, journal: &SqliteJournal) {
        let credential = &self.record.credential;
        for ack in &self.acks {
            journal.acknowledge(credential, ack).await.unwrap();
        }
        let Some(rotation) = self.record.open else {
            return journal.save(&self.record, &[]).await.unwrap();
        };
        for (sequence, (seconds, event)) in (0u64..).zip(&self.events) {
            let entry = entry(credential.as_str(), rotation, sequence, event.clone());
            let entry = Entry { at: at(*seconds), ..entry };
            let record = (sequence == 0).then_some(&self.record);
            journal.append(&entry, record).await.unwrap();
        }
    }
}

fn hindered(effect: EffectName, kind: Kind) -> Event {
    Event::EffectFailed { effect, failure: Failure::rejected(kind, "write prod/tts: the store says no") }
}

fn parked(reason: ParkReason) -> Event {
    Event::Parked { reason, detail: "look at it".to_owned() }
}

fn acknowledged(mut sample: Sample) -> Sample {
    sample.acks = vec![ack("tts-api", "new", 60)];
    sample
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn each_condition_is_told_with_what_to_do() {
    use CredentialHealth::{Blocked, Fine, OutOfSync, Parked, Retrying, Rotating, Waiting};
    let idle = || Sample::idle("c");
    let rotating = |count| Sample::rotating("c", 1, count, vec![]);
    let then = |count, event| Sample::rotating("c", 1, count, vec![(20, event)]);
    let changed = |change: fn(&mut Record)| {
        let mut sample = idle();
        change(&mut sample.record);
        sample
    };
    let blocked = |kind| {
        let mut sample = idle();
        sample.record.obstacle = Some(Obstacle { kind, detail: "several keys".to_owned(), since: at(0) });
        sample
    };
    let reload = "systemctl reload rekeyd";
    for (what, sample, now, condition, attention, command) in [
        ("idle", idle(), 60, Fine, false, ""),
        ("due", changed(|it| it.due.as_mut().unwrap().at = at(0)), 60, Fine, false, ""),
        (
            "expired",
            changed(|it| it.current.as_mut().unwrap().expires_at = Some(at(0))),
            60,
            OutOfSync,
            true,
            "rekeyd rotate c",
        ),
        ("no key", changed(|it| it.current = None), 60, Waiting, false, ""),
        ("unclear", blocked(ObstacleKind::AdoptionUnclear), 60, Blocked, true, reload),
        ("unusable", blocked(ObstacleKind::WorkspaceUnusable), 60, Blocked, true, "rekeyd doctor"),
        ("begun", rotating(1), 60, Rotating, false, ""),
        ("minting", rotating(2), 60, Rotating, false, ""),
        ("staging", rotating(4), 60, Rotating, false, ""),
        ("promoting", rotating(7), 60, Rotating, false, ""),
        ("overlap", rotating(8), 60, Waiting, false, ""),
        ("overlap on hold", rotating(8), 8 * DAY, Waiting, true, "rekeyd consumers tts-api"),
        ("overlap, all open", acknowledged(rotating(8)), 8 * DAY, Waiting, false, ""),
        ("quarantine", rotating(10), 3 * HOUR, Waiting, false, ""),
        (
            "a hiccup",
            then(1, hindered(EffectName::Preflight, Kind::TimedOut)),
            60,
            Retrying,
            false,
            "rekeyd history c",
        ),
        (
            "for long",
            then(1, hindered(EffectName::Preflight, Kind::TimedOut)),
            HOUR,
            Retrying,
            true,
            "rekeyd history c",
        ),
        (
            "refused",
            then(1, hindered(EffectName::Preflight, Kind::Forbidden)),
            60,
            Retrying,
            true,
            "rekeyd history c",
        ),
        (
            "foreign",
            then(6, parked(ParkReason::ForeignValue)),
            60,
            Parked,
            true,
            "rekeyd retry --overwrite c",
        ),
        ("unrestricted", then(1, parked(ParkReason::Unrestricted)), 60, Parked, true, "rekeyd abort c"),
        ("new key gone", then(5, parked(ParkReason::NewKeyUnusable)), 60, Parked, true, "rekeyd abort c"),
        (
            "new key gone late",
            then(8, parked(ParkReason::NewKeyUnusable)),
            60,
            Parked,
            true,
            "rekeyd rollback c",
        ),
        (
            "old key gone late",
            then(8, parked(ParkReason::OldKeyUnusable)),
            60,
            Parked,
            true,
            "rekeyd retry c",
        ),
    ] {
        let report = sample.report(now);
        assert_eq!(
            (report.health, report.attention, report.next_command.as_deref().unwrap_or_default()),
            (condition, attention, command),
            "{what}: {report:#?}"
        );
        assert!(!report.summary.is_empty(), "{what}");
    }
}

#[test]
fn a_partial_publish_is_visible_in_each_destination() {
    use DestinationState::{Absent, Current, Restored, Staged};
    let roll_back = vec![
        (20, Event::RollbackBegun { cause: RollbackCause::Operator }),
        (20, Event::OldKeyEnabled),
        (21, Event::Restored { destination: 0, version: version("v0") }),
    ];
    for (sample, places, partial) in [
        (Sample::rotating("c", 1, 1, vec![]), [Absent, Absent], false),
        (Sample::rotating("c", 1, 4, vec![]), [Staged, Absent], false),
        (Sample::rotating("c", 1, 7, vec![]), [Current, Staged], true),
        (Sample::rotating("c", 1, 8, vec![]), [Current, Current], false),
        (Sample::rotating("c", 1, 8, roll_back), [Restored, Current], true),
    ] {
        let report = sample.report(60);
        let told: Vec<DestinationState> = report.destinations.iter().map(|place| place.state).collect();
        assert_eq!((told.as_slice(), report.partially_published), (&places[..], partial));
    }
}

#[test]
fn every_kind_of_event_has_a_line_and_a_damaged_history_is_still_told() {
    let id = rotation(1);
    let events = super::samples::every_event("tts", id);
    let events: Vec<(Timestamp, Event)> = events.into_iter().map(|event| (at(0), event)).collect();
    let story = RotationTimeline::new(id, &events);
    assert_eq!(story.lines.len(), events.len());
    assert!(story.lines.iter().all(|line| !line.text.is_empty()));
    assert!(story.damage.is_some() && story.phase.is_none(), "every event once is no legal history");
    let whole = Sample::rotating(
        "tts",
        1,
        10,
        vec![(DAY * 2, Event::QuarantinePassed), (DAY * 2 + 1, Event::OldKeyGone)],
    );
    let events: Vec<_> = whole.events.iter().map(|(seconds, event)| (at(*seconds), event.clone())).collect();
    let story = RotationTimeline::new(id, &events);
    assert_eq!((story.phase, story.ended_at), (Some(PhaseName::Done), Some(at(DAY * 2 + 1))));
    let first = &RotationTimeline::new(id, &[]);
    assert!(first.lines.is_empty() && first.damage.is_some());
}

pub(super) fn rekeyd(arguments: &[&str], journal: &Path, now: i64) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rekeyd"))
        .args(arguments)
        .args(["--now", &at(now).to_string(), "--journal"])
        .arg(journal)
        .env_remove("NO_COLOR")
        .output()
        .unwrap()
}

pub(super) fn printed(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    timeless(&String::from_utf8(output.stdout.clone()).unwrap())
}

/// A fleet with one credential in each condition.
async fn fleet(path: &Path) {
    let journal = SqliteJournal::open(path).unwrap();
    let mut blocked = Sample::idle("dubbing");
    blocked.record.obstacle = Some(Obstacle {
        kind: ObstacleKind::AdoptionUnclear,
        detail: "service account sa_7 has keys key_a and key_b; name one: adopt = \"key_a\"".to_owned(),
        since: at(-DAY),
    });
    let mut waiting = Sample::rotating("tts-backend", 2, 8, vec![]);
    waiting.acks = vec![ack("tts-api", "old", 60)];
    for sample in [
        Sample::idle("asr"),
        blocked,
        waiting,
        Sample::rotating("agents", 3, 7, vec![]),
        Sample::rotating(
            "music",
            4,
            7,
            vec![
                (20, hindered(EffectName::Promote, Kind::TimedOut)),
                (140, hindered(EffectName::Promote, Kind::TimedOut)),
            ],
        ),
        Sample::rotating(
            "studio",
            5,
            6,
            vec![(
                20,
                Event::Parked {
                    reason: ParkReason::ForeignValue,
                    detail: "aws:prod/tts#xi_api_key serves a value that\nrekeyd did not put there"
                        .to_owned(),
                },
            )],
        ),
        Sample::rotating("legacy", 6, 1, vec![]),
    ] {
        sample.write(&journal).await;
    }
    drop(journal);
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA ignore_check_constraints = ON; DROP TRIGGER entries_never_change;
             UPDATE entries SET body = 'gone' WHERE rotation LIKE '%6' AND sequence = 0;",
        )
        .unwrap();
}

#[tokio::test]
async fn status_tells_the_worst_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    fleet(&path).await;
    let output = rekeyd(&["status"], &path, HOUR);
    insta::assert_snapshot!("status_table", printed(&output));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(rekeyd(&["status", "--exit-code"], &path, HOUR).status.code(), Some(4));

    let output = rekeyd(&["status", "tts-backend", "--exit-code"], &path, HOUR);
    insta::assert_snapshot!("status_of_one", printed(&output));
    assert_eq!(output.status.code(), Some(0), "waiting for a consumer needs nobody yet");

    let output = rekeyd(&["status", "--output", "json"], &path, HOUR);
    let json: serde_json::Value = serde_json::from_str(&printed(&output)).unwrap();
    assert_eq!(json["schema_version"], 1);
    let order: Vec<&str> =
        json["credentials"].as_array().unwrap().iter().map(|it| it["credential"].as_str().unwrap()).collect();
    assert_eq!(order, ["legacy", "dubbing", "studio", "music", "tts-backend", "agents", "asr"]);
    let one = rekeyd(&["status", "tts-backend", "--output", "json"], &path, HOUR);
    insta::assert_snapshot!("status_json", printed(&one));
}

#[tokio::test]
async fn history_tells_each_rotation_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    fleet(&path).await;
    insta::assert_snapshot!("history_table", printed(&rekeyd(&["history", "music"], &path, HOUR)));
    let json = printed(&rekeyd(&["history", "studio", "--output", "json"], &path, HOUR));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rotation = &json["rotations"][0];
    assert_eq!((json["schema_version"].as_i64(), rotation["phase"].as_str()), (Some(1), Some("parked")));
    assert_eq!(rotation["lines"][6]["event"], "parked");
    assert_eq!(rotation["lines"][6]["at"], "2026-01-01T00:00:20Z");
}

#[tokio::test]
async fn what_cannot_be_told_is_said_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.db");
    let path = directory.path().join("journal.db");
    fleet(&path).await;
    for (arguments, journal, told) in [
        (&["status"][..], &missing, "there is no journal at"),
        (&["status", "nobody"], &path, "known credentials: legacy, dubbing"),
        (&["history", "nobody"], &path, "rekeyd status"),
        (&["history", "no/body"], &path, "is not a valid credential name"),
        (&["history", "legacy"], &path, "the journal is damaged at rotation"),
    ] {
        let output = rekeyd(arguments, journal, 0);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(told), "{arguments:?}: {error}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
    assert!(!missing.exists());
}
