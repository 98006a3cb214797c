//! Credentials that are only observed: inspected and reported, and never changed.

use rekeyd::domain::finding::FindingKind;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::policy::{Credential, Mode};
use rekeyd::engine::Command;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::key::State;

use super::harness::{Harness, Start};
use super::rules;

fn observed(credential: &mut Credential) {
    credential.mode = Mode::Observe;
}

async fn harness() -> Harness {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    harness.change = observed;
    harness.live().await;
    harness.told("the key is on record", |report| report.key_id.is_some()).await;
    harness
}

#[tokio::test]
async fn an_observed_key_is_inspected_and_nothing_is_changed_until_the_policy_says_rotate() {
    let mut harness = harness().await;
    let key = harness.key(0);
    harness.disable(&key, Some("exposed_publicly"));
    harness.found(&[FindingKind::ExposedPublicly]).await;
    let told = harness.report().await;
    assert!(told.attention && told.rotation.is_none(), "{told:?}");
    let refused = harness.request(Command::Rotate).await.unwrap_err().to_string();
    assert!(refused.contains("mode = \"rotate\"") && refused.contains("rekeyd reload"), "{refused}");
    assert!(harness.events().await.is_empty() && harness.served().is_none());
    assert_eq!(harness.states(), [State::Disabled]);

    harness.change = |_| ();
    harness.revise(|_| ()).await;
    harness.done(1).await;
    assert_eq!(
        harness.states(),
        [State::Deleted, State::Enabled],
        "a leaked key is replaced as soon as rekeyd may"
    );
    harness.stop().await;
}

#[tokio::test]
async fn an_emergency_that_an_operator_asks_for_replaces_even_an_observed_key() {
    let mut harness = harness().await;
    harness.outage = true;
    let answer = harness.request(Command::Emergency).await.unwrap();
    assert!(answer.contains("begins now"), "{answer}");
    harness.done(1).await;
    let report = harness.told("it is over", |report| report.rotation.is_none()).await;
    assert_eq!(report.last.unwrap().outcome, PhaseName::Done);
    // It is observed again: the schedule starts nothing.
    assert!(harness.request(Command::Rotate).await.is_err());
    harness.stop().await;
}
