//! What a key may do comes back exactly as it was asked for, and survives being disabled and enabled (I3).

use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::failure::{Certainty, Kind};
use rekeyd::domain::key::{KeyAttributes, KeyRequest, Limits, Permissions, canonical_networks};
use rekeyd::ports::clock::Clock as _;
use rekeyd::ports::issuer::Issuer as _;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::rules::{AllIsListed, Rules};

use super::{API_VERSIONS, Harness, judged, only};

fn with_networks(limits: Limits, texts: &[&str]) -> Limits {
    limits.with("allowed_ips", Some(canonical_networks(texts.iter().copied())))
}

/// Everything that a key of the API version can be restricted in.
fn everything(api_version: ApiVersion) -> KeyRequest {
    let permissions = only(&["text_to_speech", "voices_read", "user_read"]);
    let mut limits = Limits::default().with("character_limit", Some(12_345));
    if api_version >= ApiVersion::September2026 {
        limits = with_networks(limits, &["203.0.113.7", "198.51.100.0/24", "2001:db8::/32"])
            .with("third_party_disable_allowed", Some(true));
    }
    if api_version < ApiVersion::November2026 {
        return KeyRequest { attributes: KeyAttributes { permissions, limits }, expires_at: None };
    }
    let limits = limits
        .with("tts_concurrency_limit", Some(3))
        .with("dubbing_concurrency_limit", Some(2))
        .with("music_concurrency_limit", Some(1));
    let tomorrow = SystemClock.now() + SignedDuration::from_hours(24);
    let expires_at = Some(Timestamp::from_second(tomorrow.as_second()).unwrap());
    KeyRequest { attributes: KeyAttributes { permissions, limits }, expires_at }
}

#[tokio::test]
async fn every_restriction_comes_back_as_it_was_sent_and_survives_disable_and_enable() {
    for api_version in API_VERSIONS {
        let harness = Harness::with_api_version(api_version).await;
        let request = everything(api_version);
        harness.create(&request).await;
        let key = harness.the_key().await;
        assert_eq!(
            request.attributes.differences(&key.attributes),
            [""; 0],
            "{api_version:?}: {:?}",
            key.attributes
        );
        assert_eq!(key.expires_at, request.expires_at, "{api_version:?}");
        harness.issuer.disable(&key).await.unwrap();
        harness.issuer.enable(&harness.the_key().await).await.unwrap();
        let enabled = harness.the_key().await;
        assert_eq!(
            (&enabled.attributes, enabled.expires_at),
            (&key.attributes, key.expires_at),
            "{api_version:?}"
        );
        assert_eq!(enabled.name, key.name, "{api_version:?}");
    }
}

#[tokio::test]
async fn a_clone_of_an_unrestricted_key_is_listed_as_its_original() {
    for api_version in API_VERSIONS {
        for all_is_listed in [AllIsListed::Null, AllIsListed::Expanded] {
            let harness = Harness::start(Rules { api_version, all_is_listed, ..Rules::default() }).await;
            let all = KeyRequest { attributes: KeyAttributes::of(Permissions::All), expires_at: None };
            harness.create(&all).await;
            let original = harness.the_key().await;
            let shown = &original.attributes.permissions;
            match all_is_listed {
                AllIsListed::Null => assert_eq!(*shown, Permissions::Unlisted, "{api_version:?}"),
                AllIsListed::Expanded => {
                    assert!(matches!(shown, Permissions::Only(_)), "{api_version:?}: {shown}")
                }
            }
            let request = KeyRequest { attributes: original.attributes.clone(), expires_at: None };
            let minted = harness.issuer.create(&harness.account, "tts rk-2", &request).await.unwrap();
            harness.issuer.disable(&original).await.unwrap();
            harness.issuer.enable(&original).await.unwrap();
            for key in harness.listed().await {
                assert_eq!(
                    original.attributes.differences(&key.attributes),
                    [""; 0],
                    "{api_version:?} {all_is_listed:?}"
                );
            }
            harness.issuer.authenticate(&minted.value).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_key_that_is_not_allowed_from_here_is_known_and_refused() {
    let harness = Harness::with_api_version(ApiVersion::November2026).await;
    let mut request = super::plain();
    request.attributes.limits = with_networks(Limits::default(), &["203.0.113.0/24"]);
    let minted = harness.create(&request).await;
    let outcome = harness.issuer.authenticate(&minted.value).await;
    assert_eq!(judged(&outcome), Some((Certainty::Rejected, Kind::Forbidden)));
}

#[tokio::test]
async fn what_the_provider_does_not_want_is_refused_and_nothing_is_created() {
    let soon = SystemClock.now() + SignedDuration::from_mins(5);
    let with = |change: &dyn Fn(&mut KeyRequest)| {
        let mut request = super::plain();
        change(&mut request);
        request
    };
    for (what, request) in [
        (
            "a permission of another API version",
            with(&|it| it.attributes.permissions = only(&["a_permission_of_2031"])),
        ),
        ("an expiry too soon", with(&|it| it.expires_at = Some(soon))),
        (
            "a private address",
            with(&|it| it.attributes.limits = with_networks(Limits::default(), &["10.0.0.0/8"])),
        ),
    ] {
        let harness = Harness::with_api_version(ApiVersion::November2026).await;
        let outcome = harness.issuer.create(&harness.account, "tts rk-1", &request).await.map(drop);
        assert_eq!(judged(&outcome), Some((Certainty::Rejected, Kind::Invalid)), "{what}");
        assert_eq!(harness.listed().await, [], "{what}");
    }
}

#[tokio::test]
async fn a_full_account_is_a_limit() {
    let harness = Harness::start(Rules { keys_per_account: Some(1), ..Rules::default() }).await;
    harness.create(&super::plain()).await;
    let outcome = harness.issuer.create(&harness.account, "tts rk-2", &super::plain()).await.map(drop);
    assert_eq!(judged(&outcome), Some((Certainty::Rejected, Kind::LimitReached)));
}
