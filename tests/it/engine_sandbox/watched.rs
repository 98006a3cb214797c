//! What a rotation put into service is watched until the old key is gone, against the sandbox.

use std::time::Duration;

use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::event::Event;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::rotation::ParkReason;
use rekeyd::domain::secret::SecretValue;
use rekeyd::engine::Command;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::key::State;

use super::harness::Harness;
use super::leaks::{overlapping, settled};

/// In a quarantine of an hour, with the value that was served before.
async fn quarantined() -> (Harness, SecretValue) {
    let mut harness = settled(|_| ()).await;
    let old = harness.served().unwrap();
    harness.revise(|terms| terms.quarantine = SignedDuration::from_hours(1)).await;
    harness.request(Command::Rotate).await.unwrap();
    harness.reaches(PhaseName::Quarantine).await;
    assert_eq!(harness.states(), [State::Disabled, State::Enabled]);
    (harness, old)
}

/// The one inspection parks it, names the cause, and suggests what is done next.
async fn is_stopped(harness: &Harness, reason: ParkReason, suggested: &str) {
    harness.inspect().await;
    harness.parks_for(reason).await;
    let report = harness.report().await;
    assert_eq!(report.next_command.as_deref(), Some(suggested), "{}", report.summary);
    assert!(report.attention, "{}", report.summary);
}

#[tokio::test]
async fn a_destination_that_is_put_back_in_the_quarantine_has_its_key_back_and_is_published_to_again() {
    let (mut harness, old) = quarantined().await;
    let new = harness.served().unwrap().fingerprint();
    harness.outage = true;
    harness.tamper(old.expose());
    is_stopped(&harness, ParkReason::ForeignValue, "rekeyd retry --overwrite tts-backend").await;
    assert_eq!(harness.states(), [State::Enabled, State::Enabled]);

    harness.outage = false;
    harness.revise(|terms| terms.quarantine = SignedDuration::from_millis(200)).await;
    harness.request(Command::Retry { overwrite: true }).await.unwrap();
    harness.reaches(PhaseName::Overlap).await;
    harness.request(Command::Confirm).await.unwrap();
    harness.done(2).await;
    assert_eq!(harness.served().unwrap().fingerprint(), new);
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    harness.stop().await;
}

#[tokio::test]
async fn a_destination_that_is_put_back_while_an_acknowledgement_is_awaited_is_noticed() {
    let mut harness = overlapping().await;
    let new = harness.served().unwrap().fingerprint();
    harness.outage = true;
    harness.tamper("what somebody else put there");
    is_stopped(&harness, ParkReason::ForeignValue, "rekeyd retry --overwrite tts-backend").await;
    harness.request(Command::Retry { overwrite: true }).await.unwrap();
    harness.reaches(PhaseName::Overlap).await;
    harness.outage = false;
    assert_eq!(harness.served().unwrap().fingerprint(), new);
    harness.acknowledge("nobody", rekeyd::domain::ack::Health::Using).await;
    harness.done(2).await;
    harness.stop().await;
}

#[tokio::test]
async fn a_new_key_that_somebody_deletes_in_the_quarantine_leaves_the_old_one_to_go_back_to() {
    let (mut harness, old) = quarantined().await;
    harness.outage = true;
    let new = harness.key(0);
    harness.sandbox.workspace().delete_key(&new, SystemClock.now()).unwrap();
    is_stopped(&harness, ParkReason::NewKeyUnusable, "rekeyd rollback tts-backend").await;
    assert_eq!(harness.states(), [State::Enabled, State::Deleted]);
    harness.request(Command::RollBack).await.unwrap();
    harness.ended(PhaseName::RolledBack).await;
    assert_eq!(harness.served().unwrap().fingerprint(), old.fingerprint());
    harness.stop().await;
}

#[tokio::test]
async fn a_new_key_that_somebody_disables_is_noticed_wherever_the_rotation_waits() {
    for in_quarantine in [false, true] {
        let mut harness = if in_quarantine { quarantined().await.0 } else { overlapping().await };
        let new = harness.key(0);
        harness.disable(&new, None);
        is_stopped(&harness, ParkReason::NewKeyUnusable, "rekeyd rollback tts-backend").await;
        assert_eq!(harness.states(), [State::Enabled, State::Disabled], "{in_quarantine}");
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_store_that_shows_the_old_value_for_a_moment_is_not_somebody_elses_change() {
    let (mut harness, old) = quarantined().await;
    let new = harness.served().unwrap();
    harness.outage = true;
    harness.tamper(old.expose());
    harness.inspect().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    harness.tamper(new.expose());
    harness.outage = false;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let events = harness.events().await;
    let stopped = |event: &Event| matches!(event, Event::Alarmed { .. } | Event::Parked { .. });
    assert!(!events.iter().any(stopped), "{events:?}");
    assert_eq!(harness.states(), [State::Disabled, State::Enabled]);
    harness.stop().await;
}
