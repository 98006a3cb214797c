//! The sources of evidence beside usage by product: charges, the request log, the deprecated statistic, the audit log.

use rekeyd::sandbox::analytics::rules::{AnalyticsRules, RequestLogNames};
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::rules::Rules;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Harness, seen};

const API_VERSIONS: [ApiVersion; 3] =
    [ApiVersion::August2025, ApiVersion::September2026, ApiVersion::November2026];
const CHARGES: &str = "/v1/workspace/analytics/usage";
const LOG: &str = "/v1/workspace/analytics/requests";
const AUDIT: &str = "/v1/workspace/audit-logs";
const STATISTICS: &str = "/v1/usage/character-stats?start_unix=1795420000000&end_unix=1795430000000";

fn times() -> Value {
    json!({"start_time": 1_795_420_000_000_i64, "end_time": 1_795_430_000_000_i64})
}

#[expect(clippy::needless_pass_by_value, reason = "it is written where it is passed")]
fn with(more: Value) -> Value {
    let mut query = times();
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    query
}

#[tokio::test]
async fn each_source_is_there_from_its_api_version_on() {
    for (method, path, body, statuses) in [
        (Method::POST, CHARGES, times(), [404, 404, 200]),
        (Method::POST, LOG, times(), [404, 200, 200]),
        (Method::GET, STATISTICS, Value::Null, [200, 200, 200]),
        (Method::GET, AUDIT, Value::Null, [404, 200, 200]),
    ] {
        for (api_version, status) in API_VERSIONS.into_iter().zip(statuses) {
            let harness = Harness::with_api_version(api_version).await;
            let answer = harness.call(method.clone(), path, body.clone()).await;
            assert_eq!(answer.status, status, "{api_version:?} {path}: {}", answer.body);
            assert!(status != 404 || answer.body == json!({"detail": "Not Found"}));
        }
    }
}

#[tokio::test]
async fn usage_is_grouped_by_what_the_caller_says_that_it_is() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create_named("one").await;
    for (source, text) in [("batch", "four"), ("batch", "four"), ("web", "2!")] {
        let request = harness.request(Method::POST, "/v1/text-to-speech/x", &key.value);
        let body = json!({"text": text, "model_id": "m1"});
        assert_eq!(seen(request.header("x-request-source", source).json(&body)).await.status, 200);
    }
    let path = "/v1/workspace/analytics/query/usage-by-product-over-time";
    let groups = json!({"group_by": ["request_source", "model", "region", "product_type"]});
    let answer = harness.call(Method::POST, path, with(groups)).await.body;
    let at = "2026-11-23T10:00:00Z";
    assert_eq!(
        answer["rows"],
        json!([["batch", "m1", "sandbox", "TTS", at, 8, 0.0], ["web", "m1", "sandbox", "TTS", at, 2, 0.0],])
    );
    let wrong = harness.call(Method::POST, path, with(json!({"group_by": ["shoe_size"]}))).await;
    assert_eq!(wrong.status, 422);
}

#[tokio::test]
async fn charges_come_by_whole_days_and_by_two_columns_only_with_a_filter() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create_named("one").await;
    harness.speak(&key.value, "four").await;
    let hash = harness.listed().await[0]["hashed_xi_api_key"].clone();
    let by_key = json!({"group_by": ["hashed_xi_api_key"], "interval_seconds": 86_400});
    let answer = harness.call(Method::POST, CHARGES, with(by_key)).await;
    assert_eq!(answer.body["rows"], json!([[hash, "2026-11-23T00:00:00Z", 0.0004, 1]]));
    let hourly = json!({"interval_seconds": 3600});
    assert_eq!(harness.call(Method::POST, CHARGES, with(hourly)).await.status, 422);
    let two = |filters: Value| with(json!({"group_by": ["hashed_xi_api_key", "region"], "filters": filters}));
    assert_eq!(harness.call(Method::POST, CHARGES, two(json!([]))).await.status, 422);
    let filter = json!([{"column": "hashed_xi_api_key", "operation": "eq", "values": [hash]}]);
    assert_eq!(harness.call(Method::POST, CHARGES, two(filter)).await.status, 200);
}

