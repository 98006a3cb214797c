//! The full state × event table, committed as `docs/state-machine.md`.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test looks for one thing and fails by panicking"
)]

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::effect::{self, EffectName};
use rekeyd::domain::event::Event;
use rekeyd::domain::failure::{Failure, Kind};
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::ids::{CredentialName, KeyId, ServiceAccountId, StoreName, VersionId, WorkspaceName};
use rekeyd::domain::key::{KeyAttributes, KeyRequest, Permissions};
use rekeyd::domain::phase::{AfterDiscard, Alarm, AlarmKind, Phase, PhaseName};
use rekeyd::domain::plan::{AfterDeadline, Destination, Plan, Reason, RevocationPolicy};
use rekeyd::domain::rotation::{ParkReason, RollbackCause, Rotation};
use rekeyd::domain::secret::Fingerprint;
use rekeyd::domain::step::step;
use rekeyd::domain::successor::{KeyFacts, Placement, PlacementState, Served, Successor};

use crate::support::blessed;

#[test]
fn every_state_and_event_is_in_the_committed_table() {
    blessed::compare("docs/state-machine.md", &document());
}

#[test]
fn what_is_over_stays_over() {
    for (name, rotation) in states().into_iter().filter(|(_, rotation)| rotation.is_over()) {
        for event in events() {
            assert!(step(&rotation, &event, at(9)).is_err(), "{name}: {}", event.name());
        }
        assert_eq!(effect::pending(&rotation), None, "{name}");
    }
}

#[test]
fn every_state_that_is_not_over_has_something_to_do_or_is_parked() {
    for (name, rotation) in states() {
        let idle = rotation.is_over() || matches!(rotation.phase, Phase::Parked { .. });
        assert_eq!(effect::pending(&rotation).is_none(), idle, "{name}");
    }
}

#[test]
fn no_event_but_the_listed_ones_lets_go_of_the_old_key() {
    for (name, rotation) in states() {
        for event in events() {
            let Ok(next) = step(&rotation, &event, at(9)) else { continue };
            if matches!(next.phase, Phase::Disabling { .. })
                && !matches!(rotation.phase, Phase::Disabling { .. })
            {
                // What was disabled before, and was about to be enabled again.
                let escalated = matches!(event, Event::Escalated { .. })
                    && matches!(rotation.phase, Phase::Reinstating { .. });
                let from_rest = matches!(event, Event::Retried { .. }) || escalated;
                assert!(from_rest || matches!(event, Event::Released { .. }), "{name}: {}", event.name());
            }
            if matches!(next.phase, Phase::Discarding { .. }) {
                assert!(!next.successor().unwrap().promotion_begun, "{name}: {}", event.name());
            }
        }
    }
}

#[test]
fn a_row_lists_exactly_the_events_that_its_phase_takes_or_refuses_with_a_reason() {
    for phase in PhaseName::ALL {
        for event in events() {
            // Every phase that is not over answers these; the settled expiry needs an expiry, which no sample has.
            if matches!(
                event,
                Event::EffectFailed { .. }
                    | Event::TermsRevised { .. }
                    | Event::Escalated { .. }
                    | Event::ExpirySettled { .. }
            ) {
                continue;
            }
            let mut samples = states().into_iter().filter(|(_, rotation)| rotation.phase.name() == phase);
            let is_taken = samples.any(|(_, rotation)| match step(&rotation, &event, at(9)) {
                Ok(_) => true,
                Err(refused) => refused.because.is_some(),
            });
            let is_listed = phase.row().takes.contains(&event.kind());
            assert_eq!(is_taken, is_listed, "{}: {}", phase.label(), event.name());
        }
    }
}

fn document() -> String {
    let mut text = String::from(
        "# The state machine of a rotation\n\n\
         Generated from `domain::step` and `domain::effect`; a test compares this file with the code.\n\
         In each state: what is done next, and where each event leads. An event that is not listed is illegal there:\n\
         from the journal it means corruption, from an operator \"not now\". Beside these, every state that is not over\n\
         takes `effect_failed` (an effect failed and will be tried again) and `terms_revised` (the policy's terms changed) and stays.\n",
    );
    for (name, rotation) in states() {
        let next = effect::pending(&rotation)
            .map_or_else(|| "nothing".to_owned(), |effect| format!("`{}`", label(effect.name())));
        write!(text, "\n## {name}\n\nNext: {next}.\n").unwrap();
        let mut rows = String::new();
        for event in events() {
            if matches!(event, Event::EffectFailed { .. } | Event::TermsRevised { .. }) {
                continue;
            }
            match step(&rotation, &event, at(9)) {
                Ok(next) => writeln!(rows, "| `{}` | {} |", describe(&event), phase(&next.phase)).unwrap(),
                Err(refused) => {
                    if let Some(because) = refused.because {
                        writeln!(rows, "| `{}` | refused: {because} |", describe(&event)).unwrap();
                    }
                }
            }
        }
        if !rows.is_empty() {
            write!(text, "\n| event | leads to |\n|---|---|\n{rows}").unwrap();
        }
    }
    text
}

