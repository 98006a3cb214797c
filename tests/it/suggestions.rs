//! Each command that status suggests, in each state in which a rotation waits for an operator, is one that this state
//! takes, and leads out of it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::event::Event;
use rekeyd::domain::gate::Evidence;
use rekeyd::domain::ids::CredentialName;
use rekeyd::domain::phase::{Phase, PhaseName};
use rekeyd::domain::record::Record;
use rekeyd::domain::report::{CredentialReport, Facts};
use rekeyd::domain::rotation::{ParkReason, RollbackCause, Rotation};
use rekeyd::domain::step::step;
use rekeyd::domain::successor::{PlacementState, Served};

use crate::state_table::states;

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(9)
}

/// The phases in which the engine parks a rotation for this reason.
fn parks_in(reason: ParkReason) -> &'static [PhaseName] {
    use PhaseName as P;
    match reason {
        ParkReason::MintRefused
        | ParkReason::MintsExhausted
        | ParkReason::Unrestricted
        | ParkReason::Widened => &[P::Due],
        ParkReason::OldKeyUnusable => &[P::Due, P::Reinstating, P::RollingBack, P::Returning, P::Withdrawing],
        ParkReason::OldKeyReenabled => &[P::Quarantine, P::Revoking],
        ParkReason::NewKeyUnusable => {
            &[P::Staging, P::Verifying, P::Promoting, P::Overlap, P::Disabling, P::Quarantine, P::Revoking]
        }
        ParkReason::ForeignValue => &[
            P::Due,
            P::Staging,
            P::Promoting,
            P::Overlap,
            P::Disabling,
            P::Quarantine,
            P::Revoking,
            P::RollingBack,
            P::Returning,
            P::Withdrawing,
        ],
        ParkReason::CannotRollBack => &[P::Overlap, P::RollingBack],
        ParkReason::ConsumerFailing | ParkReason::ProbeRed | ParkReason::Reinstated => &[P::Overlap],
    }
}

/// Every state with each of its reasons, once with something to go back to and once without.
fn parked() -> Vec<(String, Rotation)> {
    let mut all = Vec::new();
    for (name, rotation) in states() {
        for reason in ParkReason::ALL {
            if !parks_in(reason).contains(&rotation.phase.name()) {
                continue;
            }
            let was = Box::new(rotation.phase.clone());
            let phase = Phase::Parked { reason, detail: "a reason".to_owned(), was };
            all.push((format!("{name}, {}", reason.label()), Rotation { phase, ..rotation.clone() }));
        }
    }
    let without: Vec<(String, Rotation)> = all
        .iter()
        .filter_map(|(name, it)| Some((format!("{name}, nothing before"), orphaned(it)?)))
        .collect();
    all.into_iter().chain(without).collect()
}

/// The same where the destination was empty before, as far as that state can come without something to go back to.
fn orphaned(rotation: &Rotation) -> Option<Rotation> {
    let mut changed = rotation.clone();
    let Phase::Parked { reason, was, .. } = &mut changed.phase else { return None };
    if was.is_rollback() || *reason == ParkReason::OldKeyReenabled {
        return None;
    }
    let (Phase::Overlap(new)
    | Phase::Quarantine(new)
    | Phase::Revoking(new)
    | Phase::Disabling { successor: new, .. }) = &mut **was
    else {
        return None;
    };
    for placement in &mut new.placements {
        placement.before = Served::default();
        if let PlacementState::Current { displaced, .. } = &mut placement.progress {
            *displaced = None;
        }
    }
    Some(changed)
}

fn suggested(rotation: &Rotation) -> String {
    let record = Record::new(CredentialName::new("tts").unwrap());
    let facts =
        Facts { record: &record, rotation: Some(rotation), evidence: &Evidence::default(), policy: None };
    let report = CredentialReport::new(facts, now());
    assert!(report.attention, "{}", report.summary);
    report.next_command.unwrap_or_default()
}

/// What the engine journals for the command, where every destination serves what the command is to change.
fn event_of(command: &str, rotation: &Rotation) -> Event {
    let Phase::Parked { was, reason, .. } = &rotation.phase else { panic!("{command}") };
    let destinations = vec![(0, Served::default())];
    let back = matches!(**was, Phase::Returning { .. } | Phase::Withdrawing { .. });
    match command {
        "rekeyd retry tts" => Event::Retried { overwrite: false, restore: Vec::new() },
        "rekeyd retry --overwrite tts" if was.row().may_publish_again && !was.is_rollback() => {
            Event::OverwriteRequested { destinations }
        }
        "rekeyd retry --overwrite tts" => {
            Event::Retried { overwrite: true, restore: if back { vec![0] } else { Vec::new() } }
        }
        "rekeyd abort tts" if was.is_rollback() => Event::OverwriteRequested { destinations },
        "rekeyd abort tts" => Event::AbortRequested { by: "a test".to_owned() },
        "rekeyd rollback tts" => Event::RollbackBegun { cause: RollbackCause::Operator },
        "rekeyd rotate --emergency tts" if *reason == ParkReason::NewKeyUnusable => {
            Event::RollbackBegun { cause: RollbackCause::NoKeyLeft }
        }
        other => panic!("`{other}` is suggested, and this test does not know it"),
    }
}

/// Where a command alone would come back to the same place: the summary says what a person has to do before.
fn asks_for_something_first(reason: ParkReason) -> bool {
    matches!(
        reason,
        ParkReason::MintRefused
            | ParkReason::MintsExhausted
            | ParkReason::CannotRollBack
            | ParkReason::Reinstated
            | ParkReason::OldKeyUnusable
            | ParkReason::ConsumerFailing
            | ParkReason::ProbeRed
    )
}

#[test]
fn every_parked_state_suggests_a_command_that_it_takes_and_that_leads_out() {
    let parked = parked();
    assert!(parked.len() > 40, "{}", parked.len());
    for (name, rotation) in parked {
        let command = suggested(&rotation);
        let next = step(&rotation, &event_of(&command, &rotation), now())
            .unwrap_or_else(|refused| panic!("{name}: `{command}`: {refused}"));
        let Phase::Parked { was, reason, .. } = &rotation.phase else { panic!("{name}") };
        assert!(!matches!(next.phase, Phase::Parked { .. }), "{name}: `{command}`");
        let resumes = next.phase.name() == was.name() && command == "rekeyd retry tts";
        assert!(!resumes || asks_for_something_first(*reason), "{name}: `{command}` parks again");
    }
}
