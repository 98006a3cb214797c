//! `rekeyd status --why` and `rekeyd consumers`: who holds a rotation up, and by what that is known.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::SignedDuration;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::ack::{Ack, Health};
use rekeyd::domain::event::Event;
use rekeyd::domain::gate::command::{CommandGate, CommandRun};
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::gate::probes::{Instance, InstanceReport, Probe, ProbeRound, Reads};
use rekeyd::domain::gate::{Gate, Idle, Observations, WhenUnknown};
use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::plan::{AfterDeadline, RevocationPolicy};
use rekeyd::domain::usage::{KeyUse, Source, SourceEvidence, Spot};
use rekeyd::ports::journal::Acknowledgements;
use serde_json::Value;

use super::samples::{ack, at, fingerprint, name};
use super::status::{Sample, printed, rekeyd};

const HOUR: i64 = 3600;

fn terms() -> RevocationPolicy {
    let consumers = ["tts-api", "batch"].map(|name| ConsumerName::new(name).unwrap());
    let probe = Probe {
        name: "edge".to_owned(),
        url: "http://edge.internal/health".to_owned(),
        reads: Reads::Body,
        every_address: true,
    };
    let command = vec!["/usr/local/bin/may-revoke".to_owned()];
    RevocationPolicy {
        at_least: SignedDuration::from_hours(2),
        at_most: SignedDuration::from_hours(24 * 7),
        then: AfterDeadline::Hold,
        gates: vec![
            Gate::Acks(consumers.into()),
            Gate::Idle(Idle { quiet: SignedDuration::from_mins(30), when_unknown: WhenUnknown::Hold }),
            Gate::Probes(vec![probe]),
            Gate::Command(CommandGate { command, time_limit: SignedDuration::from_secs(30) }),
        ],
        confirm: ConfirmWhen::Never,
        acks_valid_for: None,
        canary: None,
        quarantine: SignedDuration::from_hours(24),
    }
}

fn observed() -> Observations {
    let spot = [("region", "eu"), ("product_type", "tts"), ("model", "eleven_flash_v2_5")];
    let spot: BTreeMap<String, String> =
        spot.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let usage = SourceEvidence {
        answered_at: Some(at(HOUR - 20)),
        covers_from: Some(at(-HOUR)),
        old: KeyUse {
            last: Some(at(HOUR - 300)),
            amount: 1234,
            spots: vec![Spot { last: at(HOUR - 300), about: spot }],
        },
        new: KeyUse { last: Some(at(HOUR - 120)), amount: 88, spots: vec![] },
        newest: Some(at(HOUR - 180)),
        delay: SignedDuration::from_secs(95),
        ..SourceEvidence::nothing(Source::UsageByKey)
    };
    let blind = "the listing does not show how much a key was used".to_owned();
    let counter = SourceEvidence { blind: Some(blind), ..SourceEvidence::nothing(Source::CreditCounter) };
    let instance = |address: &str, says| Instance { address: address.to_owned(), says };
    let instances = vec![
        instance("10.0.0.1", InstanceReport::TheNewKey),
        instance("10.0.0.2", InstanceReport::TheOldKey),
        instance("10.0.0.3", InstanceReport::Nothing("it did not answer in time".to_owned())),
    ];
    Observations {
        gathered_at: Some(at(HOUR - 20)),
        usage: vec![usage, counter],
        counted: None,
        canaries: vec![at(HOUR / 2)],
        probes: vec![ProbeRound { probe: "edge".to_owned(), at: at(HOUR - 20), instances, red_rounds: 3 }],
        command: Some(CommandRun { at: at(HOUR - 18), agreed: true, how: "exit code 0".to_owned() }),
        ..Observations::default()
    }
}

/// One credential that is held up in every way, one in quarantine with a dead man's switch, one at rest.
async fn fleet(path: &Path) {
    let journal = SqliteJournal::open(path).unwrap();
    let revised = Event::TermsRevised { terms: terms() };
    let agreed = (10, Event::ClockAgreed);
    let mut held = Sample::rotating("tts-backend", 2, 8, vec![agreed.clone(), (20, revised)]);
    held.acks = vec![
        ack("tts-api", "old", 60),
        Ack { health: Health::Failing, ..ack("cron", "new", HOUR - 60) },
        ack("legacy", "something else", -HOUR),
    ];
    held.write(&journal).await;
    let rotation = held.record.open.unwrap();
    journal.observe(&name("tts-backend"), rotation, &observed(), at(HOUR - 20)).await.unwrap();
    let expiry = vec![
        agreed,
        (20, Event::ExpiryIntended { at: at(60 * HOUR), original: None }),
        (21, Event::ExpirySettled { at: at(60 * HOUR), in_force: true }),
        (2 * HOUR + 11, Event::Released { verdicts: vec![], forced: false }),
        (2 * HOUR + 12, Event::OldKeyDisabled),
    ];
    let mut disabled = Sample::rotating("dubbing", 3, 8, expiry);
    disabled.acks = vec![ack("tts-api", "new", HOUR)];
    disabled.write(&journal).await;
    let mut idle = Sample::idle("asr");
    idle.acks = vec![ack("tts-api", "old", 90)];
    idle.write(&journal).await;
}

#[tokio::test]
async fn why_names_who_holds_it_up_the_evidence_and_the_way_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    fleet(&path).await;
    let held = printed(&rekeyd(&["status", "--why", "tts-backend"], &path, HOUR));
    insta::assert_snapshot!("why_held", held);
    let disabled = printed(&rekeyd(&["status", "dubbing", "--why"], &path, 3 * HOUR));
    insta::assert_snapshot!("why_quarantine", disabled);
    let idle = printed(&rekeyd(&["status", "asr", "--why"], &path, HOUR));
    insta::assert_snapshot!("why_idle", idle);
    for text in [held, disabled, idle] {
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
    let json = printed(&rekeyd(&["status", "--why", "tts-backend", "--output", "json"], &path, HOUR));
    insta::assert_snapshot!("why_json", json);
    let code = |arguments: &[&str]| rekeyd(arguments, &path, HOUR).status.code();
    assert_eq!(code(&["status", "--why"]), Some(2), "of which credential is not said");
    assert_eq!(code(&["status", "--why", "nobody"]), Some(1));
}

#[tokio::test]
async fn consumers_are_told_with_the_key_that_each_has() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.db");
    fleet(&path).await;
    insta::assert_snapshot!("consumers_table", printed(&rekeyd(&["consumers"], &path, HOUR)));
    let json = printed(&rekeyd(&["consumers", "tts-api", "--output", "json"], &path, HOUR));
    let json: Value = serde_json::from_str(&json).unwrap();
    let uses = json["consumers"][0]["uses"].as_array().unwrap();
    let told: Vec<_> = uses.iter().map(|it| (it["credential"].as_str(), it["key"].as_str())).collect();
    let told: Vec<_> = told.iter().map(|(name, key)| (name.unwrap(), key.unwrap())).collect();
    assert_eq!(told, [("asr", "current"), ("dubbing", "new"), ("tts-backend", "old")]);
    assert_eq!(json["consumers"][0]["last_seen"], at(HOUR).to_string());
    assert_eq!(uses[0]["fingerprint"], fingerprint("old").as_str());
    assert_eq!(rekeyd(&["consumers", "nobody"], &path, HOUR).status.code(), Some(1));
}