#[tokio::test]
async fn the_request_log_is_paged_by_time_and_names_keys_by_rule() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create_named("one").await;
    for _ in 0..5 {
        harness.pass(1);
        harness.user(&key.value).await;
    }
    let page = |more: Value| harness.call(Method::POST, LOG, with(more));
    let newest = page(json!({"limit": 2})).await.body;
    assert_eq!(newest["columns"].as_array().unwrap().len(), 6);
    let at = |table: &Value, row: usize| table["rows"][row][1].as_str().unwrap().to_owned();
    // The newest of all is the last call of the user: the log itself is read in the same second as nothing else.
    assert_eq!(
        (newest["rows"].as_array().unwrap().len(), at(&newest, 0)),
        (2, "2026-11-23T10:00:05Z".to_owned())
    );
    let before = json!({"limit": 1, "end_time": 1_795_428_004_000_i64});
    assert_eq!(at(&page(before).await.body, 0), "2026-11-23T10:00:03Z");
    let oldest_first = json!({"limit": 1, "sort": "asc", "start_time": 1_795_428_001_000_i64});
    assert_eq!(at(&page(oldest_first).await.body, 0), "2026-11-23T10:00:01Z");
    assert_eq!(page(json!({"limit": 1001})).await.status, 422);
    harness.sandbox.workspace().rules.analytics =
        AnalyticsRules { request_log_names: RequestLogNames::Id, ..AnalyticsRules::default() };
    let filter = json!([{"column": "api_key_id", "operation": "in", "values": [key.id]}]);
    let named = page(json!({"filters": filter})).await.body;
    assert_eq!((&named["columns"][6], named["rows"].as_array().unwrap().len()), (&json!("api_key_id"), 5));
}

#[tokio::test]
async fn the_statistic_by_key_is_empty_unless_a_rule_says_otherwise() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create_named("one").await;
    harness.speak(&key.value, "four").await;
    let by_key = format!("{STATISTICS}&breakdown_type=api_keys&aggregation_interval=hour");
    assert_eq!(harness.call(Method::GET, &by_key, Value::Null).await.body["usage"], json!({}));
    harness.sandbox.workspace().rules.analytics.statistics_by_key = true;
    let shown = harness.call(Method::GET, &by_key, Value::Null).await.body;
    let total: i64 = shown["usage"]["one"].as_array().unwrap().iter().filter_map(Value::as_i64).sum();
    assert_eq!(total, 4);
    assert_eq!(harness.call(Method::GET, "/v1/usage/character-stats", Value::Null).await.status, 422);
}

#[tokio::test]
async fn the_audit_log_tells_who_administrated_keys_to_who_may_know_it_and_asks_seldom() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create_named("one").await;
    harness.call(Method::DELETE, &harness.key_path(&key), Value::Null).await;
    let first = harness.call(Method::GET, &format!("{AUDIT}?limit=1"), Value::Null).await.body;
    assert_eq!(first["entries"][0]["activity_name"], "API Key Creation");
    assert_eq!(
        (&first["entries"][0]["unmapped"]["api_key_id"], &first["has_more"]),
        (&json!(key.id), &json!(true))
    );
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = harness.call(Method::GET, &format!("{AUDIT}?cursor={cursor}"), Value::Null).await.body;
    assert_eq!(
        (&second["entries"][0]["activity_name"], &second["next_cursor"]),
        (&json!("API Key Deletion"), &Value::Null)
    );
    let narrow = harness.create(json!({"name": "n", "permissions": ["service_account_write"]})).await;
    let refused = seen(harness.request(Method::GET, AUDIT, &narrow.value)).await;
    assert_eq!((refused.status, refused.code()), (401, "missing_permissions"));
    for _ in 2..30 {
        assert_eq!(harness.call(Method::GET, AUDIT, Value::Null).await.status, 200);
    }
    assert_eq!(harness.call(Method::GET, AUDIT, Value::Null).await.code(), "rate_limit_exceeded");
    harness.pass(60);
    assert_eq!(harness.call(Method::GET, AUDIT, Value::Null).await.status, 200);
    harness.sandbox.workspace().rules.enterprise = false;
    assert_eq!(harness.call(Method::GET, AUDIT, Value::Null).await.status, 403);
}
