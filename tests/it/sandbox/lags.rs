//! What takes a while at the provider: a key's activation, its end, and what listings and analytics show.

use jiff::SignedDuration;
use rekeyd::sandbox::rules::Rules;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Harness, seen};

const LAG: SignedDuration = SignedDuration::from_secs(10);

#[tokio::test]
async fn a_new_key_is_refused_until_it_is_active() {
    let harness = Harness::start(Rules { activation_lag: LAG, ..Rules::default() }).await;
    let key = harness.create_named("one").await;
    harness.pass(9);
    let refused = harness.user(&key.value).await;
    assert_eq!((refused.status, refused.code()), (401, "invalid_api_key"));
    harness.pass(1);
    assert_eq!(harness.user(&key.value).await.status, 200);
}

#[tokio::test]
async fn a_disabled_or_deleted_key_goes_on_working_for_a_while() {
    for delete in [false, true] {
        let harness = Harness::start(Rules { revocation_lag: LAG, ..Rules::default() }).await;
        let key = harness.create_named("one").await;
        let path = harness.key_path(&key);
        let ended = if delete {
            harness.call(Method::DELETE, &path, Value::Null).await
        } else {
            harness.call(Method::POST, &format!("{path}/disable"), Value::Null).await
        };
        assert_eq!(ended.status, 200);
        harness.pass(9);
        assert_eq!(harness.user(&key.value).await.status, 200, "delete: {delete}");
        // Ending it once more does not make it live longer.
        if !delete {
            assert_eq!(harness.call(Method::POST, &format!("{path}/disable"), Value::Null).await.status, 200);
        }
        harness.pass(1);
        let refused = harness.user(&key.value).await;
        assert_eq!((refused.status, refused.code()), (401, "invalid_api_key"), "delete: {delete}");
    }
}

#[tokio::test]
async fn a_listing_shows_the_past() {
    let harness = Harness::start(Rules { listing_lag: LAG, ..Rules::default() }).await;
    harness.pass(60);
    let key = harness.create_named("one").await;
    assert_eq!(harness.listed_names().await, Vec::<String>::new());
    harness.pass(10);
    assert_eq!(harness.listed_names().await, ["one"]);
    assert_eq!(harness.patch(&key, json!({"name": "renamed", "is_enabled": false})).await.status, 200);
    harness.pass(5);
    assert_eq!(harness.call(Method::DELETE, &harness.key_path(&key), Value::Null).await.status, 200);
    assert_eq!(harness.listed_names().await, ["one"]);
    harness.pass(5);
    let listed = harness.listed().await;
    assert_eq!((&listed[0]["name"], &listed[0]["is_disabled"]), (&json!("renamed"), &json!(true)));
    harness.pass(5);
    assert_eq!(harness.listed_names().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_expired_key_is_refused_and_listed_as_it_was() {
    let harness = Harness::start(Rules::default()).await;
    let expiry = 1_795_428_000 + 900;
    let key = harness.create(json!({"name": "one", "permissions": "all", "expires_at_unix": expiry})).await;
    harness.pass(899);
    assert_eq!(harness.user(&key.value).await.status, 200);
    harness.pass(1);
    assert_eq!(harness.user(&key.value).await.code(), "invalid_api_key");
    assert_eq!(harness.listed().await[0]["is_disabled"], false);
}

#[tokio::test]
async fn use_shows_late_in_the_analytics_by_the_listed_hash() {
    let harness = Harness::start(Rules { usage_lag: LAG, ..Rules::default() }).await;
    let (one, two) = (harness.create_named("one").await, harness.create_named("two").await);
    harness.speak(&one.value, "four").await;
    harness.speak(&one.value, "eight!!!").await;
    harness.speak(&two.value, "2!").await;
    assert_eq!(usage(&harness, &harness.admin, json!({})).await, Vec::<Value>::new());
    harness.pass(10);
    let hashes: Vec<Value> =
        harness.listed().await.iter().map(|key| key["hashed_xi_api_key"].clone()).collect();
    let at = "2026-11-23T10:00:00Z";
    let row = |hash: &Value, credits, name| json!([hash, at, credits, 0.0, name]);
    let both = [row(&hashes[0], 12, "one"), row(&hashes[1], 2, "two")];
    assert_eq!(usage(&harness, &harness.admin, json!({})).await, both);
    let filter = json!([{"column": "hashed_xi_api_key", "operation": "in", "values": [hashes[1]]}]);
    assert_eq!(usage(&harness, &harness.admin, json!({"filters": filter})).await, both[1..]);
    assert_eq!(usage(&harness, &harness.admin, json!({"group_by": null})).await, [json!([at, 14, 0.0])]);
    assert_eq!(usage(&harness, &one.value, json!({})).await, both);

    harness.sandbox.workspace().rules.usage_is_narrowed = true;
    let narrow = harness.create(json!({"name": "narrow", "permissions": ["text_to_speech"]})).await;
    assert_eq!(usage(&harness, &narrow.value, json!({})).await, Vec::<Value>::new());
    assert_eq!(usage(&harness, &harness.admin, json!({})).await, both);
}

async fn usage(harness: &Harness, key: &str, more: Value) -> Vec<Value> {
    let mut query = json!({
        "start_time": 1_795_427_000_000_i64, "end_time": 1_795_429_000_000_i64,
        "group_by": ["hashed_xi_api_key"],
    });
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let path = "/v1/workspace/analytics/query/usage-by-product-over-time";
    let answer = seen(harness.request(Method::POST, path, key).json(&query)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let columns = answer.body["columns"].as_array().unwrap();
    assert!(columns.contains(&json!("total_usage")), "{columns:?}");
    assert_eq!(answer.body["column_types"].as_array().unwrap().len(), columns.len());
    assert_eq!(answer.body["column_units"].as_array().unwrap().len(), columns.len());
    answer.body["rows"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_analytics_query_without_its_times_is_a_422() {
    let harness = Harness::start(Rules::default()).await;
    let path = "/v1/workspace/analytics/query/usage-by-product-over-time";
    let refused = harness.call(Method::POST, path, json!({"end_time": 5})).await;
    assert_eq!(refused.status, 422);
    let places: Vec<&Value> =
        refused.body["detail"].as_array().unwrap().iter().map(|entry| &entry["loc"][1]).collect();
    assert_eq!(places, ["start_time", "end_time"]);
}
