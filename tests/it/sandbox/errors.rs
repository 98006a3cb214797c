//! Every refusal, with its status and its whole body, in both styles.

use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::rules::{ErrorStyle, Rules};
use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Harness, Seen, seen};

const NOBODY: &str = "sk_000000000000000000000000000000000000000000000000";

/// A call that is refused, and how.
struct Refused {
    seen: Seen,
    status: u16,
    kind: &'static str,
    code: &'static str,
    legacy: &'static str,
}

async fn refusals(harness: &Harness) -> Vec<Refused> {
    let narrow = harness.create(json!({"name": "narrow", "permissions": ["text_to_speech"]})).await;
    let poor = harness.create(json!({"name": "poor", "permissions": "all", "character_limit": 3})).await;
    let fenced = harness
        .create(json!({"name": "fenced", "permissions": "all", "allowed_ips": ["203.0.113.0/24"]}))
        .await;
    let away = json!({"name": "x", "permissions": "all", "allowed_ips": ["10.0.0.0/8"]});
    let keys = harness.keys_path();
    let no_key = harness.http.get(format!("{}/v1/user", harness.sandbox.base_url()));
    let refused = |seen, status, kind, code, legacy| Refused { seen, status, kind, code, legacy };
    vec![
        refused(seen(no_key).await, 401, "authentication_error", "missing_api_key", "needs_authorization"),
        refused(
            harness.user(NOBODY).await,
            401,
            "authentication_error",
            "invalid_api_key",
            "invalid_api_key",
        ),
        refused(
            harness.user(&narrow.value).await,
            401,
            "authorization_error",
            "missing_permissions",
            "missing_permissions",
        ),
        refused(
            harness.user(&fenced.value).await,
            403,
            "authorization_error",
            "ip_address_not_allowed",
            "ip_address_not_allowed",
        ),
        refused(
            harness.speak(&poor.value, "four").await,
            401,
            "payment_required",
            "quota_exceeded",
            "quota_exceeded",
        ),
        refused(
            harness.call(Method::GET, "/v1/service-accounts/nobody/api-keys", Value::Null).await,
            404,
            "not_found",
            "service_account_not_found",
            "service_account_not_found",
        ),
        refused(
            harness.call(Method::DELETE, &format!("{keys}/nothing"), Value::Null).await,
            404,
            "not_found",
            "api_key_not_found",
            "api_key_not_found",
        ),
        refused(
            harness.call(Method::POST, &keys, away).await,
            400,
            "validation_error",
            "invalid_parameters",
            "invalid_parameters",
        ),
    ]
}

