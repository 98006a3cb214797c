//! The control surface: what a person in the dashboard, and fate, do to the workspace over HTTP.

use rekeyd::sandbox::era::Era;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::truth::Truth;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::Bench;

async fn truth(bench: &Bench) -> Truth {
    serde_json::from_value(bench.call(Method::GET, "/sandbox/truth", Value::Null).await.body).unwrap()
}

#[tokio::test]
async fn accounts_and_keys_are_made_changed_and_ended_as_by_a_person() {
    let bench = Bench::start(Rules::default()).await;
    let made = bench.call(Method::POST, "/sandbox/accounts", json!({"name": "batch"})).await;
    let account = made.body["service_account_user_id"].as_str().unwrap();
    let path = format!("/sandbox/accounts/{account}/keys");
    let key = bench.call(Method::POST, &path, json!({"name": "by hand", "permissions": "all"})).await.body;
    let (id, value) = (key["key_id"].as_str().unwrap(), key["value"].as_str().unwrap());
    assert_eq!(bench.user(value).await.status, 200);

    let path = format!("/sandbox/keys/{id}");
    let renamed = bench.call(Method::PATCH, &path, json!({"name": "by Eve"})).await;
    assert_eq!((renamed.status, truth(&bench).await.key(id).unwrap().name.as_str()), (204, "by Eve"));
    let leak =
        bench.call(Method::POST, &format!("{path}/disable?reason=exposed_publicly"), Value::Null).await;
    assert_eq!(leak.status, 204);
    assert_eq!(bench.user(value).await.code(), "invalid_api_key");
    let listing = bench.call(Method::GET, "/v1/service-accounts", Value::Null).await.body;
    let listed = &listing["service-accounts"][1]["api-keys"][0];
    assert_eq!(
        (&listed["is_disabled"], &listed["disable_reason"]),
        (&json!(true), &json!("exposed_publicly"))
    );

    assert_eq!(bench.call(Method::POST, &format!("{path}/enable"), Value::Null).await.status, 204);
    assert_eq!(bench.user(value).await.status, 200);
    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.status, 204);
    assert_eq!(bench.call(Method::DELETE, &path, Value::Null).await.status, 404);
    let told = truth(&bench).await;
    assert_eq!(told.account("batch").unwrap().keys[0].state, State::Deleted);
    assert_eq!(told.key(id).unwrap().totals(), (2, 1));
}

#[tokio::test]
async fn the_truth_has_no_values_and_the_list_of_values_has_them_all() {
    let bench = Bench::start(Rules::default()).await;
    let key = bench.create_named("one").await;
    let told = bench.call(Method::GET, "/sandbox/truth", Value::Null).await.body;
    assert!(!told.to_string().contains(&key.value) && !told.to_string().contains(&bench.admin));
    let values = bench.call(Method::GET, "/sandbox/values", Value::Null).await.body;
    assert_eq!(values, json!([bench.admin, key.value]));
}

#[tokio::test]
async fn rules_change_by_field_and_a_misspelt_one_changes_nothing() {
    let bench = Bench::start(Rules::default()).await;
    let changed = bench
        .call(Method::PATCH, "/sandbox/rules", json!({"era": "august2025", "activation_lag": "1500ms"}))
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let rules = bench.sandbox.workspace().rules.clone();
    assert_eq!((rules.era, rules.activation_lag.as_millis()), (Era::August2025, 1500));
    let refused =
        bench.call(Method::PATCH, "/sandbox/rules", json!({"wrong_key_status": 400, "lag": 1})).await;
    assert_eq!(refused.status, 422);
    assert_eq!(bench.sandbox.workspace().rules, rules);
    let shown = bench.call(Method::GET, "/sandbox/rules", Value::Null).await.body;
    assert_eq!(serde_json::from_value::<Rules>(shown).unwrap(), rules);
}

#[tokio::test]
async fn faults_are_set_and_shown_with_what_is_left_of_them() {
    let bench = Bench::start(Rules::default()).await;
    let faults = json!([{"route": "user", "times": 2, "what": {"refuse": {"status": 503, "code": "busy"}}}]);
    assert_eq!(bench.call(Method::PUT, "/sandbox/faults", faults).await.status, 204);
    let refused = bench.user(&bench.admin).await;
    assert_eq!((refused.status, refused.code()), (503, "busy"));
    let left = bench.call(Method::GET, "/sandbox/faults", Value::Null).await.body;
    assert_eq!(left[0]["times"], 1);
    let wrong = bench.call(Method::PUT, "/sandbox/faults", json!([{"what": "nothing"}])).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(bench.call(Method::PUT, "/sandbox/faults", json!([])).await.status, 204);
    assert_eq!(bench.user(&bench.admin).await.status, 200);
}

#[tokio::test]
async fn the_admin_key_can_be_killed_and_brought_back() {
    let bench = Bench::start(Rules::default()).await;
    bench.call(Method::POST, "/sandbox/keys/admin/disable", Value::Null).await;
    let dead = bench.call(Method::GET, "/v1/service-accounts", Value::Null).await;
    assert_eq!((dead.status, dead.code()), (401, "invalid_api_key"));
    bench.call(Method::POST, "/sandbox/keys/admin/enable", Value::Null).await;
    assert_eq!(bench.call(Method::GET, "/v1/service-accounts", Value::Null).await.status, 200);
}

#[tokio::test]
async fn orphans_are_told_from_the_fingerprints_that_are_published() {
    let bench = Bench::start(Rules::default()).await;
    let key = bench.create_named("tts rk-0190b8a0000070008000000000000001-1").await;
    let fingerprint = bench.sandbox.truth().key(&key.id).unwrap().fingerprint.clone();
    for (published, orphans) in [(json!([]), 1), (json!([fingerprint]), 0)] {
        let told = bench.call(Method::POST, "/sandbox/orphans", json!({"published": published})).await;
        assert_eq!(told.body.as_array().unwrap().len(), orphans);
    }
}
