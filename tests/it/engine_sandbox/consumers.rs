//! What consumers show and say decides: nothing is revoked that is in use, and what was disabled comes back.

use jiff::SignedDuration;
use rekeyd::adapters::prober::ResolvedProber;
use rekeyd::domain::ack::Health;
use rekeyd::domain::gate::probes::Reads;
use rekeyd::domain::gate::{Gate, GateName};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::AfterDeadline;
use rekeyd::domain::report::CredentialReport;
use rekeyd::domain::rotation::ParkReason;
use rekeyd::engine::Command;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, Moment, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use std::time::{Duration, Instant};

use super::harness::{Harness, Start};
use super::{API_VERSIONS, rules};
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

/// A harness whose credential is probed at two instances, in the overlap of its first rotation.
async fn probed() -> (Harness, Instances) {
    let nothing = Says::body(r#"{"key": "none yet"}"#);
    let instances = Instances::start(vec![nothing; 2]).await;
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    harness.ask_by(ResolvedProber(instances.addresses.clone()));
    let probe = instances.probe("http", "api.example", Reads::JsonPointer("/key".to_owned()));
    harness.agree(|terms| {
        terms.gates = vec![Gate::Probes(vec![probe])];
        terms.quarantine = SignedDuration::from_secs(3);
    });
    harness.live().await;
    harness.reaches(PhaseName::Overlap).await;
    (harness, instances)
}

fn reporting(text: impl std::fmt::Display) -> Says {
    Says::body(&format!(r#"{{"key": "{text}"}}"#))
}

impl Harness {
    /// Everything that the journal's files hold.
    fn journalled(&self) -> Vec<u8> {
        let files = ["journal.db", "journal.db-wal"].map(|file| self.folder.path().join(file));
        files.iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_key_stays_until_every_instance_reports_the_new_one_and_the_straggler_is_named() {
    let (harness, instances) = probed().await;
    let new = harness.served().unwrap();
    // One tells its key itself, instead of the fingerprint.
    instances.say(0, reporting(new.expose()));
    instances.say(1, reporting(new.fingerprint()));
    let gate = |report: &CredentialReport| report.rotation.as_ref().unwrap().gates.last().unwrap().clone();
    let alone = "api at 127.0.0.2";
    let is_alone = |report: &CredentialReport| {
        let waiting_on = gate(report).waiting_on;
        waiting_on.len() == 1 && waiting_on[0].who == alone
    };
    let report = harness.told("one straggler", is_alone).await;
    let straggler = gate(&report).waiting_on.remove(0);
    assert_eq!(straggler.why, "reports neither the new nor the old key");
    assert_eq!(harness.calls(Route::DisableKey), 0);
    let value = new.expose().as_bytes();
    assert!(
        !harness.journalled().windows(value.len()).any(|bytes| bytes == value),
        "the key is in the journal"
    );
    assert!(!serde_json::to_string(&report).unwrap().contains(new.expose()));

    // It is down, then it is back with the new key.
    instances.say(0, Says::Bytes(vec![]));
    let odd = "its answer broke off, or is no HTTP";
    harness.told("it is down", |report| gate(report).waiting_on.iter().any(|it| it.why == odd)).await;
    instances.say(0, reporting(new.fingerprint()));
    harness.ended(PhaseName::Done).await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_turns_red_in_the_quarantine_has_the_old_key_enabled_again() {
    let (harness, instances) = probed().await;
    let new = harness.served().unwrap().fingerprint();
    let all_say = |says: Says| [0, 1].map(|index| instances.say(index, says.clone()));
    all_say(reporting(&new));
    harness.reaches(PhaseName::Quarantine).await;
    assert_eq!(harness.states(), [State::Disabled, State::Enabled]);
    let begun = Instant::now();
    instances.say(1, Says::status("500 Internal Server Error"));
    let report = harness.told("it is parked", |report| parked(report) == Some(ParkReason::ProbeRed)).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(detail(&report), "api at 127.0.0.3 it answers with HTTP 500");
    assert_eq!(harness.states(), [State::Enabled, State::Enabled]);

    all_say(reporting(&new));
    harness.request(Command::Retry { overwrite: false }).await.unwrap();
    harness.reaches(PhaseName::Overlap).await;
    harness.request(Command::Confirm).await.unwrap();
    harness.ended(PhaseName::Done).await;
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_red_round_is_no_alarm_and_ends_no_quarantine() {
    let (harness, instances) = probed().await;
    let new = harness.served().unwrap().fingerprint();
    let all_say = |says: Says| [0, 1].map(|index| instances.say(index, says.clone()));
    all_say(reporting(&new));
    harness.reaches(PhaseName::Quarantine).await;
    let asked = instances.heard().len();
    instances.say(0, Says::Bytes(vec![]));
    while instances.heard().len() < asked + 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    instances.say(0, reporting(&new));
    harness.ended(PhaseName::Done).await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_fails_in_the_quarantine_has_its_key_back_and_keeps_it_while_it_fails() {
    for api_version in API_VERSIONS {
        let mut harness = Harness::prepare(rules(api_version), Start::WithKey).await;
        harness.agree(|terms| {
            terms.quarantine = SignedDuration::from_mins(1);
            terms.at_most = SignedDuration::from_secs(2);
            terms.then = AfterDeadline::Revoke;
        });
        harness.live().await;
        harness.reaches(PhaseName::Quarantine).await;
        let begun = Instant::now();
        harness.acknowledge("api", Health::Failing).await;
        let failing = Some(ParkReason::ConsumerFailing);
        let report = harness.told("it is parked", |report| parked(report) == failing).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{api_version:?}: {:?}", begun.elapsed());
        assert!(detail(&report).starts_with("api reports since"), "{}", detail(&report));
        assert_eq!(harness.states(), [State::Enabled, State::Enabled], "{api_version:?}");

        // It goes on failing, long after the overlap has lasted its longest: the policy's `revoke` does not count.
        harness.revise(|terms| terms.quarantine = SignedDuration::from_millis(200)).await;
        harness.request(Command::Retry { overwrite: false }).await.unwrap();
        let waiting = harness.told("it waits", is_in(PhaseName::Overlap)).await;
        let gates = waiting.rotation.unwrap().gates;
        let shut = gates.into_iter().find(|gate| gate.gate == GateName::Failing).unwrap();
        assert_eq!((shut.satisfied, shut.waiting_on[0].who.as_str()), (false, "api"), "{api_version:?}");
        harness.request(Command::Confirm).await.unwrap();
        let deadline = begun + Duration::from_secs(4);
        harness
            .told("the deadline is behind", |report| {
                assert_eq!(report.phase(), Some(PhaseName::Overlap), "{api_version:?}");
                Instant::now() > deadline
            })
            .await;
        assert_eq!(harness.states(), [State::Enabled, State::Enabled], "{api_version:?}");

        harness.acknowledge("api", Health::Using).await;
        harness.ended(PhaseName::Done).await;
        assert_eq!(harness.states(), [State::Deleted, State::Enabled], "{api_version:?}");
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_have_the_old_key_back_without_a_rollback() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    harness.agree(|terms| terms.quarantine = SignedDuration::from_mins(1));
    harness.live().await;
    harness.reaches(PhaseName::Quarantine).await;
    harness.request(Command::Reinstate).await.unwrap();
    let report = harness.told("it is parked", |report| parked(report) == Some(ParkReason::Reinstated)).await;
    assert_eq!(detail(&report), "asked by a test");
    assert_eq!(harness.states(), [State::Enabled, State::Enabled]);
    let refused = harness.request(Command::Reinstate).await.unwrap_err().to_string();
    assert!(refused.contains("is in phase `parked`"), "{refused}");
    harness.revise(|terms| terms.quarantine = SignedDuration::from_millis(200)).await;
    harness.request(Command::Retry { overwrite: false }).await.unwrap();
    harness.reaches(PhaseName::Overlap).await;
    harness.request(Command::Confirm).await.unwrap();
    harness.ended(PhaseName::Done).await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlap_that_goes_on_after_a_lost_answer_goes_on_with_a_key_that_works() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    harness.sandbox.set_faults(vec![Fault::on(Route::DisableKey, What::LostReply(Moment::After)).times(1)]);
    harness.live().await;
    harness
        .told("the answer was lost", |report| {
            is_in(PhaseName::Disabling)(report)
                && report.rotation.as_ref().is_some_and(|it| it.last_failure.is_some())
        })
        .await;
    assert_eq!(harness.states(), [State::Disabled, State::Enabled]);
    harness.acknowledge("api", Health::Failing).await;
    harness.told("it is withheld", is_in(PhaseName::Overlap)).await;
    assert_eq!(harness.states(), [State::Enabled, State::Enabled]);
    harness.acknowledge("api", Health::Using).await;
    harness.ended(PhaseName::Done).await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_waits_until_every_instance_reports_the_old_key_again() {
    let instances = Instances::start(vec![reporting("none yet"); 2]).await;
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithoutKey).await;
    harness.ask_by(ResolvedProber(instances.addresses.clone()));
    harness.live().await;
    harness.done(1).await;
    let old = harness.served().unwrap().fingerprint();
    let probe = instances.probe("http", "api.example", Reads::JsonPointer("/key".to_owned()));
    harness.revise(|terms| terms.gates = vec![Gate::Probes(vec![probe])]).await;
    harness.request(Command::Rotate).await.unwrap();
    harness.reaches(PhaseName::Overlap).await;
    let new = harness.served().unwrap().fingerprint();
    harness.request(Command::RollBack).await.unwrap();
    instances.say(0, reporting(&old));
    instances.say(1, reporting(&new));
    harness.reaches(PhaseName::Returning).await;
    let asked = instances.heard().len();
    let begun = Instant::now();
    while instances.heard().len() < asked + 4 {
        assert!(begun.elapsed() < Duration::from_secs(15), "they are not asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(harness.states(), [State::Enabled, State::Enabled], "one still has the new key");
    instances.say(1, reporting(&old));
    harness.ended(PhaseName::RolledBack).await;
    assert_eq!(harness.states(), [State::Enabled, State::Deleted]);
    harness.stop().await;
}
