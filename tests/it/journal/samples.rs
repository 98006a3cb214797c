//! Entries, records and whole rotations to write into a journal, and this test binary run again as another process.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::account_creation::AccountCreation;
use rekeyd::domain::ack::{Ack, Health};
use rekeyd::domain::audit::Actor;
use rekeyd::domain::effect::EffectName;
use rekeyd::domain::emergency::EmergencyOutcome;
use rekeyd::domain::event::Event;
use rekeyd::domain::failure::{Failure, Kind};
use rekeyd::domain::finding::{Finding, FindingKind};
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::gate::{Gate, GateName, Verdict};
use rekeyd::domain::ids::{
    ConsumerName, CredentialName, KeyId, RotationId, ServiceAccountId, StoreName, VersionId, WorkspaceName,
};
use rekeyd::domain::key::{KeyAttributes, KeyRequest, Permissions};
use rekeyd::domain::last_use::LastUse;
use rekeyd::domain::left::LeftDestination;
use rekeyd::domain::phase::{Alarm, AlarmKind, PhaseName};
use rekeyd::domain::plan::{AfterDeadline, Destination, Plan, Reason, RevocationPolicy, Urgency};
use rekeyd::domain::record::{Current, Due, LastRotation, Obstacle, ObstacleKind, PublishedVersion, Record};
use rekeyd::domain::rotation::{ParkReason, RollbackCause};
use rekeyd::domain::secret::Fingerprint;
use rekeyd::domain::sharing::SharingGroups;
use rekeyd::domain::successor::{KeyFacts, Served};
use rekeyd::domain::usage::Source;
use rekeyd::ports::journal::Entry;

/// Tells this binary, run again as a child, which journal to use.
pub(crate) const CHILD_JOURNAL: &str = "REKEYD_TEST_CHILD_JOURNAL";

