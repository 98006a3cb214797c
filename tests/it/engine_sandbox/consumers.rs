//! What consumers show and say decides: nothing is revoked that is in use, and what was disabled comes back.

use jiff::SignedDuration;
use rekeyd::adapters::prober::ResolvedProber;
use rekeyd::domain::ack::Health;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::gate::probe::Reads;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::domain::report::CredentialReport;
use rekeyd::domain::rotation::ParkReason;
use rekeyd::engine::Wish;
use rekeyd::sandbox::era::Era;
use rekeyd::sandbox::faults::{Fault, Moment, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use std::time::{Duration, Instant};

use super::bench::{Bench, Start};
use super::{ERAS, rules};
use crate::support::instances::{Instances, Says};

fn parked(report: &CredentialReport) -> Option<ParkReason> {
    report.rotation.as_ref()?.parked.as_ref().map(|parked| parked.reason)
}

fn detail(report: &CredentialReport) -> String {
    report.rotation.as_ref().unwrap().parked.as_ref().unwrap().detail.clone()
}

fn is_in(phase: PhaseName) -> impl Fn(&CredentialReport) -> bool {
    move |report| report.phase() == Some(phase)
}

/// A bench whose credential is probed at two instances, in the overlap of its first rotation.
async fn probed() -> (Bench, Instances) {
    let nothing = Says::body(r#"{"key": "none yet"}"#);
    let instances = Instances::start(vec![nothing; 2]).await;
    let mut bench = Bench::prepare(rules(Era::November2026), Start::WithKey).await;
    bench.ask_by(ResolvedProber(instances.addresses.clone()));
    let probe = instances.probe("http", "api.example", Reads::JsonPointer("/key".to_owned()));
    bench.agree(|terms| {
        terms.gates = vec![Gate::Probes(vec![probe])];
        terms.quarantine = SignedDuration::from_secs(3);
    });
    bench.live().await;
    bench.reaches(PhaseName::Overlap).await;
    (bench, instances)
}

fn reporting(text: impl std::fmt::Display) -> Says {
    Says::body(&format!(r#"{{"key": "{text}"}}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_key_stays_until_every_instance_reports_the_new_one_and_the_straggler_is_named() {
    let (bench, instances) = probed().await;
    let new = bench.served().unwrap();
    // One tells its key itself, instead of the fingerprint.
    instances.say(0, reporting(new.expose()));
    instances.say(1, reporting(new.fingerprint()));
    let gate = |report: &CredentialReport| report.rotation.as_ref().unwrap().gates.last().unwrap().clone();
    let alone = "api at 127.0.0.2";
    let is_alone = |report: &CredentialReport| {
        let stragglers = gate(report).stragglers;
        stragglers.len() == 1 && stragglers[0].who == alone
    };
    let report = bench.told("one straggler", is_alone).await;
    let straggler = gate(&report).stragglers.remove(0);
    assert_eq!(straggler.why, "reports neither the new nor the old key");
    assert_eq!(bench.calls(Route::DisableKey), 0);
    let value = new.expose().as_bytes();
    assert!(
        !bench.journalled().windows(value.len()).any(|bytes| bytes == value),
        "the key is in the journal"
    );
    assert!(!serde_json::to_string(&report).unwrap().contains(new.expose()));

    // It is down, then it is back with the new key.
    instances.say(0, Says::Bytes(vec![]));
    let odd = "its answer broke off, or is no HTTP";
    bench.told("it is down", |report| gate(report).stragglers.iter().any(|it| it.why == odd)).await;
    instances.say(0, reporting(new.fingerprint()));
    bench.ended(PhaseName::Done).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_turns_red_in_the_quarantine_has_the_old_key_enabled_again() {
    let (bench, instances) = probed().await;
    let new = bench.served().unwrap().fingerprint();
    let all_say = |says: Says| [0, 1].map(|index| instances.say(index, says.clone()));
    all_say(reporting(&new));
    bench.reaches(PhaseName::Quarantine).await;
    assert_eq!(bench.states(), [State::Disabled, State::Enabled]);
    let begun = Instant::now();
    instances.say(1, Says::status("500 Internal Server Error"));
    let report = bench.told("it is parked", |report| parked(report) == Some(ParkReason::ProbeRed)).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(detail(&report), "api at 127.0.0.3 it answers with HTTP 500");
    assert_eq!(bench.states(), [State::Enabled, State::Enabled]);

    all_say(reporting(&new));
    bench.order(Wish::Retry { overwrite: false }).await.unwrap();
    bench.ended(PhaseName::Done).await;
    assert_eq!(bench.states(), [State::Deleted, State::Enabled]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_red_round_is_no_alarm_and_ends_no_quarantine() {
    let (bench, instances) = probed().await;
    let new = bench.served().unwrap().fingerprint();
    let all_say = |says: Says| [0, 1].map(|index| instances.say(index, says.clone()));
    all_say(reporting(&new));
    bench.reaches(PhaseName::Quarantine).await;
    let asked = instances.heard().len();
    instances.say(0, Says::Bytes(vec![]));
    while instances.heard().len() < asked + 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    instances.say(0, reporting(&new));
    bench.ended(PhaseName::Done).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_fails_in_the_quarantine_has_its_key_back_and_keeps_it_while_it_fails() {
    for era in ERAS {
        let mut bench = Bench::prepare(rules(era), Start::WithKey).await;
        bench.agree(|terms| {
            terms.quarantine = SignedDuration::from_mins(1);
            terms.at_most = SignedDuration::from_secs(2);
            terms.then = AfterDeadline::Revoke;
        });
        bench.live().await;
        bench.reaches(PhaseName::Quarantine).await;
        let begun = Instant::now();
        bench.acknowledge("api", Health::Failing).await;
        let failing = Some(ParkReason::ConsumerFailing);
        let report = bench.told("it is parked", |report| parked(report) == failing).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{era:?}: {:?}", begun.elapsed());
        assert!(detail(&report).starts_with("api reports since"), "{}", detail(&report));
        assert_eq!(bench.states(), [State::Enabled, State::Enabled], "{era:?}");

        // It goes on failing, long after the overlap has lasted its longest: the policy's `revoke` does not count.
        bench.revise(|terms| terms.quarantine = SignedDuration::from_millis(200)).await;
        bench.order(Wish::Retry { overwrite: false }).await.unwrap();
        let waiting = bench.told("it waits", is_in(PhaseName::Overlap)).await;
        let shut = waiting.rotation.unwrap().gates.into_iter().find(|gate| !gate.open).unwrap();
        assert_eq!((shut.gate.label(), shut.stragglers[0].who.as_str()), ("failing", "api"), "{era:?}");
        let deadline = begun + Duration::from_secs(4);
        bench
            .told("the deadline is behind", |report| {
                assert_eq!(report.phase(), Some(PhaseName::Overlap), "{era:?}");
                Instant::now() > deadline
            })
            .await;
        assert_eq!(bench.states(), [State::Enabled, State::Enabled], "{era:?}");

        bench.acknowledge("api", Health::Using).await;
        bench.ended(PhaseName::Done).await;
        assert_eq!(bench.states(), [State::Deleted, State::Enabled], "{era:?}");
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_have_the_old_key_back_without_a_rollback() {
    let mut bench = Bench::prepare(rules(Era::November2026), Start::WithKey).await;
    bench.agree(|terms| terms.quarantine = SignedDuration::from_mins(1));
    bench.live().await;
    bench.reaches(PhaseName::Quarantine).await;
    bench.order(Wish::Reinstate).await.unwrap();
    let report = bench.told("it is parked", |report| parked(report) == Some(ParkReason::Reinstated)).await;
    assert_eq!(detail(&report), "asked by a test");
    assert_eq!(bench.states(), [State::Enabled, State::Enabled]);
    let refused = bench.order(Wish::Reinstate).await.unwrap_err().to_string();
    assert!(refused.contains("is in phase `parked`"), "{refused}");
    bench.revise(|terms| terms.quarantine = SignedDuration::from_millis(200)).await;
    bench.order(Wish::Retry { overwrite: false }).await.unwrap();
    bench.ended(PhaseName::Done).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlap_that_goes_on_after_a_lost_answer_goes_on_with_a_key_that_works() {
    let mut bench = Bench::prepare(rules(Era::November2026), Start::WithKey).await;
    bench.sandbox.set_faults(vec![Fault::on(Route::DisableKey, What::LostReply(Moment::After)).times(1)]);
    bench.live().await;
    bench
        .told("the answer was lost", |report| {
            is_in(PhaseName::Disabling)(report)
                && report.rotation.as_ref().is_some_and(|it| it.trouble.is_some())
        })
        .await;
    assert_eq!(bench.states(), [State::Disabled, State::Enabled]);
    bench.acknowledge("api", Health::Failing).await;
    bench.told("it is withheld", is_in(PhaseName::Overlap)).await;
    assert_eq!(bench.states(), [State::Enabled, State::Enabled]);
    bench.acknowledge("api", Health::Using).await;
    bench.ended(PhaseName::Done).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_waits_until_every_instance_reports_the_old_key_again() {
    let instances = Instances::start(vec![reporting("none yet"); 2]).await;
    let mut bench = Bench::prepare(rules(Era::November2026), Start::WithoutKey).await;
    bench.ask_by(ResolvedProber(instances.addresses.clone()));
    bench.live().await;
    bench.done(1).await;
    let old = bench.served().unwrap().fingerprint();
    let probe = instances.probe("http", "api.example", Reads::JsonPointer("/key".to_owned()));
    bench.revise(|terms| terms.gates = vec![Gate::Probes(vec![probe])]).await;
    bench.order(Wish::Rotate).await.unwrap();
    bench.reaches(PhaseName::Overlap).await;
    let new = bench.served().unwrap().fingerprint();
    bench.order(Wish::RollBack).await.unwrap();
    instances.say(0, reporting(&old));
    instances.say(1, reporting(&new));
    bench.reaches(PhaseName::Returning).await;
    let asked = instances.heard().len();
    let begun = Instant::now();
    while instances.heard().len() < asked + 4 {
        assert!(begun.elapsed() < Duration::from_secs(15), "they are not asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.states(), [State::Enabled, State::Enabled], "one still has the new key");
    instances.say(1, reporting(&old));
    bench.ended(PhaseName::RolledBack).await;
    assert_eq!(bench.states(), [State::Enabled, State::Deleted]);
    bench.stop().await;
}