fn label(name: EffectName) -> String {
    serde_json::to_value(name).unwrap().as_str().unwrap().to_owned()
}

fn describe(event: &Event) -> String {
    match event {
        Event::Released { forced: true, .. } => "released, forced".to_owned(),
        Event::RollbackBegun { cause: RollbackCause::NoKeyLeft } => "rollback_begun, no key left".to_owned(),
        Event::Retried { overwrite: true, restore } if restore.is_empty() => "retried, overwrite".to_owned(),
        Event::Retried { overwrite: true, .. } => "retried, restore".to_owned(),
        other => other.name().to_owned(),
    }
}

fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Due { overwrite: true } => "due, overwriting".to_owned(),
        Phase::Minting { outcome_unknown: true, .. } => "minting, outcome unknown".to_owned(),
        Phase::Disabling { forced: true, .. } => "disabling, forced".to_owned(),
        Phase::Discarding { then: AfterDiscard::MintAgain, .. } => "discarding, to mint again".to_owned(),
        Phase::Discarding { then: AfterDiscard::Abort { .. }, .. } => "discarding, to abort".to_owned(),
        Phase::RollingBack { old_enabled: false, .. } => "rolling_back, old key disabled".to_owned(),
        Phase::RollingBack { old_enabled: true, .. } => "rolling_back, old key enabled".to_owned(),
        Phase::Parked { was, .. } => format!("parked in {}", self::phase(was)),
        other => other.name().label().to_owned(),
    }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
}

fn version(name: &str) -> VersionId {
    VersionId::new(name).unwrap()
}

fn terms() -> RevocationPolicy {
    RevocationPolicy {
        at_least: SignedDuration::from_hours(1),
        at_most: SignedDuration::from_hours(2),
        then: AfterDeadline::Hold,
        gates: Vec::new(),
        confirm: ConfirmWhen::Never,
        acks_valid_for: None,
        canary: None,
        quarantine: SignedDuration::from_hours(1),
    }
}

fn plan() -> Plan {
    Plan {
        rotation: "0190b8a0-0000-7000-8000-000000000001".parse().unwrap(),
        credential: CredentialName::new("tts").unwrap(),
        workspace: WorkspaceName::new("prod").unwrap(),
        account: ServiceAccountId::new("account").unwrap(),
        reason: Reason::Schedule,
        begun_at: at(0),
        old: Some(KeyId::new("old").unwrap()),
        adopted: false,
        first: None,
        key_lifetime: None,
        allow_unrestricted: false,
        destinations: vec![Destination {
            store: StoreName::new("local").unwrap(),
            secret: "tts".to_owned(),
            json_field: None,
            create: false,
            create_field: false,
        }],
        terms: terms(),
        expire_old_key: Some(SignedDuration::from_hours(24)),
        emergency: false,
        urgency: None,
    }
}

fn alarm() -> Alarm {
    Alarm { kind: AlarmKind::ConsumerFailing, detail: String::new() }
}

fn request() -> KeyRequest {
    KeyRequest { attributes: KeyAttributes::of(Permissions::All), expires_at: None }
}

fn before() -> Served {
    Served { version: Some(version("v0")), fingerprint: Some(Fingerprint::of(b"old")) }
}

fn successor(progress: PlacementState, promotion_begun: bool) -> Successor {
    Successor {
        key: KeyId::new("new").unwrap(),
        fingerprint: Fingerprint::of(b"new"),
        request: request(),
        placements: vec![Placement { before: before(), restaged: 0, progress }],
        facts: None,
        promotion_begun,
    }
}

