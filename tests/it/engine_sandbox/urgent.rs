//! Emergencies have room of their own: of the mint budget, past a breaker, and out of a rotation that is parked.

use rekeyd::domain::hold::{BREAKER, Hold, HoldKind, Scope};
use rekeyd::domain::ids::WorkspaceName;
use rekeyd::domain::phase::{Phase, PhaseName};
use rekeyd::domain::rotation::ParkReason;
use rekeyd::engine::Command;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;

use super::harness::{Harness, Start};
use super::leaks::{overlapping, settled};
use super::rules;

fn held(what: HoldKind, by: &str, harness: &Harness) -> Hold {
    let scope = Scope::Workspace(WorkspaceName::new("sandbox").unwrap());
    let why = "3 failures within 1 h".to_owned();
    Hold { scope, what, by: by.to_owned(), why, since: harness.clock.now() }
}

fn refusing() -> Vec<Fault> {
    vec![Fault::on(Route::CreateKey, What::Refuse(Refused::with(403, "forbidden")))]
}

/// Parked, because the provider refuses to create a key; by now it would not refuse any more.
async fn refused() -> Harness {
    let mut harness = settled(|_| ()).await;
    harness.outage = true;
    harness.sandbox.set_faults(refusing());
    harness.request(Command::Rotate).await.unwrap();
    harness.parks_for(ParkReason::MintRefused).await;
    harness
}

#[tokio::test]
async fn a_quarter_of_the_mint_budget_is_kept_for_emergencies() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithoutKey).await;
    harness.mints_per_hour = 4;
    harness.live().await;
    for done in 1..=3 {
        harness.done(done).await;
        if done < 3 {
            harness.request(Command::Rotate).await.unwrap();
        }
    }
    let answer = harness.request(Command::Rotate).await.unwrap();
    assert!(answer.contains("at the earliest: the mint budget of workspace `sandbox`"), "{answer}");
    harness.reaches(PhaseName::Due).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(harness.calls(Route::CreateKey), 3, "the rest is kept for emergencies");
    let answer = harness.request(Command::Emergency).await.unwrap();
    assert!(answer.ends_with("is an emergency from here on"), "{answer}");
    harness.done(4).await;
    assert_eq!(harness.calls(Route::CreateKey), 4);
    // Now it is used up for emergencies too, and that is said.
    let answer = harness.request(Command::Emergency).await.unwrap();
    assert!(answer.contains("(`mints_per_hour`) is used up:"), "{answer}");
    harness.stop().await;
}

#[tokio::test]
async fn an_emergency_of_a_credential_that_was_never_adopted_passes_the_breaker() {
    for (start, rest) in
        [(Start::WithKey, vec![State::Deleted, State::Enabled]), (Start::WithoutKey, vec![State::Enabled])]
    {
        let mut harness = Harness::prepare(rules(ApiVersion::November2026), start).await;
        harness.journal.hold(&held(HoldKind::Minting, BREAKER, &harness)).await.unwrap();
        harness.live().await;
        let answer = harness.request(Command::Rotate).await.unwrap();
        let expected = "begins when `rekeyd resume --workspace sandbox` lifts this: minting is held";
        assert!(answer.contains(expected), "{answer}");
        assert!(harness.known().await.rotation.is_none());
        let answer = harness.request(Command::Emergency).await.unwrap();
        assert!(answer.contains("begins now"), "{answer}");
        harness.done(1).await;
        assert_eq!(harness.states(), rest);
        harness.stop().await;
    }
}

#[tokio::test]
async fn an_emergency_that_a_person_holds_says_so() {
    let mut harness = settled(|_| ()).await;
    let hold = held(HoldKind::Everything, "uid 7", &harness);
    let Hold { scope, why, by, .. } = hold;
    harness.handle().pause(scope.clone(), None, why, by).await.unwrap();
    let answer = harness.request(Command::Emergency).await.unwrap();
    assert!(answer.contains("begins when `rekeyd resume --workspace sandbox` lifts this"), "{answer}");
    assert!(!answer.contains("begins now"), "{answer}");
    assert!(harness.known().await.rotation.is_none());
    harness.handle().resume(scope, None, "uid 7".to_owned()).await.unwrap();
    harness.done(2).await;
    harness.stop().await;
}

#[tokio::test]
async fn an_emergency_tries_a_refused_creation_again() {
    for leaked in [false, true] {
        let mut harness = refused().await;
        harness.sandbox.set_faults(Vec::new());
        let print = harness.served().unwrap().fingerprint();
        let command = if leaked { Command::Leaked(print) } else { Command::Emergency };
        harness.request(command).await.unwrap();
        harness.done(2).await;
        assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
        assert!(harness.known().await.record.answered.is_some());
        harness.stop().await;
    }
}

#[tokio::test]
async fn an_emergency_whose_creation_is_refused_again_is_parked_and_can_be_pressed() {
    let mut harness = refused().await;
    let creations = harness.calls(Route::CreateKey);
    harness.request(Command::Emergency).await.unwrap();
    harness
        .until("it is parked again", async |harness, known| {
            let is_parked = known
                .rotation
                .is_some_and(|it| it.plan.emergency && matches!(it.phase, Phase::Parked { .. }));
            is_parked && harness.calls(Route::CreateKey) > creations
        })
        .await;
    harness.sandbox.set_faults(Vec::new());
    let answer = harness.request(Command::Emergency).await.unwrap();
    assert!(answer.contains("tries to create the key again"), "{answer}");
    harness.done(2).await;
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    harness.stop().await;
}

#[tokio::test]
async fn what_stays_parked_in_an_emergency_says_so_with_the_way_out() {
    let mut harness = settled(|_| ()).await;
    harness.outage = true;
    harness.tamper("sk_somebody_elses");
    harness.request(Command::Rotate).await.unwrap();
    harness.parks_for(ParkReason::ForeignValue).await;
    let answer = harness.request(Command::Emergency).await.unwrap();
    assert!(
        answer.contains("it stays parked (foreign_value)") && answer.contains("retry --overwrite"),
        "{answer}"
    );
    let again = harness.request(Command::Emergency).await.unwrap_err().to_string();
    assert!(again.contains("is an emergency already; it stays parked (foreign_value)"), "{again}");
    harness.request(Command::Retry { overwrite: true }).await.unwrap();
    harness.done(2).await;
    harness.stop().await;
}

#[tokio::test]
async fn a_command_that_is_held_says_by_what() {
    let harness = overlapping().await;
    let hold = held(HoldKind::Revoking, "uid 7", &harness);
    let Hold { scope, what, why, by, .. } = hold;
    harness.handle().pause(scope, Some(what), why, by).await.unwrap();
    let confirmed = harness.request(Command::Confirm).await.unwrap();
    let expected = "; but revoking is held in workspace `sandbox` by uid 7: 3 failures within 1 h; \
                    `rekeyd resume --workspace sandbox` lifts that";
    assert!(confirmed.ends_with(expected), "{confirmed}");
    let emergency = harness.request(Command::Emergency).await.unwrap();
    assert!(emergency.ends_with(expected), "{emergency}");
    harness.stop().await;
}
