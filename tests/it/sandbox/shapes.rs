//! What the API looks like in each version.

use std::collections::BTreeSet;

use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::rules::{AllIsListed, Rules};
use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Harness, fields};

const API_VERSIONS: [ApiVersion; 3] =
    [ApiVersion::August2025, ApiVersion::September2026, ApiVersion::November2026];

const KEY_2025: [&str; 9] = [
    "name",
    "hint",
    "key_id",
    "service_account_user_id",
    "created_at_unix",
    "is_disabled",
    "permissions",
    "character_limit",
    "character_count",
];
const KEY_SEPTEMBER: [&str; 5] =
    ["disable_reason", "hashed_xi_api_key", "allowed_ips", "third_party_disable_allowed", "platform_limits"];
const KEY_NOVEMBER: [&str; 1] = ["expires_at_unix"];

#[tokio::test]
async fn a_listing_has_the_fields_of_its_api_version() {
    for api_version in API_VERSIONS {
        let harness = Harness::with_api_version(api_version).await;
        let key = harness.create_named("one").await;
        let listing = harness.call(Method::GET, "/v1/service-accounts", Value::Null).await;
        assert_eq!(fields(&listing.body), BTreeSet::from(["service-accounts"]));
        let account = &listing.body["service-accounts"][0];
        let mut account_fields =
            BTreeSet::from(["service_account_user_id", "name", "created_at_unix", "api-keys"]);
        let mut key_fields = BTreeSet::from(KEY_2025);
        if api_version >= ApiVersion::September2026 {
            account_fields.insert("default_sharing_groups");
            key_fields.extend(KEY_SEPTEMBER);
        }
        if api_version >= ApiVersion::November2026 {
            key_fields.extend(KEY_NOVEMBER);
        }
        assert_eq!(fields(account), account_fields, "{api_version:?}");
        let listed = &account["api-keys"][0];
        assert_eq!(fields(listed), key_fields, "{api_version:?}");
        assert_eq!(listed["key_id"], key.id);
        assert_eq!(listed["service_account_user_id"], harness.account);
        assert_eq!(listed["created_at_unix"], 1_795_428_000);
        assert_eq!(listed["permissions"], Value::Null);
        assert_eq!((&listed["is_disabled"], &listed["character_count"]), (&json!(false), &json!(0)));
        assert!(!listing.body.to_string().contains(&key.value), "a listing shows a value");
        assert_eq!(harness.listed().await, account["api-keys"].as_array().unwrap().clone());
    }
}

