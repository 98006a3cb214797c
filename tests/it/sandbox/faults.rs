//! Every fault, as a plain client sees it, and whether the call had its effect.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, Moment, Refused, What};
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sandbox::{Harness, seen};

/// What a client got of a create.
#[derive(Debug)]
enum Got {
    NoAnswer,
    /// The head came, the body did not end.
    PartOf(u16),
    Answer(u16, Vec<u8>),
}

async fn create(harness: &Harness) -> Got {
    let request = harness.request(Method::POST, &harness.keys_path(), &harness.admin);
    let Ok(response) = request.json(&json!({"name": "lost", "permissions": "all"})).send().await else {
        return Got::NoAnswer;
    };
    let status = response.status().as_u16();
    response.bytes().await.map_or(Got::PartOf(status), |body| Got::Answer(status, body.to_vec()))
}

/// Makes one create under the fault, and says what came back and whether the key is there.
async fn under(what: What) -> (Got, bool) {
    let harness = Harness::start(Rules::default()).await;
    harness.sandbox.set_faults(vec![Fault::on(Route::CreateKey, what).times(1)]);
    let got = create(&harness).await;
    let is_there = harness.listed_names().await == ["lost"];
    assert_eq!(harness.sandbox.faults()[0].times, Some(0));
    assert_eq!(harness.sandbox.truth().requests[&Route::CreateKey], 1);
    assert!(matches!(create(&harness).await, Got::Answer(200, _)), "the fault struck twice");
    (got, is_there)
}

#[tokio::test]
async fn a_lost_reply_leaves_the_key_if_the_effect_came_first() {
    for (moment, expected) in [(Moment::Before, false), (Moment::After, true)] {
        let (got, is_there) = under(What::LostReply(moment)).await;
        assert!(matches!(got, Got::NoAnswer), "{got:?}");
        assert_eq!(is_there, expected, "{moment:?}");
    }
}

#[tokio::test]
async fn a_cut_body_begins_well_and_leaves_the_key() {
    let (got, is_there) = under(What::CutBody).await;
    assert!(matches!(got, Got::PartOf(200)), "{got:?}");
    assert!(is_there);
}

#[tokio::test]
async fn a_stalled_body_never_ends_and_does_not_hinder_the_end() {
    let harness = Harness::start(Rules::default()).await;
    harness.sandbox.set_faults(vec![Fault::on(Route::CreateKey, What::StalledBody)]);
    let request = harness
        .request(Method::POST, &harness.keys_path(), &harness.admin)
        .json(&json!({"name": "lost", "permissions": "all"}));
    let mut response = request.send().await.unwrap();
    let total = response.content_length().unwrap();
    let received = response.chunk().await.unwrap().unwrap().len();
    let next = tokio::time::timeout(Duration::from_millis(100), response.chunk()).await;
    assert!(next.is_err(), "more came");
    assert_eq!(u64::try_from(received).unwrap(), total / 2);
    assert_eq!(harness.listed_names().await, ["lost"]);
    let begun = Instant::now();
    harness.sandbox.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(response.chunk().await.is_err());
}

#[tokio::test]
async fn a_body_can_be_broken_empty_huge_or_of_wrong_types() {
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
    let (got, is_there) = under(What::GarbledBody).await;
    assert!(matches!(&got, Got::Answer(200, body) if read(body).is_none() && !body.is_empty()), "{got:?}");
    assert!(is_there);

    let (got, is_there) = under(What::EmptyBody).await;
    assert!(matches!(&got, Got::Answer(200, body) if body.is_empty()), "{got:?}");
    assert!(is_there);

    let (got, is_there) = under(What::WrongTypes).await;
    let Got::Answer(200, body) = got else { panic!("{got:?}") };
    assert_eq!(read(&body).unwrap(), json!({"xi-api-key": 7, "key_id": 7}));
    assert!(is_there);

    let (got, is_there) = under(What::HugeBody { bytes: 5_000_000 }).await;
    let Got::Answer(200, body) = got else { panic!("no answer") };
    assert!(body.len() > 5_000_000 && read(&body).is_some());
    assert!(is_there);
}

#[tokio::test]
async fn fields_can_go_missing_and_unknown_ones_appear() {
    let set = json!({"has_more": true}).as_object().unwrap().clone();
    let remove = vec!["key_id".to_owned()];
    let (got, is_there) = under(What::Alter { set, remove }).await;
    let Got::Answer(200, body) = got else { panic!("{got:?}") };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["has_more"], true);
    assert!(body.get("key_id").is_none() && body["xi-api-key"].is_string());
    assert!(is_there);
}

