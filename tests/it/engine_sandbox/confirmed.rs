//! First rotations of adopted keys, and rotations after an alarm: nothing is disabled before an operator confirms.

use jiff::SignedDuration;
use rekeyd::domain::gate::GateName;
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::domain::report::CredentialReport;
use rekeyd::engine::Command;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::key::State;

use super::harness::{Harness, Start};
use super::rules;

async fn adopted(then: AfterDeadline) -> Harness {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    harness.agree(|terms| {
        terms.confirm = ConfirmWhen::FirstWithoutGates;
        terms.at_most = SignedDuration::from_millis(500);
        terms.then = then;
    });
    harness.live().await;
    harness
}

/// Whether only a confirmation is missing.
fn waits_for_an_operator(report: &CredentialReport) -> bool {
    let gates = report.rotation.iter().flat_map(|rotation| &rotation.gates);
    let shut: Vec<GateName> = gates.filter(|gate| !gate.satisfied).map(|gate| gate.gate).collect();
    shut == [GateName::Confirm]
}

#[tokio::test]
async fn the_old_key_of_a_first_rotation_is_kept_beyond_every_deadline_until_an_operator_confirms() {
    for then in [AfterDeadline::Hold, AfterDeadline::Revoke] {
        let mut harness = adopted(then).await;
        let told = harness.told("it waits for an operator", waits_for_an_operator).await;
        assert!(told.attention, "{told:?}");
        assert_eq!(told.next_command.as_deref(), Some("rekeyd confirm tts-backend"));
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        assert_eq!(
            harness.states(),
            [State::Enabled, State::Enabled],
            "{then:?}: time alone disables nothing"
        );

        let answer = harness.request(Command::Confirm).await.unwrap();
        assert!(answer.contains("is confirmed"), "{answer}");
        harness.done(1).await;
        assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
        // The next rotation replaces a key that rekeyd made: it knows where that is used.
        harness.request(Command::Rotate).await.unwrap();
        harness.done(2).await;
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_confirmation_outlives_a_restart_and_is_refused_where_nothing_can_be_confirmed() {
    let mut harness = adopted(AfterDeadline::Hold).await;
    harness.reaches(PhaseName::Overlap).await;
    harness.told("it waits for an operator", waits_for_an_operator).await;
    harness.stop_controller().await;
    harness.live().await;
    harness.told("it still waits", waits_for_an_operator).await;
    harness.request(Command::Confirm).await.unwrap();
    harness.done(1).await;
    let refused = harness.request(Command::Confirm).await.unwrap_err().to_string();
    assert!(refused.contains("no rotation of `tts-backend` is under way"), "{refused}");
    harness.stop().await;
}

#[tokio::test]
async fn after_an_alarm_the_overlap_begins_anew_and_an_operator_has_to_confirm() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithoutKey).await;
    harness.live().await;
    harness.done(1).await;
    harness.revise(|terms| terms.quarantine = SignedDuration::from_hours(1)).await;
    harness.request(Command::Rotate).await.unwrap();
    harness.reaches(PhaseName::Quarantine).await;
    harness.request(Command::Reinstate).await.unwrap();
    harness.reaches(PhaseName::Parked).await;
    let refused = harness.request(Command::Confirm).await.unwrap_err().to_string();
    assert!(refused.contains("rekeyd retry tts-backend"), "{refused}");

    harness.request(Command::Retry { overwrite: false }).await.unwrap();
    harness.told("the old key is kept", waits_for_an_operator).await;
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert_eq!(harness.states().last_chunk(), Some(&[State::Enabled, State::Enabled]));
    harness.revise(|terms| terms.quarantine = SignedDuration::from_millis(100)).await;
    harness.request(Command::Confirm).await.unwrap();
    harness.done(2).await;
    harness.stop().await;
}
