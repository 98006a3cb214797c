//! The engine in this process with everything real: the adapter, the sandbox, a directory store, a SQLite journal and
//! time itself.

#![expect(clippy::unwrap_used, reason = "what stands between tests fails by panicking too")]

mod accounts;
mod clock;
mod confirmed;
mod consumers;
mod evidence;
mod expiring;
mod failing;
mod harness;
mod hurried;
mod leaks;
mod left_behind;
mod observed;
mod repaired;
mod throttled;
mod urgent;
mod watched;
mod way_back;

use rekeyd::domain::ack::Health;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::phase::PhaseName;
use rekeyd::engine::Command;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, Moment, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;

use harness::{Harness, Start};

const API_VERSIONS: [ApiVersion; 3] =
    [ApiVersion::August2025, ApiVersion::September2026, ApiVersion::November2026];

fn rules(api_version: ApiVersion) -> Rules {
    Rules { api_version, ..Rules::default() }
}

#[tokio::test]
async fn a_credential_without_a_key_gets_its_first_one_in_every_api_version() {
    for api_version in API_VERSIONS {
        let mut harness = Harness::start(rules(api_version), Start::WithoutKey).await;
        harness.done(1).await;
        let truth = harness.sandbox.truth();
        assert_eq!(harness.states(), [State::Enabled], "{api_version:?}");
        assert_eq!(truth.keys().next().unwrap().fingerprint, harness.served().unwrap().fingerprint());
        assert_eq!(harness.calls(Route::CreateKey), 1, "{api_version:?}");
        assert_eq!(harness.calls(Route::DeleteKey) + harness.calls(Route::DisableKey), 0, "{api_version:?}");
        harness.stop().await;
    }
}

#[tokio::test]
async fn an_adopted_key_is_replaced_with_few_calls_in_every_api_version() {
    for api_version in API_VERSIONS {
        let mut harness = Harness::start(rules(api_version), Start::WithKey).await;
        harness.done(1).await;
        assert_eq!(harness.states(), [State::Deleted, State::Enabled], "{api_version:?}");
        let by_route = [Route::CreateKey, Route::User, Route::DisableKey, Route::UpdateKey, Route::DeleteKey]
            .map(|route| harness.calls(route));
        let expected = match api_version {
            // The first disabling finds out that every field is wanted.
            ApiVersion::August2025 => [1, 2, 0, 2, 1],
            ApiVersion::September2026 => [1, 2, 0, 1, 1],
            ApiVersion::November2026 => [1, 2, 1, 0, 1],
        };
        assert_eq!(by_route, expected, "{api_version:?}");
        assert!(
            by_route.iter().sum::<u64>() <= 5 || api_version == ApiVersion::August2025,
            "{api_version:?}"
        );
        harness.stop().await;
    }
}

#[tokio::test]
async fn rotations_follow_one_another_and_what_is_served_is_always_accepted() {
    let mut harness = Harness::start(rules(ApiVersion::November2026), Start::WithKey).await;
    for done in 1..=4 {
        harness.done(done).await;
        if done < 4 {
            harness.request(Command::Rotate).await.unwrap();
        }
    }
    let deleted = State::Deleted;
    assert_eq!(harness.states(), [deleted, deleted, deleted, deleted, State::Enabled]);
    let calls = [Route::CreateKey, Route::User, Route::DisableKey, Route::DeleteKey]
        .map(|route| harness.calls(route));
    assert_eq!(calls, [4, 8, 4, 4]);
    harness.stop().await;
}

#[tokio::test]
async fn a_rotation_in_its_overlap_can_be_rolled_back_in_every_api_version() {
    for api_version in API_VERSIONS {
        let mut harness = Harness::start(rules(api_version), Start::WithoutKey).await;
        harness.done(1).await;
        let old = harness.served().unwrap().fingerprint();
        // Somebody who never acknowledges keeps the overlap open.
        let nobody = Gate::Acks([ConsumerName::new("nobody").unwrap()].into());
        harness.revise(|terms| terms.gates = vec![nobody]).await;
        harness.request(Command::Rotate).await.unwrap();
        harness.reaches(PhaseName::Overlap).await;
        assert_ne!(harness.served().unwrap().fingerprint(), old, "{api_version:?}");
        harness.request(Command::RollBack).await.unwrap();
        // The way back is waited for like the way there: now it says that it has the old key.
        harness.reaches(PhaseName::Returning).await;
        harness.acknowledge("nobody", Health::Using).await;
        harness.ended(PhaseName::RolledBack).await;
        assert_eq!(harness.served().unwrap().fingerprint(), old, "{api_version:?}");
        assert_eq!(harness.states(), [State::Enabled, State::Deleted], "{api_version:?}");
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_key_whose_answer_was_lost_is_found_deleted_and_minted_again() {
    for api_version in API_VERSIONS {
        for what in [What::LostReply(Moment::After), What::LostReply(Moment::Before), What::CutBody] {
            let mut harness = Harness::prepare(rules(api_version), Start::WithKey).await;
            harness.sandbox.set_faults(vec![Fault::on(Route::CreateKey, what.clone()).times(1)]);
            harness.live().await;
            harness.done(1).await;
            assert_eq!(harness.calls(Route::CreateKey), 2, "{api_version:?} {what:?}");
            let alive = harness.states().iter().filter(|state| **state != State::Deleted).count();
            assert_eq!(alive, 1, "{api_version:?} {what:?}");
            harness.stop().await;
        }
    }
}

#[tokio::test]
async fn every_call_that_loses_its_answer_once_changes_nothing_in_the_end() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    // The first listings find out which key there is; without them nothing has begun yet.
    let lost = |(route, skip)| Fault::on(route, What::LostReply(Moment::After)).after(skip).times(1);
    let calls = [
        (Route::ListAccounts, 4),
        (Route::CreateKey, 1),
        (Route::User, 1),
        (Route::DisableKey, 1),
        (Route::DeleteKey, 1),
    ];
    harness.sandbox.set_faults(calls.map(lost).to_vec());
    harness.live().await;
    harness.done(1).await;
    harness.request(Command::Rotate).await.unwrap();
    harness.done(2).await;
    let alive: Vec<State> = harness.states().into_iter().filter(|state| *state != State::Deleted).collect();
    assert_eq!(alive, [State::Enabled]);
    assert!(
        harness.sandbox.faults().iter().all(|fault| fault.times == Some(0)),
        "{:?}",
        harness.sandbox.faults()
    );
    harness.stop().await;
}