#[tokio::test]
async fn a_refusal_has_its_status_code_and_headers_before_or_after_the_effect() {
    for (refused, effect) in [
        (Refused::with(429, "rate_limit_exceeded").header("retry-after", "3"), false),
        (Refused::with(429, "system_busy").header("x-ratelimit-reset", "1795428010"), false),
        (Refused::with(503, "service_unavailable"), false),
        (Refused::with(503, "service_unavailable").after_effect(), true),
        (Refused::with(401, "missing_permissions"), false),
        (Refused::with(400, "invalid_api_key"), false),
    ] {
        let harness = Harness::start(Rules::default()).await;
        harness.sandbox.set_faults(vec![Fault::on(Route::CreateKey, What::Refuse(refused.clone()))]);
        let answer = harness
            .call(Method::POST, &harness.keys_path(), json!({"name": "lost", "permissions": "all"}))
            .await;
        assert_eq!((answer.status, answer.code()), (refused.status, refused.code.as_str()));
        for (name, value) in &refused.headers {
            assert_eq!(answer.header(name), value);
        }
        assert_eq!(harness.listed().await.len(), usize::from(effect), "{refused:?}");
    }
    let body = json!({"detail": [{"loc": ["body", "permissions", 0], "msg": "no", "type": "enum"}]});
    let whole = Refused { body: Some(body.clone()), ..Refused::with(422, "") };
    let (got, _) = under(What::Refuse(whole)).await;
    assert!(matches!(&got, Got::Answer(422, bytes) if *bytes == body.to_string().into_bytes()), "{got:?}");
}

#[tokio::test]
async fn the_edge_answers_with_a_page_or_sends_elsewhere_without_an_effect() {
    let harness = Harness::start(Rules::default()).await;
    let body = json!({"name": "lost", "permissions": "all"});
    harness.sandbox.set_faults(vec![
        Fault::on(Route::CreateKey, What::HtmlPage { status: 403 }).times(1),
        Fault::on(Route::CreateKey, What::Redirect { to: "https://example.com/".to_owned() }).times(1),
    ]);
    let page = harness.call(Method::POST, &harness.keys_path(), body.clone()).await;
    assert_eq!((page.status, page.header("content-type")), (403, "text/html; charset=UTF-8"));
    let redirect = harness.call(Method::POST, &harness.keys_path(), body).await;
    assert_eq!((redirect.status, redirect.header("location")), (307, "https://example.com/"));
    assert_eq!(harness.listed().await, Vec::<Value>::new());
}

async fn until(holds: impl Fn() -> bool) {
    let polling = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), polling).await.unwrap();
}

/// Sends a create, waits until it has arrived, gives up on it, and waits until the sandbox has seen that.
async fn give_up_on_a_create(harness: &Harness, arrived: impl Fn() -> bool) {
    tokio::select! {
        got = create(harness) => panic!("answered: {got:?}"),
        () = until(arrived) => {}
    }
    until(|| harness.sandbox.truth().administration_calls_now == 0).await;
}

#[tokio::test]
async fn a_client_that_gives_up_leaves_a_key_only_if_the_delay_came_after_the_effect() {
    let lasts = SignedDuration::from_secs(60);
    for (moment, expected) in [(Moment::Before, 0), (Moment::After, 1)] {
        let harness = Harness::start(Rules::default()).await;
        let delay = Fault::on(Route::CreateKey, What::Delay { lasts, moment }).times(1);
        harness.sandbox.set_faults(vec![delay]);
        give_up_on_a_create(&harness, || {
            let drawn = harness.sandbox.faults()[0].times == Some(0);
            drawn && harness.sandbox.truth().keys().count() == expected
        })
        .await;
        harness.pass(120);
        assert_eq!(harness.listed().await.len(), expected, "{moment:?}");
    }
}

#[tokio::test]
async fn a_delay_joins_with_another_fault() {
    let harness = Harness::with_api_version(ApiVersion::November2026).await;
    let lasts = SignedDuration::from_secs(30);
    harness.sandbox.set_faults(vec![
        Fault::everywhere(What::Delay { lasts, moment: Moment::Before }),
        Fault::on(Route::User, What::Refuse(Refused::with(503, "busy"))),
    ]);
    let call = seen(harness.request(Method::GET, "/v1/user", &harness.admin));
    tokio::pin!(call);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut call).await;
    assert!(early.is_err(), "the delay is missing");
    harness.pass(31);
    assert_eq!(call.await.status, 503);
}

#[tokio::test]
async fn a_fault_on_one_route_leaves_the_others_alone() {
    let harness = Harness::start(Rules::default()).await;
    harness.sandbox.set_faults(vec![Fault::on(Route::ListAccounts, What::LostReply(Moment::Before))]);
    assert!(harness.request(Method::GET, "/v1/service-accounts", &harness.admin).send().await.is_err());
    assert_eq!(harness.user(&harness.admin).await.status, 200);
    harness.sandbox.set_faults(Vec::new());
    assert_eq!(harness.call(Method::GET, "/v1/service-accounts", Value::Null).await.status, 200);
}
