//! Keys at work: what they may do, what is counted, and how they end.

use std::collections::BTreeSet;

use rekeyd::domain::secret::Fingerprint;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Harness, seen};

#[tokio::test]
async fn speech_is_audio_and_counts_on_its_key_until_the_limit() {
    let harness = Harness::start(Rules::default()).await;
    let body = json!({"name": "one", "permissions": ["text_to_speech"], "character_limit": 8});
    let key = harness.create(body).await;
    let spoken = harness.speak(&key.value, "five!").await;
    assert_eq!((spoken.status, spoken.header("content-type")), (200, "audio/mpeg"));
    assert!(!spoken.header("request-id").is_empty());
    assert_eq!(harness.listed().await[0]["character_count"], 5);
    assert_eq!(harness.speak(&key.value, "four").await.code(), "quota_exceeded");
    assert_eq!(harness.speak(&key.value, "333").await.status, 200);
    assert_eq!(harness.listed().await[0]["character_count"], 8);
    assert_eq!(seen(harness.request(Method::POST, "/v1/text-to-speech/x", &key.value)).await.status, 422);
}

#[tokio::test]
async fn an_address_outside_the_list_is_refused() {
    let harness = Harness::start(Rules { private_addresses_allowed: true, ..Rules::default() }).await;
    let body = json!({"name": "one", "permissions": "all", "allowed_ips": ["203.0.113.0/24", "127.0.0.1"]});
    let key = harness.create(body).await;
    let from = |address: &'static str| {
        seen(harness.request(Method::GET, "/v1/user", &key.value).header("x-forwarded-for", address))
    };
    assert_eq!(harness.user(&key.value).await.status, 200);
    assert_eq!(from("203.0.113.200, 10.0.0.1").await.status, 200);
    assert_eq!(from("203.0.114.1").await.status, 403);
}

#[tokio::test]
async fn calls_are_counted_on_the_key_by_route_and_outcome() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create(json!({"name": "one", "permissions": ["text_to_speech"]})).await;
    for _ in 0..3 {
        harness.speak(&key.value, "x").await;
    }
    harness.user(&key.value).await;
    harness.call(Method::POST, &format!("{}/disable", harness.key_path(&key)), Value::Null).await;
    harness.pass(5);
    harness.speak(&key.value, "x").await;
    harness.speak("sk_unknown", "x").await;

    let truth = harness.sandbox.truth();
    let told = truth.key(&key.id).unwrap();
    let speech = &told.calls[&Route::TextToSpeech];
    assert_eq!((speech.accepted, speech.refused["invalid_api_key"]), (3, 1));
    assert_eq!(speech.last_accepted_at.unwrap().to_string(), "2026-11-23T10:00:00Z");
    assert_eq!(speech.last_refused_at.unwrap().to_string(), "2026-11-23T10:00:05Z");
    assert_eq!(told.calls[&Route::User].refused["missing_permissions"], 1);
    assert_eq!(told.totals(), (3, 2));
    assert_eq!(
        (told.state, told.fingerprint.clone()),
        (State::Disabled, Fingerprint::of(key.value.as_bytes()))
    );
    assert_eq!(truth.unknown_key_calls[&Route::TextToSpeech], 1);
    assert_eq!((truth.requests[&Route::TextToSpeech], truth.requests[&Route::User]), (5, 1));
    assert!(truth.peak_administration_calls >= 1);
}

#[tokio::test]
async fn ending_a_key_is_repeatable_where_the_provider_says_so() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create_named("one").await;
    let path = harness.key_path(&key);
    for _ in 0..2 {
        assert_eq!(harness.call(Method::POST, &format!("{path}/disable"), Value::Null).await.status, 200);
    }
    assert_eq!(harness.user(&key.value).await.status, 401);
    assert_eq!(harness.patch(&key, json!({"is_enabled": true})).await.status, 200);
    assert_eq!(harness.user(&key.value).await.status, 200);
    assert_eq!(harness.call(Method::DELETE, &path, Value::Null).await.status, 200);
    let again = harness.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!((again.status, again.code()), (404, "api_key_not_found"));
    assert_eq!(harness.patch(&key, json!({"name": "x"})).await.status, 404);
    assert_eq!(harness.listed().await, Vec::<Value>::new());
    assert_eq!(harness.sandbox.truth().key(&key.id).unwrap().state, State::Deleted);
}

#[tokio::test]
async fn a_key_belongs_to_its_account_only() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create_named("one").await;
    let other = harness.sandbox.workspace().create_account("other", jiff::Timestamp::UNIX_EPOCH);
    let path = format!("/v1/service-accounts/{other}/api-keys/{}", key.id);
    assert_eq!(harness.call(Method::DELETE, &path, Value::Null).await.code(), "api_key_not_found");
    assert_eq!(harness.listed_names().await, ["one"]);
}

#[tokio::test]
async fn a_key_disables_itself_where_the_key_the_plan_or_the_policy_allows_it() {
    let me = "/v1/workspaces/api-keys/disable?api_key_name=self";
    for (enterprise, own, policy, status) in [
        (true, None, None, 403),
        (false, None, None, 200),
        (true, Some(true), None, 200),
        (false, Some(false), None, 403),
        (false, None, Some(false), 403),
        (true, Some(false), Some(true), 200),
    ] {
        let harness = Harness::start(Rules { enterprise, ..Rules::default() }).await;
        let body = json!({"name": "one", "permissions": ["user_read"], "third_party_disable_allowed": own});
        let key = harness.create(body).await;
        let rule = json!({"third_party_disable_allowed": policy});
        let path = "/v1/workspaces/api-keys/third-party-disabling";
        assert_eq!(harness.call(Method::POST, path, rule).await.status, 200);
        let answer = seen(harness.request(Method::POST, me, &key.value)).await;
        assert_eq!(answer.status, status, "{enterprise} {own:?} {policy:?}");
        let reason = harness.listed().await[0]["disable_reason"].clone();
        assert_eq!(reason == "self_disabled", status == 200);
        let wrong =
            seen(harness.request(Method::POST, "/v1/workspaces/api-keys/disable", &harness.admin)).await;
        assert_eq!(wrong.status, 422);
    }
}

#[tokio::test]
async fn an_orphan_is_a_key_of_rekeyds_that_exists_and_that_nobody_holds() {
    let harness = Harness::start(Rules::default()).await;
    let nonce = |n: u8| format!("tts rk-0190b8a000007000800000000000000{n}-1");
    harness.create_named("somebody else's").await;
    let held = harness.create_named(&nonce(1)).await;
    let lost = harness.create_named(&nonce(2)).await;
    let deleted = harness.create_named(&nonce(3)).await;
    harness.call(Method::DELETE, &harness.key_path(&deleted), Value::Null).await;
    let truth = harness.sandbox.truth();
    let published = BTreeSet::from([Fingerprint::of(held.value.as_bytes())]);
    let orphans: Vec<&str> = truth.orphans(&published).iter().map(|key| key.key_id.as_str()).collect();
    assert_eq!(orphans, [lost.id]);
}

#[tokio::test]
async fn a_seed_makes_a_workspace_repeatable() {
    let mut values = Vec::new();
    for _ in 0..2 {
        let harness = Harness::start(Rules::default()).await;
        harness.create_named("one").await;
        values.push(harness.sandbox.workspace().values().map(str::to_owned).collect::<Vec<_>>());
    }
    assert_eq!(values[0], values[1]);
    assert_eq!(values[0].len(), 2);
}
