//! The engine in this process with everything real: the adapter, the sandbox, a directory store, a SQLite journal and
//! time itself.

#![expect(clippy::unwrap_used, reason = "what stands between tests fails by panicking too")]

mod bench;
mod consumers;
mod evidence;
mod leaks;
mod repaired;
mod way_back;

use rekeyd::domain::ack::Health;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::phase::PhaseName;
use rekeyd::engine::Wish;
use rekeyd::sandbox::era::Era;
use rekeyd::sandbox::faults::{Fault, Moment, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;

use bench::{Bench, Start};

const ERAS: [Era; 3] = [Era::August2025, Era::September2026, Era::November2026];

fn rules(era: Era) -> Rules {
    Rules { era, ..Rules::default() }
}

#[tokio::test]
async fn a_credential_without_a_key_gets_its_first_one_in_every_era() {
    for era in ERAS {
        let mut bench = Bench::start(rules(era), Start::WithoutKey).await;
        bench.done(1).await;
        let truth = bench.sandbox.truth();
        assert_eq!(bench.states(), [State::Enabled], "{era:?}");
        assert_eq!(truth.keys().next().unwrap().fingerprint, bench.served().unwrap().fingerprint());
        assert_eq!(bench.calls(Route::CreateKey), 1, "{era:?}");
        assert_eq!(bench.calls(Route::DeleteKey) + bench.calls(Route::DisableKey), 0, "{era:?}");
        bench.stop().await;
    }
}

#[tokio::test]
async fn an_adopted_key_is_replaced_with_few_calls_in_every_era() {
    for era in ERAS {
        let mut bench = Bench::start(rules(era), Start::WithKey).await;
        bench.done(1).await;
        assert_eq!(bench.states(), [State::Deleted, State::Enabled], "{era:?}");
        let by_route = [Route::CreateKey, Route::User, Route::DisableKey, Route::UpdateKey, Route::DeleteKey]
            .map(|route| bench.calls(route));
        let expected = match era {
            // The first disabling finds out that every field is wanted.
            Era::August2025 => [1, 2, 0, 2, 1],
            Era::September2026 => [1, 2, 0, 1, 1],
            Era::November2026 => [1, 2, 1, 0, 1],
        };
        assert_eq!(by_route, expected, "{era:?}");
        assert!(by_route.iter().sum::<u64>() <= 5 || era == Era::August2025, "{era:?}");
        bench.stop().await;
    }
}

#[tokio::test]
async fn rotations_follow_one_another_and_what_is_served_is_always_accepted() {
    let mut bench = Bench::start(rules(Era::November2026), Start::WithKey).await;
    for done in 1..=4 {
        bench.done(done).await;
        if done < 4 {
            bench.order(Wish::Rotate).await.unwrap();
        }
    }
    let deleted = State::Deleted;
    assert_eq!(bench.states(), [deleted, deleted, deleted, deleted, State::Enabled]);
    let calls =
        [Route::CreateKey, Route::User, Route::DisableKey, Route::DeleteKey].map(|route| bench.calls(route));
    assert_eq!(calls, [4, 8, 4, 4]);
    bench.stop().await;
}

#[tokio::test]
async fn a_rotation_in_its_overlap_can_be_rolled_back_in_every_era() {
    for era in ERAS {
        let mut bench = Bench::start(rules(era), Start::WithoutKey).await;
        bench.done(1).await;
        let old = bench.served().unwrap().fingerprint();
        // Somebody who never acknowledges keeps the overlap open.
        let nobody = Gate::Acks([ConsumerName::new("nobody").unwrap()].into());
        bench.revise(|terms| terms.gates = vec![nobody]).await;
        bench.order(Wish::Rotate).await.unwrap();
        bench.reaches(PhaseName::Overlap).await;
        assert_ne!(bench.served().unwrap().fingerprint(), old, "{era:?}");
        bench.order(Wish::RollBack).await.unwrap();
        // The way back is waited for like the way there: now it says that it has the old key.
        bench.reaches(PhaseName::Returning).await;
        bench.acknowledge("nobody", Health::Using).await;
        bench.ended(PhaseName::RolledBack).await;
        assert_eq!(bench.served().unwrap().fingerprint(), old, "{era:?}");
        assert_eq!(bench.states(), [State::Enabled, State::Deleted], "{era:?}");
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_key_whose_answer_was_lost_is_found_deleted_and_minted_again() {
    for era in ERAS {
        for what in [What::LostReply(Moment::After), What::LostReply(Moment::Before), What::CutBody] {
            let mut bench = Bench::prepare(rules(era), Start::WithKey).await;
            bench.sandbox.set_faults(vec![Fault::on(Route::CreateKey, what.clone()).times(1)]);
            bench.live().await;
            bench.done(1).await;
            assert_eq!(bench.calls(Route::CreateKey), 2, "{era:?} {what:?}");
            let alive = bench.states().iter().filter(|state| **state != State::Deleted).count();
            assert_eq!(alive, 1, "{era:?} {what:?}");
            bench.stop().await;
        }
    }
}

#[tokio::test]
async fn every_call_that_loses_its_answer_once_changes_nothing_in_the_end() {
    let mut bench = Bench::prepare(rules(Era::November2026), Start::WithKey).await;
    // The first listings find out which key there is; without them nothing has begun yet.
    let lost = |(route, skip)| Fault::on(route, What::LostReply(Moment::After)).after(skip).times(1);
    let calls = [
        (Route::ListAccounts, 4),
        (Route::CreateKey, 1),
        (Route::User, 1),
        (Route::DisableKey, 1),
        (Route::DeleteKey, 1),
    ];
    bench.sandbox.set_faults(calls.map(lost).to_vec());
    bench.live().await;
    bench.done(1).await;
    bench.order(Wish::Rotate).await.unwrap();
    bench.done(2).await;
    let alive: Vec<State> = bench.states().into_iter().filter(|state| *state != State::Deleted).collect();
    assert_eq!(alive, [State::Enabled]);
    assert!(
        bench.sandbox.faults().iter().all(|fault| fault.times == Some(0)),
        "{:?}",
        bench.sandbox.faults()
    );
    bench.stop().await;
}