#[tokio::test]
async fn a_refusal_says_all_that_is_documented() {
    let harness = Harness::with_api_version(ApiVersion::November2026).await;
    for Refused { seen, status, kind, code, legacy } in refusals(&harness).await {
        let detail = &seen.body["detail"];
        assert_eq!((seen.status, &detail["code"]), (status, &json!(code)), "{}", seen.body);
        assert_eq!((&detail["type"], &detail["status"]), (&json!(kind), &json!(legacy)));
        assert!(detail["message"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(detail["request_id"].as_str().is_some_and(|text| text.len() == 32));
    }
    let narrow = harness.create(json!({"name": "narrow", "permissions": []})).await;
    let message = &harness.user(&narrow.value).await.body["detail"]["message"];
    assert!(message.as_str().unwrap().contains("user_read"), "{message}");
}

#[tokio::test]
async fn a_refusal_in_the_older_style_says_status_and_message_only() {
    let rules = Rules { errors: ErrorStyle::Legacy, ..Rules::default() };
    let harness = Harness::start(rules).await;
    for Refused { seen, status, legacy, .. } in refusals(&harness).await {
        let message = &seen.body["detail"]["message"];
        assert_eq!(seen.status, status, "{}", seen.body);
        assert_eq!(seen.body, json!({"detail": {"status": legacy, "message": message}}));
    }
}

#[tokio::test]
async fn a_wrong_key_may_get_a_400_and_says_invalid_api_key_all_the_same() {
    let harness = Harness::start(Rules { wrong_key_status: 400, ..Rules::default() }).await;
    let wrong = harness.user(NOBODY).await;
    assert_eq!((wrong.status, wrong.code()), (400, "invalid_api_key"));
}

#[tokio::test]
async fn what_cannot_be_read_is_a_422_that_names_each_field() {
    let harness = Harness::with_api_version(ApiVersion::November2026).await;
    let complaint = |field: &str, message: &str, kind: &str| json!({"loc": ["body", field], "msg": message, "type": kind});
    let integer = |field: &str| complaint(field, "Input should be a valid integer", "int_type");
    let addresses = complaint(
        "allowed_ips",
        "Input should be a list of 1 to 100 IP addresses or networks",
        "value_error",
    );
    let many: Vec<String> = (0..101).map(|last| format!("203.0.113.{last}")).collect();
    let with = |field: &str, value: Value| json!({"name": "x", "permissions": "all", field: value});
    for (body, complaints) in [
        (
            json!({}),
            vec![
                complaint("name", "Field required", "missing"),
                complaint("permissions", "Field required", "missing"),
            ],
        ),
        (with("name", Value::Null), vec![complaint("name", "Input should be a valid string", "string_type")]),
        (
            with("permissions", Value::Null),
            vec![complaint("permissions", "Input should be a valid list", "list_type")],
        ),
        (
            with("permissions", json!(["text_to_speech", "fly"])),
            vec![complaint("permissions", "Input should be a permission that exists", "enum")],
        ),
        (with("character_limit", json!("clear")), vec![integer("character_limit")]),
        (with("expires_at_unix", json!("soon")), vec![integer("expires_at_unix")]),
        (with("allowed_ips", json!([])), vec![addresses.clone()]),
        (with("allowed_ips", json!(["office"])), vec![addresses.clone()]),
        (with("allowed_ips", json!(many)), vec![addresses]),
    ] {
        let refused = harness.call(Method::POST, &harness.keys_path(), body.clone()).await;
        assert_eq!((refused.status, &refused.body), (422, &json!({"detail": complaints})), "{body}");
    }
    assert_eq!(harness.listed().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_body_that_is_no_object_is_a_422() {
    let harness = Harness::with_api_version(ApiVersion::November2026).await;
    for (body, kind) in [("", "missing"), ("[]", "model_attributes_type"), ("{\"name\"", "json_invalid")] {
        let request = harness.request(Method::POST, &harness.keys_path(), &harness.admin).body(body);
        let refused = seen(request).await;
        assert_eq!((refused.status, &refused.body["detail"][0]["type"]), (422, &json!(kind)), "{body}");
    }
}

#[tokio::test]
async fn a_permission_of_a_later_api_version_is_refused_in_an_earlier_one() {
    for (api_version, status) in
        [(ApiVersion::August2025, 422), (ApiVersion::September2026, 422), (ApiVersion::November2026, 200)]
    {
        let harness = Harness::with_api_version(api_version).await;
        let body = json!({"name": "x", "permissions": ["agents_architect"]});
        assert_eq!(
            harness.call(Method::POST, &harness.keys_path(), body).await.status,
            status,
            "{api_version:?}"
        );
    }
}

#[tokio::test]
async fn an_expiry_lies_between_fifteen_minutes_and_ninety_days_ahead() {
    let rules = Rules { never_expiring_forbidden: true, ..Rules::default() };
    let harness = Harness::start(rules).await;
    let (minute, day) = (60, 86_400);
    for (ahead, status) in [
        (Some(14 * minute), 400),
        (Some(15 * minute), 200),
        (Some(90 * day), 200),
        (Some(90 * day + 1), 400),
        (None, 400),
    ] {
        let expiry = ahead.map(|seconds| 1_795_428_000 + seconds);
        let body = json!({"name": "x", "permissions": "all", "expires_at_unix": expiry});
        let answer = harness.call(Method::POST, &harness.keys_path(), body).await;
        assert_eq!(answer.status, status, "{ahead:?}");
        if status == 400 {
            assert_eq!(answer.body["detail"]["param"], "expires_at_unix");
        }
    }
    let key =
        harness.create(json!({"name": "y", "permissions": "all", "expires_at_unix": 1_795_431_600})).await;
    assert_eq!(harness.patch(&key, json!({"expires_at_unix": "clear"})).await.status, 400);
    harness.sandbox.workspace().rules.never_expiring_forbidden = false;
    assert_eq!(harness.patch(&key, json!({"expires_at_unix": "clear"})).await.status, 200);
}

#[tokio::test]
async fn limits_of_keys_accounts_and_plan_are_kept() {
    let rules = Rules { keys_per_account: Some(2), accounts_max: 2, enterprise: false, ..Rules::default() };
    let harness = Harness::start(rules).await;
    let one = harness.create_named("one").await;
    harness.create_named("two").await;
    let third = json!({"name": "three", "permissions": "all"});
    let refused = harness.call(Method::POST, &harness.keys_path(), third.clone()).await;
    assert_eq!((refused.status, refused.code()), (400, "api_key_limit_reached"));
    assert_eq!(harness.call(Method::DELETE, &harness.key_path(&one), Value::Null).await.status, 200);
    assert_eq!(harness.call(Method::POST, &harness.keys_path(), third).await.status, 200);

    let account = json!({"name": "another"});
    let made = harness.call(Method::POST, "/v1/service-accounts", account.clone()).await;
    assert!(made.body["service-account-user-id"].is_string());
    let refused = harness.call(Method::POST, "/v1/service-accounts", account).await;
    assert_eq!((refused.status, refused.code()), (400, "service_account_limit_reached"));

    let limited = json!({"tts_concurrency_limit": 1});
    let key = harness.sandbox.truth().accounts[0].keys[1].key_id.clone();
    let refused = harness.call(Method::PATCH, &format!("{}/{key}", harness.keys_path()), limited).await;
    assert_eq!((refused.status, refused.code()), (403, "enterprise_required"));
}

#[tokio::test]
async fn administration_needs_its_permission_and_a_living_admin_key() {
    for (api_version, permission) in [
        (ApiVersion::August2025, "workspace_write"),
        (ApiVersion::September2026, "service_account_write"),
        (ApiVersion::November2026, "service_account_write"),
    ] {
        let harness = Harness::with_api_version(api_version).await;
        let manager = harness.create(json!({"name": "manager", "permissions": [permission]})).await;
        let reader = harness.create(json!({"name": "reader", "permissions": ["user_read"]})).await;
        let list = |key: &str| seen(harness.request(Method::GET, "/v1/service-accounts", key));
        assert_eq!(list(&manager.value).await.status, 200, "{api_version:?}");
        let refused = list(&reader.value).await;
        assert_eq!((refused.status, refused.code()), (401, "missing_permissions"), "{api_version:?}");
        let now = jiff::Timestamp::UNIX_EPOCH;
        harness.sandbox.workspace().disable_key("admin", None, now).unwrap();
        let dead = list(&harness.admin).await;
        assert_eq!((dead.status, dead.code()), (401, "invalid_api_key"), "{api_version:?}");
    }
}
