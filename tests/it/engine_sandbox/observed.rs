//! Credentials that are only observed: inspected and reported, and never changed.

use rekeyd::adapters::directory::{self, Directory};
use rekeyd::domain::finding::FindingKind;
use rekeyd::domain::ids::{StoreName, VersionId};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::Destination;
use rekeyd::domain::policy::{Credential, Mode};
use rekeyd::domain::report::CredentialReport;
use rekeyd::domain::secret::SecretValue;
use rekeyd::engine::Command;
use rekeyd::ports::secret_store::SecretStore as _;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::key::State;

use super::harness::{Harness, Start};
use super::rules;

fn observed(credential: &mut Credential) {
    credential.mode = Mode::Observe;
}

fn destination() -> Destination {
    let secret = "tts-backend".to_owned();
    Destination {
        store: StoreName::new("local").unwrap(),
        secret,
        json_field: None,
        create: true,
        create_field: false,
    }
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

/// A program that uses the key that was made by hand.
async fn used_by(harness: &Harness, source: &str) {
    let value = harness.sandbox.workspace().values().nth(1).unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/text-to-speech/rachel", harness.sandbox.base_url());
    let request = http.post(url).header("xi-api-key", value).header("x-request-source", source);
    assert_eq!(request.json(&serde_json::json!({"text": "hello"})).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn who_uses_an_observed_key_is_told_and_that_its_destination_is_empty() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    harness.change = observed;
    used_by(&harness, "nightly-batch").await;
    harness.live().await;
    let told = harness.told("its use is told", |report| report.last_use.is_some()).await;
    let used = told.last_use.unwrap();
    assert!(used.last.is_some() && used.by_whom().contains("request_source=nightly-batch"), "{used:?}");
    let empty =
        |report: &CredentialReport| report.empty_destinations().map(str::to_owned).collect::<Vec<_>>();
    harness.told("nobody reads the destination", |report| empty(report) == ["local:tts-backend"]).await;
    // Somebody fills it: with the next look it is empty no more.
    let store = Directory::open(&directory::Settings::new(harness.folder.path().join("secrets"))).unwrap();
    let (place, version) = (destination(), VersionId::new("by-hand").unwrap());
    let value = harness.sandbox.workspace().values().nth(1).unwrap().to_owned();
    let value = SecretValue::new(value).unwrap();
    store.stage(&place, &version, &value).await.unwrap();
    store.promote(&place, &version, None).await.unwrap();
    harness.revise(|_| ()).await;
    harness.told("somebody may read it", |report| report.empty_destinations().next().is_none()).await;
    assert!(harness.events().await.is_empty(), "looking changes nothing");
    harness.stop().await;
}

#[tokio::test]
async fn where_the_workspace_shows_no_use_it_is_told_that_it_cannot_be_known() {
    let mut harness = Harness::prepare(rules(ApiVersion::August2025), Start::WithKey).await;
    harness.change = observed;
    used_by(&harness, "nightly-batch").await;
    harness.live().await;
    let told = harness.told("its use is told", |report| report.last_use.is_some()).await;
    let said = told.last_use.unwrap().told(|at| at.to_string());
    assert!(said.starts_with("cannot be known: "), "{said}");
    harness.stop().await;
}
