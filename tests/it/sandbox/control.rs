//! The control surface: what a person in the dashboard, and fate, do to the workspace over HTTP.

use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::Fault;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::truth::Truth;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::Harness;

async fn truth(harness: &Harness) -> Truth {
    serde_json::from_value(harness.call(Method::GET, "/sandbox/truth", Value::Null).await.body).unwrap()
}

#[tokio::test]
async fn accounts_and_keys_are_made_changed_and_ended_as_by_a_person() {
    let harness = Harness::start(Rules::default()).await;
    let made = harness.call(Method::POST, "/sandbox/accounts", json!({"name": "batch"})).await;
    let account = made.body["service_account_user_id"].as_str().unwrap();
    let path = format!("/sandbox/accounts/{account}/keys");
    let key = harness.call(Method::POST, &path, json!({"name": "by hand", "permissions": "all"})).await.body;
    let (id, value) = (key["key_id"].as_str().unwrap(), key["value"].as_str().unwrap());
    assert_eq!(harness.user(value).await.status, 200);

    let path = format!("/sandbox/keys/{id}");
    let renamed = harness.call(Method::PATCH, &path, json!({"name": "by Eve"})).await;
    assert_eq!((renamed.status, truth(&harness).await.key(id).unwrap().name.as_str()), (204, "by Eve"));
    let leak =
        harness.call(Method::POST, &format!("{path}/disable?reason=exposed_publicly"), Value::Null).await;
    assert_eq!(leak.status, 204);
    assert_eq!(harness.user(value).await.code(), "invalid_api_key");
    let listing = harness.call(Method::GET, "/v1/service-accounts", Value::Null).await.body;
    let listed = &listing["service-accounts"][1]["api-keys"][0];
    assert_eq!(
        (&listed["is_disabled"], &listed["disable_reason"]),
        (&json!(true), &json!("exposed_publicly"))
    );

    assert_eq!(harness.call(Method::POST, &format!("{path}/enable"), Value::Null).await.status, 204);
    assert_eq!(harness.user(value).await.status, 200);
    assert_eq!(harness.call(Method::DELETE, &path, Value::Null).await.status, 204);
    assert_eq!(harness.call(Method::DELETE, &path, Value::Null).await.status, 404);
    let told = truth(&harness).await;
    assert_eq!(told.account("batch").unwrap().keys[0].state, State::Deleted);
    assert_eq!(told.key(id).unwrap().totals(), (2, 1));
}

#[tokio::test]
async fn sharing_groups_are_changed_as_by_a_person() {
    let harness = Harness::start(Rules::default()).await;
    let path = format!("/sandbox/accounts/{}", harness.account);
    let groups = json!([{"group_id": "g1", "permission_level": "editor"}]);
    let changed = harness.call(Method::PATCH, &path, json!({"default_sharing_groups": groups})).await;
    assert_eq!(changed.status, 204);
    let listing = harness.call(Method::GET, "/v1/service-accounts", Value::Null).await.body;
    let listed = &listing["service-accounts"][0]["default_sharing_groups"][0];
    assert_eq!((&listed["group"]["id"], &listed["permission_level"]), (&json!("g1"), &json!("editor")));
    for wrong in
        [json!({}), json!({"default_sharing_groups": [{"group_id": "g1", "permission_level": "owner"}]})]
    {
        assert_eq!(harness.call(Method::PATCH, &path, wrong).await.status, 422);
    }
    let nobody =
        harness.call(Method::PATCH, "/sandbox/accounts/none", json!({"default_sharing_groups": []})).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn the_truth_has_no_values_and_the_list_of_values_has_them_all() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create_named("one").await;
    let told = harness.call(Method::GET, "/sandbox/truth", Value::Null).await.body;
    assert!(!told.to_string().contains(&key.value) && !told.to_string().contains(&harness.admin));
    let values = harness.call(Method::GET, "/sandbox/values", Value::Null).await.body;
    assert_eq!(values, json!([harness.admin, key.value]));
}

#[tokio::test]
async fn rules_change_by_field_and_a_misspelt_one_changes_nothing() {
    let harness = Harness::start(Rules::default()).await;
    let changed = harness
        .call(
            Method::PATCH,
            "/sandbox/rules",
            json!({"api_version": "august2025", "activation_lag": "1500ms"}),
        )
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let rules = harness.sandbox.workspace().rules.clone();
    assert_eq!((rules.api_version, rules.activation_lag.as_millis()), (ApiVersion::August2025, 1500));
    let refused =
        harness.call(Method::PATCH, "/sandbox/rules", json!({"wrong_key_status": 400, "lag": 1})).await;
    assert_eq!(refused.status, 422);
    assert_eq!(harness.sandbox.workspace().rules, rules);
    let shown = harness.call(Method::GET, "/sandbox/rules", Value::Null).await.body;
    assert_eq!(serde_json::from_value::<Rules>(shown).unwrap(), rules);
}

#[tokio::test]
async fn faults_are_set_and_shown_with_what_is_left_of_them() {
    let harness = Harness::start(Rules::default()).await;
    let faults = json!([{"route": "user", "times": 2, "what": {"refuse": {"status": 503, "code": "busy"}}}]);
    assert_eq!(harness.call(Method::PUT, "/sandbox/faults", faults).await.status, 204);
    let refused = harness.user(&harness.admin).await;
    assert_eq!((refused.status, refused.code()), (503, "busy"));
    let left = harness.call(Method::GET, "/sandbox/faults", Value::Null).await.body;
    assert_eq!(left[0]["times"], 1);
    let wrong = harness.call(Method::PUT, "/sandbox/faults", json!([{"what": "nothing"}])).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(harness.call(Method::PUT, "/sandbox/faults", json!([])).await.status, 204);
    assert_eq!(harness.user(&harness.admin).await.status, 200);
}

#[test]
fn the_faults_of_the_documentation_are_faults() {
    let document = include_str!("../../../docs/sandbox.md");
    let blocks = document.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let faults: Vec<Fault> =
        blocks.flat_map(|json| serde_json::from_str::<Vec<Fault>>(json).unwrap()).collect();
    assert_eq!(faults.len(), 4);
    for kind in ["delay", "refuse", "lost_reply", "huge_body", "alter", "html_page", "redirect"] {
        assert!(document.contains(&format!("`{kind}`")), "{kind}");
    }
}

#[tokio::test]
async fn the_admin_key_can_be_killed_and_brought_back() {
    let harness = Harness::start(Rules::default()).await;
    harness.call(Method::POST, "/sandbox/keys/admin/disable", Value::Null).await;
    let dead = harness.call(Method::GET, "/v1/service-accounts", Value::Null).await;
    assert_eq!((dead.status, dead.code()), (401, "invalid_api_key"));
    harness.call(Method::POST, "/sandbox/keys/admin/enable", Value::Null).await;
    assert_eq!(harness.call(Method::GET, "/v1/service-accounts", Value::Null).await.status, 200);
}

#[tokio::test]
async fn orphans_are_told_from_the_fingerprints_that_are_published() {
    let harness = Harness::start(Rules::default()).await;
    let key = harness.create_named("tts rk-0190b8a0000070008000000000000001-1").await;
    let fingerprint = harness.sandbox.truth().key(&key.id).unwrap().fingerprint.clone();
    for (published, orphans) in [(json!([]), 1), (json!([fingerprint]), 0)] {
        let told = harness.call(Method::POST, "/sandbox/orphans", json!({"published": published})).await;
        assert_eq!(told.body.as_array().unwrap().len(), orphans);
    }
}
