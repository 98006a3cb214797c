//! A key from its creation to its end, with every call repeated.

use jiff::SignedDuration;
use rekeyd::domain::failure::{Certainty, Kind};
use rekeyd::ports::issuer::Issuer as _;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::{ErrorStyle, Rules};

use super::{API_VERSIONS, Harness, eventually, judged, plain};

const REFUSED: Option<(Certainty, Kind)> = Some((Certainty::Rejected, Kind::NotActiveYet));
const GONE: Option<(Certainty, Kind)> = Some((Certainty::Rejected, Kind::NotFound));

#[tokio::test]
async fn a_key_lives_its_whole_life_in_every_api_version() {
    for api_version in API_VERSIONS {
        let harness = Harness::with_api_version(api_version).await;
        let minted = harness.create(&plain()).await;
        let key = harness.the_key().await;
        assert_eq!(
            (&key.id, key.name.as_str(), key.enabled),
            (&minted.key, "tts rk-1", true),
            "{api_version:?}"
        );
        assert_eq!(key.attributes, plain().attributes, "{api_version:?}");
        let truth = harness.sandbox.truth();
        assert_eq!(truth.key(minted.key.as_str()).unwrap().fingerprint, minted.value.fingerprint());
        harness.issuer.authenticate(&minted.value).await.unwrap();
        for _ in 0..2 {
            harness.issuer.disable(&key).await.unwrap();
            assert!(!harness.the_key().await.enabled, "{api_version:?}");
            assert_eq!(judged(&harness.issuer.authenticate(&minted.value).await), REFUSED, "{api_version:?}");
        }
        let disabled = harness.the_key().await;
        for _ in 0..2 {
            harness.issuer.enable(&disabled).await.unwrap();
            let enabled = harness.the_key().await;
            assert!(enabled.enabled && enabled.disable_reason.is_none(), "{api_version:?}: {enabled:?}");
            assert_eq!(enabled.attributes, key.attributes, "{api_version:?}");
            harness.issuer.authenticate(&minted.value).await.unwrap();
        }
        for _ in 0..2 {
            harness.issuer.delete(&key).await.unwrap();
            assert_eq!(harness.listed().await, [], "{api_version:?}");
        }
        assert_eq!(judged(&harness.issuer.authenticate(&minted.value).await), REFUSED, "{api_version:?}");
        assert_eq!(judged(&harness.issuer.disable(&key).await), GONE, "{api_version:?}");
        assert_eq!(judged(&harness.issuer.enable(&key).await), GONE, "{api_version:?}");
        assert_eq!(harness.sandbox.truth().keys().next().unwrap().state, State::Deleted);
        assert_eq!(harness.calls(Route::CreateKey), 1, "{api_version:?}");
    }
}

#[tokio::test]
async fn a_disabled_key_can_be_deleted_in_every_api_version() {
    for api_version in API_VERSIONS {
        let harness = Harness::with_api_version(api_version).await;
        harness.create(&plain()).await;
        let key = harness.the_key().await;
        harness.issuer.disable(&key).await.unwrap();
        harness.issuer.delete(&key).await.unwrap();
        assert_eq!(harness.listed().await, [], "{api_version:?}");
    }
}

#[tokio::test]
async fn a_new_key_is_refused_until_it_is_active() {
    let rules = Rules { activation_lag: SignedDuration::from_millis(600), ..Rules::default() };
    let harness = Harness::start(rules).await;
    let minted = harness.create(&plain()).await;
    assert_eq!(judged(&harness.issuer.authenticate(&minted.value).await), REFUSED);
    eventually("the key is active", || async { harness.issuer.authenticate(&minted.value).await.is_ok() })
        .await;
}

#[tokio::test]
async fn a_refusal_means_the_same_however_it_is_worded() {
    for errors in [ErrorStyle::Current, ErrorStyle::Legacy] {
        for wrong_key_status in [400, 401] {
            let harness = Harness::start(Rules { errors, wrong_key_status, ..Rules::default() }).await;
            let minted = harness.create(&plain()).await;
            // The key may not read the user: that it is refused for that proves it.
            let case = format!("{errors:?} {wrong_key_status}");
            harness.issuer.authenticate(&minted.value).await.unwrap();
            harness.issuer.delete(&harness.the_key().await).await.unwrap();
            assert_eq!(judged(&harness.issuer.authenticate(&minted.value).await), REFUSED, "{case}");
            harness.sandbox.workspace().disable_key("admin", None, jiff::Timestamp::UNIX_EPOCH).unwrap();
            let dead = judged(&harness.issuer.inventory().await.map(drop));
            assert_eq!(dead, Some((Certainty::Rejected, Kind::Unauthenticated)), "{case}");
        }
    }
}

#[tokio::test]
async fn an_id_that_is_not_told_is_found_in_a_listing_that_lags() {
    let listing_lag = SignedDuration::from_millis(500);
    let harness =
        Harness::start(Rules { api_version: ApiVersion::August2025, listing_lag, ..Rules::default() }).await;
    let minted = harness.create(&plain()).await;
    let truth = harness.sandbox.truth();
    assert_eq!(truth.key(minted.key.as_str()).unwrap().fingerprint, minted.value.fingerprint());
    assert_eq!(harness.calls(Route::CreateKey), 1);
}

#[tokio::test]
async fn the_skew_of_the_clocks_is_told() {
    for ahead in [-300, 0, 300] {
        let date_skew = SignedDuration::from_secs(ahead);
        let harness = Harness::start(Rules { date_skew, ..Rules::default() }).await;
        let told = harness.issuer.inventory().await.unwrap().clock_skew_seconds.unwrap();
        assert!((told - ahead).abs() <= 1, "{told} for {ahead}");
    }
}
