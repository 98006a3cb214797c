//! What the adapter makes of an answer that is lost, cut, garbled, endless, or not the provider's at all.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::failure::Certainty::{self, Rejected, Unknown};
use rekeyd::domain::failure::Kind;
use rekeyd::ports::clock::Clock as _;
use rekeyd::ports::issuer::Issuer as _;
use rekeyd::sandbox::faults::{Fault, Moment, Refused, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;
use serde_json::{Map, Value, json};

use super::{Harness, judged, plain};

const HUGE: usize = 64 << 20;

fn altered(set: &Value, remove: &[&str]) -> What {
    let set: Map<String, Value> = set.as_object().unwrap().clone();
    What::Alter { set, remove: remove.iter().map(|&name| name.to_owned()).collect() }
}

#[tokio::test]
async fn a_create_that_went_wrong_is_sent_once_and_judged_by_what_is_certain() {
    use Kind::{Garbled, ServerError, Throttled, TimedOut, Unauthenticated, Unreachable};
    let table: [(What, Certainty, Kind, usize); 14] = [
        (What::LostReply(Moment::Before), Unknown, Unreachable, 0),
        (What::LostReply(Moment::After), Unknown, Unreachable, 1),
        (What::CutBody, Unknown, Unreachable, 1),
        (What::StalledBody, Unknown, TimedOut, 1),
        (What::GarbledBody, Unknown, Garbled, 1),
        (What::EmptyBody, Unknown, Garbled, 1),
        (What::WrongTypes, Unknown, Garbled, 1),
        (What::HugeBody { bytes: HUGE }, Unknown, Garbled, 1),
        (altered(&json!({}), &["xi-api-key"]), Unknown, Garbled, 1),
        (What::Refuse(Refused::with(500, "internal_error").after_effect()), Unknown, ServerError, 1),
        (What::Refuse(Refused::with(429, "rate_limit_exceeded")), Rejected, Throttled, 0),
        (What::Refuse(Refused::with(401, "invalid_api_key")), Rejected, Unauthenticated, 0),
        (What::HtmlPage { status: 403 }, Rejected, Unreachable, 0),
        (What::HtmlPage { status: 502 }, Unknown, ServerError, 0),
    ];
    for (what, certainty, kind, made) in table {
        let harness = Harness::patient(Rules::default(), Duration::from_secs(1)).await;
        harness.sandbox.set_faults(vec![Fault::on(Route::CreateKey, what.clone()).times(1)]);
        let outcome = harness.issuer.create(&harness.account, "tts rk-1", &plain()).await.map(drop);
        assert_eq!(judged(&outcome), Some((certainty, kind)), "{what:?}: {outcome:?}");
        assert_eq!(harness.calls(Route::CreateKey), 1, "{what:?}");
        let lost = harness.listed().await;
        assert_eq!(lost.len(), made, "{what:?}");
        for key in &lost {
            assert_eq!(key.name, "tts rk-1");
            harness.issuer.delete(key).await.unwrap();
        }
        assert_eq!(harness.listed().await, [], "{what:?}");
    }
}

#[tokio::test]
async fn an_id_that_is_missing_does_not_cost_the_value() {
    for id in [json!({"key_id": 7}), json!({"key_id": null}), json!({"key_id": ".."})] {
        let harness = Harness::start(Rules::default()).await;
        harness.sandbox.set_faults(vec![Fault::on(Route::CreateKey, altered(&id, &[]))]);
        let minted = harness.create(&plain()).await;
        assert_eq!(minted.key, harness.the_key().await.id, "{id}");
    }
}

#[tokio::test]
async fn half_a_listing_is_no_listing() {
    let table = [
        What::LostReply(Moment::After),
        What::CutBody,
        What::StalledBody,
        What::GarbledBody,
        What::EmptyBody,
        What::WrongTypes,
        What::HugeBody { bytes: HUGE },
        What::HtmlPage { status: 200 },
        What::HtmlPage { status: 403 },
        What::Redirect { to: "http://127.0.0.1:1/".to_owned() },
        altered(&json!({"has_more": true}), &[]),
        altered(&json!({"next_cursor": "x"}), &[]),
        altered(&json!({}), &["service-accounts"]),
    ];
    for what in table {
        let harness = Harness::patient(Rules::default(), Duration::from_secs(1)).await;
        harness.create(&plain()).await;
        harness.sandbox.set_faults(vec![Fault::on(Route::ListAccounts, what.clone())]);
        let begun = Instant::now();
        let outcome = harness.issuer.inventory().await.map(drop);
        let failure = outcome.expect_err(&format!("{what:?}"));
        assert_eq!(failure.certainty, Rejected, "{what:?}");
        assert!(failure.kind.is_passing(), "{what:?}: {failure:?}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{what:?}");
        harness.sandbox.set_faults(vec![]);
        assert_eq!(harness.listed().await.len(), 1, "{what:?}");
    }
}

#[tokio::test]
async fn a_lasting_call_whose_answer_is_lost_may_have_happened_and_can_be_repeated() {
    let harness = Harness::start(Rules::default()).await;
    harness.create(&plain()).await;
    let key = harness.the_key().await;
    let lost =
        |route| harness.sandbox.set_faults(vec![Fault::on(route, What::LostReply(Moment::After)).times(1)]);
    let state = || harness.sandbox.truth().key(key.id.as_str()).unwrap().state;
    let expected = Some((Unknown, Kind::Unreachable));

    lost(Route::DisableKey);
    assert_eq!(judged(&harness.issuer.disable(&key).await), expected);
    assert_eq!(state(), State::Disabled);
    harness.issuer.disable(&key).await.unwrap();

    lost(Route::UpdateKey);
    assert_eq!(judged(&harness.issuer.enable(&key).await), expected);
    assert_eq!(state(), State::Enabled);
    harness.issuer.enable(&key).await.unwrap();

    lost(Route::DeleteKey);
    assert_eq!(judged(&harness.issuer.delete(&key).await), expected);
    assert_eq!(state(), State::Deleted);
    harness.issuer.delete(&key).await.unwrap();
}

#[tokio::test]
async fn a_wish_to_slow_down_is_honoured_by_every_call() {
    let harness = Harness::start(Rules::default()).await;
    let slow = |seconds: &str| {
        let refused = Refused::with(429, "rate_limit_exceeded").header("retry-after", seconds);
        harness.sandbox.set_faults(vec![Fault::on(Route::ListAccounts, What::Refuse(refused)).times(1)]);
    };
    slow("1");
    let told = harness.issuer.inventory().await.unwrap_err();
    assert_eq!((told.kind, told.retry_after), (Kind::Throttled, Some(SignedDuration::from_secs(1))));
    let begun = Instant::now();
    harness.create(&plain()).await;
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());

    slow("120");
    harness.issuer.inventory().await.unwrap_err();
    let unsent = judged(&harness.issuer.create(&harness.account, "tts rk-2", &plain()).await.map(drop));
    assert_eq!(unsent, Some((Rejected, Kind::Throttled)));
    assert_eq!(harness.calls(Route::CreateKey), 1);
}

#[tokio::test]
async fn a_dead_admin_key_says_nothing_about_the_keys() {
    let harness = Harness::start(Rules::default()).await;
    let minted = harness.create(&plain()).await;
    let key = harness.the_key().await;
    harness.sandbox.workspace().disable_key("admin", None, SystemClock.now()).unwrap();
    let dead = Some((Rejected, Kind::Unauthenticated));
    assert_eq!(judged(&harness.issuer.inventory().await.map(drop)), dead);
    assert_eq!(judged(&harness.issuer.create(&harness.account, "tts rk-2", &plain()).await.map(drop)), dead);
    assert_eq!(judged(&harness.issuer.disable(&key).await), dead);
    assert_eq!(judged(&harness.issuer.enable(&key).await), dead);
    assert_eq!(judged(&harness.issuer.delete(&key).await), dead);
    harness.issuer.authenticate(&minted.value).await.unwrap();
    assert_eq!(harness.sandbox.truth().key(key.id.as_str()).unwrap().state, State::Enabled);
}