/// One of each, with a name for the document. The plan has one destination and an old key.
pub(crate) fn states() -> Vec<(String, Rotation)> {
    let staged = || PlacementState::Staged { version: version("v1"), over: Some(version("v0")) };
    let current = || {
        successor(PlacementState::Current { version: version("v1"), displaced: Some(version("v0")) }, true)
    };
    let restored = || successor(PlacementState::Restored { version: version("v0") }, true);
    let cause = RollbackCause::Operator;
    let minting =
        |outcome_unknown| Phase::Minting { request: request(), before: vec![before()], outcome_unknown };
    let discarding = |then| Phase::Discarding { successor: successor(staged(), false), then };
    let parked = |was: Phase| Phase::Parked {
        reason: ParkReason::ForeignValue,
        detail: String::new(),
        was: Box::new(was),
    };
    let plain = vec![
        Phase::Due { overwrite: false },
        minting(false),
        minting(true),
        Phase::Staging(successor(PlacementState::Absent, false)),
        Phase::Staging(successor(PlacementState::Absent, true)),
        Phase::Verifying(successor(staged(), false)),
        Phase::Verifying(successor(staged(), true)),
        Phase::Promoting(successor(staged(), true)),
        Phase::Overlap(current()),
        Phase::Disabling { successor: current(), forced: false },
        Phase::Disabling { successor: current(), forced: true },
        Phase::Quarantine(current()),
        Phase::Revoking(current()),
        Phase::Reinstating { successor: current(), alarm: alarm() },
        discarding(AfterDiscard::MintAgain),
        discarding(AfterDiscard::Abort { why: String::new() }),
        Phase::RollingBack { successor: current(), cause, old_enabled: false, overwrite: false },
        Phase::RollingBack { successor: current(), cause, old_enabled: true, overwrite: false },
        Phase::Returning { successor: restored(), cause },
        Phase::Withdrawing { successor: restored(), cause },
        parked(Phase::Due { overwrite: false }),
        parked(Phase::Overlap(current())),
        parked(Phase::Revoking(current())),
        parked(Phase::Reinstating { successor: current(), alarm: alarm() }),
        Phase::Done(current()),
        Phase::Aborted { why: String::new() },
        Phase::RolledBack { cause },
    ];
    plain
        .into_iter()
        .map(|phase| {
            let again = match &phase {
                Phase::Staging(s) | Phase::Verifying(s) if s.promotion_begun => {
                    ", after a changed destination"
                }
                _ => "",
            };
            let name = format!("{}{again}", self::phase(&phase));
            (name, Rotation { phase, attempt: 1, ..Rotation::begin(plan()) })
        })
        .collect()
}

/// One of each.
fn events() -> Vec<Event> {
    let failure = || Failure::rejected(Kind::Invalid, "refused");
    vec![
        Event::Begun(Box::new(plan())),
        Event::MintIntended { request: request(), before: vec![before()] },
        Event::Minted { key: KeyId::new("new").unwrap(), fingerprint: Fingerprint::of(b"new") },
        Event::MintRefused { failure: failure() },
        Event::MintOutcomeUnknown { cause: String::new() },
        Event::LostKeySettled { deleted: Vec::new() },
        Event::Staged { destination: 0, version: version("v1"), over: Some(version("v0")), before: None },
        Event::ValueLost,
        Event::Verified {
            facts: KeyFacts {
                created_at: None,
                expires_at: None,
                usage_hash: None,
                hint: String::new(),
                attributes: None,
            },
        },
        Event::VerificationFailed { why: String::new() },
        Event::Promoted { destination: 0, displaced: Some(version("v0")) },
        Event::DestinationChanged { destination: 0 },
        Event::Released { verdicts: Vec::new(), forced: false },
        Event::Released { verdicts: Vec::new(), forced: true },
        Event::ReleaseWithdrawn { verdicts: Vec::new() },
        Event::OldKeyDisabled,
        Event::ClockAgreed,
        Event::QuarantinePassed,
        Event::Alarmed { alarm: alarm() },
        Event::ExpiryIntended { at: at(40), original: None },
        Event::ExpirySettled { at: at(40), in_force: true },
        Event::Escalated { why: String::new(), since: None },
        Event::OldKeyGone,
        Event::RollbackBegun { cause: RollbackCause::Operator },
        Event::RollbackBegun { cause: RollbackCause::NoKeyLeft },
        Event::OldKeyEnabled,
        Event::Restored { destination: 0, version: version("v0") },
        Event::ReturnPassed,
        Event::NewKeyGone,
        Event::Discarded,
        Event::EffectFailed { effect: EffectName::Stage, failure: failure() },
        Event::Parked { reason: ParkReason::ForeignValue, detail: String::new() },
        Event::Retried { overwrite: false, restore: vec![] },
        Event::Retried { overwrite: true, restore: vec![] },
        Event::Retried { overwrite: true, restore: vec![0] },
        Event::OverwriteRequested { destinations: vec![(0, before())] },
        Event::AbortRequested { by: "operator".to_owned() },
        Event::TermsRevised { terms: terms() },
    ]
}