#[tokio::test]
async fn a_create_tells_the_id_since_september_2026_and_the_value_always() {
    for api_version in API_VERSIONS {
        let harness = Harness::with_api_version(api_version).await;
        let body = json!({"name": "one", "permissions": ["text_to_speech"]});
        let made = harness.call(Method::POST, &harness.keys_path(), body).await;
        let mut expected = BTreeSet::from(["xi-api-key"]);
        if api_version >= ApiVersion::September2026 {
            expected.insert("key_id");
        }
        assert_eq!((made.status, fields(&made.body)), (200, expected), "{api_version:?}");
        let value = made.body["xi-api-key"].as_str().unwrap();
        let hex = value.strip_prefix("sk_").unwrap();
        assert!(hex.len() == 48 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    }
}

#[tokio::test]
async fn routes_are_there_from_their_api_version_on() {
    let usage = "/v1/workspace/analytics/query/usage-by-product-over-time";
    let times = json!({"start_time": 1_795_420_000_000_i64, "end_time": 1_795_430_000_000_i64});
    for (method, path, body, statuses) in [
        (Method::POST, "/v1/service-accounts", json!({"name": "x"}), [405, 200, 200]),
        (Method::POST, "KEY/disable", Value::Null, [404, 404, 200]),
        (Method::PUT, "KEY", json!({}), [405, 405, 405]),
        (Method::POST, usage, times, [404, 200, 200]),
        (Method::POST, "/v1/workspaces/api-keys/disable?api_key_name=self", Value::Null, [404, 403, 403]),
        (Method::GET, "/v1/user", Value::Null, [200, 200, 200]),
        (Method::GET, "/v1/user/subscription", Value::Null, [200, 200, 200]),
        (Method::GET, "/v1/models", Value::Null, [200, 200, 200]),
        (Method::GET, "/v1/service-accounts/", Value::Null, [404, 404, 404]),
        (Method::GET, "/v2/voices", Value::Null, [404, 404, 404]),
    ] {
        for (api_version, status) in API_VERSIONS.into_iter().zip(statuses) {
            let harness = Harness::with_api_version(api_version).await;
            let key = harness.create_named("one").await;
            let path = path.replace("KEY", &harness.key_path(&key));
            let answer = harness.call(method.clone(), &path, body.clone()).await;
            assert_eq!(answer.status, status, "{api_version:?} {method} {path}: {}", answer.body);
            match status {
                404 => assert_eq!(answer.body, json!({"detail": "Not Found"})),
                405 => assert_eq!(answer.body, json!({"detail": "Method Not Allowed"})),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_patch_in_2025_wants_every_field_and_clears_a_limit_that_is_left_out() {
    let harness = Harness::with_api_version(ApiVersion::August2025).await;
    let key = harness.create(json!({"name": "one", "permissions": "all", "character_limit": 500})).await;
    let refused = harness.patch(&key, json!({"is_enabled": false})).await;
    let missing = |field: &str| json!({"loc": ["body", field], "msg": "Field required", "type": "missing"});
    assert_eq!(refused.status, 422);
    assert_eq!(refused.body, json!({"detail": [missing("name"), missing("permissions")]}));
    let sentinel = json!({"is_enabled": "no_update", "name": "one", "permissions": "all"});
    assert_eq!(harness.patch(&key, sentinel).await.status, 422);
    assert_eq!(harness.listed().await[0]["character_limit"], 500);

    let whole = json!({"is_enabled": false, "name": "one", "permissions": "all"});
    assert_eq!(harness.patch(&key, whole).await.status, 200);
    let listed = &harness.listed().await[0];
    assert_eq!((&listed["is_disabled"], &listed["character_limit"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn a_patch_since_2026_changes_only_what_it_names() {
    for api_version in [ApiVersion::September2026, ApiVersion::November2026] {
        let harness = Harness::with_api_version(api_version).await;
        let body = json!({
            "name": "one", "permissions": ["text_to_speech", "user_read"], "character_limit": 500,
            "allowed_ips": ["203.0.113.7"], "third_party_disable_allowed": false,
        });
        let key = harness.create(body).await;
        let before = harness.listed().await[0].clone();
        assert_eq!(harness.patch(&key, json!({})).await.status, 200);
        let same = json!({"is_enabled": "no_update", "permissions": "no_update", "character_limit": "no_update",
            "allowed_ips": "no_update", "name": null});
        assert_eq!(harness.patch(&key, same).await.status, 200);
        assert_eq!(harness.listed().await[0], before, "{api_version:?}");

        assert_eq!(harness.patch(&key, json!({"is_enabled": false})).await.status, 200);
        let mut disabled = before.clone();
        disabled["is_disabled"] = json!(true);
        assert_eq!(harness.listed().await[0], disabled, "{api_version:?}");

        let clear = json!({"character_limit": "clear", "allowed_ips": "clear", "third_party_disable_allowed": "clear"});
        assert_eq!(harness.patch(&key, clear).await.status, 200);
        for field in ["character_limit", "allowed_ips", "third_party_disable_allowed"] {
            disabled[field] = Value::Null;
        }
        assert_eq!(harness.listed().await[0], disabled, "{api_version:?}");
        assert_eq!(harness.patch(&key, json!({"allowed_ips": null})).await.status, 422, "{api_version:?}");
    }
}

#[tokio::test]
async fn everything_that_a_create_grants_is_listed_again() {
    let harness = Harness::with_api_version(ApiVersion::November2026).await;
    let expiry = 1_795_428_000 + 3600;
    harness
        .create(json!({
            "name": "one", "permissions": ["user_read", "text_to_speech"], "character_limit": 500,
            "allowed_ips": ["203.0.113.7", "2001:db8::1", "198.51.100.0/24"],
            "third_party_disable_allowed": true, "tts_concurrency_limit": 3, "dubbing_concurrency_limit": 2,
            "music_concurrency_limit": 1, "expires_at_unix": expiry,
        }))
        .await;
    let listed = &harness.listed().await[0];
    assert_eq!(listed["permissions"], json!(["user_read", "text_to_speech"]));
    assert_eq!(listed["character_limit"], 500);
    assert_eq!(listed["allowed_ips"], json!(["203.0.113.7/32", "2001:db8::1/128", "198.51.100.0/24"]));
    assert_eq!(listed["third_party_disable_allowed"], true);
    assert_eq!(listed["expires_at_unix"], expiry);
    assert_eq!(
        listed["platform_limits"],
        json!({"credits": {"limit": 500, "usage": 0}, "pvc": {"limit": null}, "concurrency": {"limit": 3},
            "dubbing_concurrency": {"limit": 2}, "music_concurrency": {"limit": 1}})
    );
}

#[tokio::test]
async fn an_api_version_ignores_the_fields_that_it_does_not_know() {
    let harness = Harness::with_api_version(ApiVersion::August2025).await;
    harness
        .create(json!({"name": "one", "permissions": "all", "allowed_ips": "x", "expires_at_unix": 1}))
        .await;
    harness.sandbox.workspace().rules.api_version = ApiVersion::November2026;
    let listed = &harness.listed().await[0];
    assert_eq!((&listed["allowed_ips"], &listed["expires_at_unix"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn all_permissions_are_listed_as_null_or_as_the_api_versions_whole_list() {
    for (api_version, count) in API_VERSIONS.into_iter().zip([28, 49, 52]) {
        let rules = Rules { api_version, all_is_listed: AllIsListed::Expanded, ..Rules::default() };
        let harness = Harness::start(rules).await;
        harness.create_named("one").await;
        assert_eq!(
            harness.listed().await[0]["permissions"].as_array().unwrap().len(),
            count,
            "{api_version:?}"
        );
        harness.sandbox.workspace().rules.all_is_listed = AllIsListed::Null;
        assert_eq!(harness.listed().await[0]["permissions"], Value::Null, "{api_version:?}");
    }
}

#[tokio::test]
async fn the_user_of_2025_shows_the_callers_key_and_later_ones_do_not() {
    for api_version in API_VERSIONS {
        let harness = Harness::with_api_version(api_version).await;
        let key = harness.create_named("one").await;
        let user = harness.user(&key.value).await;
        assert_eq!(user.status, 200);
        assert_eq!(user.body["user_id"], harness.account);
        assert_eq!(
            user.body["xi_api_key"] == key.value,
            api_version == ApiVersion::August2025,
            "{api_version:?}"
        );
        assert_eq!(
            user.body.to_string().contains(&key.value),
            api_version == ApiVersion::August2025,
            "{api_version:?}"
        );
        assert_eq!(
            user.body.get("workspace_id").is_some(),
            api_version == ApiVersion::November2026,
            "{api_version:?}"
        );
    }
}

#[tokio::test]
async fn models_is_an_array_and_every_answer_has_a_date_and_a_trace() {
    let harness = Harness::with_api_version(ApiVersion::November2026).await;
    let models = harness.call(Method::GET, "/v1/models", Value::Null).await;
    assert!(models.body.is_array());
    assert_eq!(models.header("date"), "Mon, 23 Nov 2026 10:00:00 GMT");
    assert_eq!(models.header("x-trace-id").len(), 32);
    harness.sandbox.workspace().rules.date_skew = jiff::SignedDuration::from_secs(-90);
    let unknown = harness.call(Method::GET, "/nowhere", Value::Null).await;
    assert_eq!(unknown.header("date"), "Mon, 23 Nov 2026 09:58:30 GMT");
}
