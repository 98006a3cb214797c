//! What a rotation put into service is watched until the old key is gone, against the sandbox.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::acceptance::AcceptanceRule;
use rekeyd::domain::event::Event;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::rotation::ParkReason;
use rekeyd::domain::secret::SecretValue;
use rekeyd::engine::Command;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;

use super::harness::{Harness, Start};
use super::leaks::{overlapping, settled};
use super::rules;

impl Harness {
    /// A new key has to be accepted so often, over so long, from the next life on.
    pub(super) fn accept(&mut self, count: u32, over: SignedDuration) {
        self.timing.acceptances = AcceptanceRule { count, over };
    }
}

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

#[tokio::test]
async fn a_key_that_is_refused_between_two_acceptances_is_counted_anew_before_it_is_published() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    let old = harness.key(0);
    harness.accept(3, SignedDuration::from_millis(1200));
    let refused = What::Refuse(Refused::with(401, "invalid_api_key"));
    harness.sandbox.set_faults(vec![Fault::on(Route::User, refused).after(2).times(1)]);
    let begun = Instant::now();
    harness.live().await;
    harness.reaches(PhaseName::Verifying).await;
    harness.until("it is refused", async |harness, _| harness.calls(Route::User) == 3).await;
    let refused_at = Instant::now();
    harness.done(1).await;
    assert_eq!(harness.calls(Route::User), 6, "two, a refusal, and three");
    assert!(refused_at.elapsed() >= Duration::from_millis(1200), "{:?}", begun.elapsed());
    assert_ne!(harness.key(0), old);
    harness.stop().await;
}

#[tokio::test]
async fn a_restart_between_two_acceptances_counts_anew() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    harness.accept(3, SignedDuration::from_secs(2));
    harness.live().await;
    harness.until("it is accepted twice", async |harness, _| harness.calls(Route::User) == 2).await;
    harness.start_again().await;
    harness.done(1).await;
    assert_eq!(harness.calls(Route::User), 5);
    harness.stop().await;
}

#[tokio::test]
async fn in_an_emergency_one_acceptance_is_enough() {
    let mut harness = settled(|_| ()).await;
    harness.accept(3, SignedDuration::from_mins(10));
    harness.revise(|_| ()).await;
    let before = harness.calls(Route::User);
    harness.request(Command::Emergency).await.unwrap();
    harness.done(2).await;
    assert_eq!(harness.calls(Route::User), before + 1);
    harness.stop().await;
}