pub(crate) fn at(seconds: i64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub(crate) fn name(text: &str) -> CredentialName {
    CredentialName::new(text).unwrap()
}

pub(crate) fn workspace(text: &str) -> WorkspaceName {
    WorkspaceName::new(text).unwrap()
}

pub(crate) fn rotation(number: u64) -> RotationId {
    format!("0190b8a0-0000-7000-8000-{number:012x}").parse().unwrap()
}

pub(crate) fn fingerprint(value: &str) -> Fingerprint {
    Fingerprint::of(value.as_bytes())
}

pub(crate) fn ack(consumer: &str, value: &str, seconds: i64) -> Ack {
    let consumer = ConsumerName::new(consumer).unwrap();
    Ack {
        consumer,
        fingerprint: fingerprint(value),
        health: Health::Using,
        since: at(seconds),
        at: at(seconds),
    }
}

pub(crate) fn failure() -> Failure {
    Failure::rejected(Kind::Unreachable, "connect to the provider: refused")
}

fn version(text: &str) -> VersionId {
    VersionId::new(text).unwrap()
}

fn terms() -> RevocationPolicy {
    RevocationPolicy {
        at_least: SignedDuration::from_hours(2),
        at_most: SignedDuration::from_hours(24 * 7),
        then: AfterDeadline::Hold,
        gates: vec![Gate::Acks([ConsumerName::new("tts-api").unwrap()].into())],
        confirm: ConfirmWhen::FirstWithoutGates,
        acks_valid_for: None,
        canary: None,
        quarantine: SignedDuration::from_hours(24),
    }
}

pub(crate) fn request() -> KeyRequest {
    let permissions = Permissions::Only(["text_to_speech".to_owned(), "a_name_of_2031".to_owned()].into());
    KeyRequest { attributes: KeyAttributes::of(permissions), expires_at: Some(at(1_000_000)) }
}

pub(crate) fn begun(credential: &str, workspace_name: &str, id: RotationId) -> Event {
    Event::Begun(Box::new(Plan {
        rotation: id,
        credential: name(credential),
        workspace: workspace(workspace_name),
        account: ServiceAccountId::new("sa_1").unwrap(),
        reason: Reason::Schedule,
        begun_at: at(0),
        old: Some(KeyId::new("key_old").unwrap()),
        adopted: false,
        first: None,
        key_lifetime: Some(SignedDuration::from_hours(24 * 60)),
        allow_unrestricted: false,
        destinations: vec![Destination {
            store: StoreName::new("aws").unwrap(),
            secret: "prod/tts".to_owned(),
            json_field: Some("xi_api_key".to_owned()),
            create: true,
            create_field: false,
        }],
        terms: terms(),
        expire_old_key: None,
        emergency: false,
        urgency: None,
    }))
}

pub(crate) fn mint_intended() -> Event {
    let before = Served { version: Some(version("v0")), fingerprint: None };
    Event::MintIntended { request: request(), before: vec![before] }
}

pub(crate) fn hindered() -> Event {
    Event::EffectFailed { effect: EffectName::Preflight, failure: failure() }
}

/// Every kind of event once, the beginning first; not a legal history.
pub(crate) fn every_event(credential: &str, id: RotationId) -> Vec<Event> {
    let key = || KeyId::new("key_new").unwrap();
    let verdicts = || {
        vec![Verdict {
            gate: GateName::AtLeast,
            satisfied: true,
            reason: "it is late".to_owned(),
            waiting_on: Vec::new(),
        }]
    };
    let facts = KeyFacts {
        created_at: Some(at(1)),
        expires_at: None,
        usage_hash: None,
        hint: "sk_…1".to_owned(),
        attributes: Some(Box::new(request().attributes)),
    };
    vec![
        begun(credential, "prod", id),
        mint_intended(),
        Event::Minted { key: key(), fingerprint: fingerprint("new") },
        Event::MintRefused {
            failure: Failure {
                retry_after: Some(SignedDuration::from_millis(1500)),
                request_id: Some("req_1".to_owned()),
                ..failure()
            },
        },
        Event::MintOutcomeUnknown { cause: "no answer".to_owned() },
        Event::LostKeySettled { deleted: vec![key()] },
        Event::Staged { destination: 0, version: version("v1"), over: Some(version("v0")), before: None },
        Event::ValueLost,
        Event::Verified { facts },
        Event::VerificationFailed { why: "its permissions differ: ' \" \\ \u{1F511} \0".to_owned() },
        Event::Promoted { destination: 0, displaced: None },
        Event::DestinationChanged { destination: 0 },
        Event::Released { verdicts: verdicts(), forced: true },
        Event::ReleaseWithdrawn { verdicts: verdicts() },
        Event::OldKeyDisabled,
        Event::ClockAgreed,
        Event::QuarantinePassed,
        Event::Alarmed { alarm: Alarm { kind: AlarmKind::Operator, detail: "asked by uid 0".to_owned() } },
        Event::ExpiryIntended { at: at(9), original: Some(at(8)) },
        Event::ExpirySettled { at: at(9), in_force: true },
        Event::Escalated { why: "it was seen in public".to_owned(), since: Some(at(5)) },
        Event::OldKeyGone,
        Event::RollbackBegun { cause: RollbackCause::Deadline },
        Event::OldKeyEnabled,
        Event::Restored { destination: 0, version: version("v0") },
        Event::ReturnPassed,
        Event::NewKeyGone,
        Event::Discarded,
        hindered(),
        Event::Parked { reason: ParkReason::ForeignValue, detail: "somebody was there".to_owned() },
        Event::Retried { overwrite: true, restore: vec![] },
        Event::OverwriteRequested {
            destinations: vec![(0, Served { version: Some(version("v2")), fingerprint: None })],
        },
        Event::AbortRequested { by: "eve".to_owned() },
        Event::TermsRevised { terms: terms() },
    ]
}

pub(crate) fn entry(credential: &str, id: RotationId, sequence: u64, event: Event) -> Entry {
    Entry {
        rotation: id,
        sequence,
        at: at(i64::try_from(sequence).unwrap()),
        credential: name(credential),
        workspace: workspace("prod"),
        actor: Actor::Operator("uid 0 (root)".to_owned()),
        key: Some(KeyId::new("key_old").unwrap()),
        event,
    }
}

pub(crate) fn record(credential: &str, revision: u64, open: Option<RotationId>) -> Record {
    Record { revision, open, ..Record::new(name(credential)) }
}

/// This test binary, to be run again as a child process that does nothing but the test `name`, on `journal`.
pub(crate) fn child(test: &str, journal: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    as_child(&mut command, test, journal);
    command
}

pub(crate) fn as_child(command: &mut Command, test: &str, journal: &Path) {
    command.args([test, "--exact", "--nocapture", "--test-threads=1"].map(OsStr::new));
    command.env(CHILD_JOURNAL, journal).stdin(Stdio::null()).stdout(Stdio::piped());
}

/// A record with something in each field.
pub(crate) fn full_record(credential: &str) -> Record {
    let destination = Destination {
        store: StoreName::new("aws").unwrap(),
        secret: "prod/tts".to_owned(),
        json_field: Some("xi_api_key".to_owned()),
        create: true,
        create_field: false,
    };
    Record {
        credential: name(credential),
        revision: 7,
        account: Some(ServiceAccountId::new("sa_1").unwrap()),
        current: Some(Current {
            key: KeyId::new("key_old").unwrap(),
            fingerprint: Some(fingerprint("old")),
            since: at(0),
            expires_at: Some(at(9)),
            usage_hash: Some("5d41".to_owned()),
            attributes: Some(request().attributes),
        }),
        left: vec![LeftDestination {
            destination: Destination { secret: "prod/before".to_owned(), ..destination.clone() },
            fingerprint: Some(fingerprint("old")),
            since: at(5),
            forgotten: true,
        }],
        due: Some(Due { at: at(10), schedule: "every 30d".to_owned() }),
        open: Some(rotation(1)),
        last: Some(LastRotation {
            rotation: rotation(0),
            outcome: PhaseName::RolledBack,
            at: at(1),
            why: Some("no reason".to_owned()),
        }),
        aborts: 2,
        asked: true,
        obstacle: Some(Obstacle {
            kind: ObstacleKind::AdoptionUnclear,
            detail: "several keys".to_owned(),
            since: at(2),
        }),
        findings: vec![Finding {
            kind: FindingKind::ExposedPublicly,
            key: Some(KeyId::new("key_old").unwrap()),
            detail: "it was seen in public".to_owned(),
            since: at(3),
        }],
        accepted: [KeyId::new("key_of_somebody").unwrap()].into(),
        account_creation: Some(AccountCreation::intended("tts", &SharingGroups::default(), at(5))),
        sharing_groups: Some(SharingGroups::default().with("group_1", "viewer")),
        emergency: Some(Urgency { why: "asked by uid 0".to_owned(), since: at(4) }),
        adopted_at: None,
        last_use: Some(last_use()),
        empty_destinations: vec![destination.clone()],
        published: vec![PublishedVersion { destination, version: version("v0") }],
        answered: Some(EmergencyOutcome {
            rotation: rotation(0),
            why: "it was seen in public".to_owned(),
            since: at(0),
            at: at(1),
            fingerprint: Some(fingerprint("older")),
        }),
    }
}

fn last_use() -> LastUse {
    LastUse {
        key: KeyId::new("key_old").unwrap(),
        asked_at: at(8),
        last: Some(at(7)),
        source: Some(Source::RequestLog),
        about: [("region".to_owned(), "eu".to_owned())].into(),
        watched_by: vec![Source::RequestLog],
        watched_from: Some(at(6)),
        unknown: None,
        credits: Some(3),
    }
}

/// Without the time at which the journal of a test was written; all else that is told is long ago.
pub(crate) fn timeless(text: &str) -> String {
    let is_now = |word: &&str| word.parse::<Timestamp>().is_ok_and(|told| told > at(120 * 24 * 3600));
    let told = text.split([' ', ',', '\n', '"']).find(is_now);
    told.map_or_else(|| text.to_owned(), |told| text.replace(told, "TIME"))
}
