//! Every gate, by tables.

use super::*;
use crate::domain::ack::Health;
use crate::domain::gate::confirm::ConfirmWhen;
use crate::domain::gate::probes::{Instance, InstanceReport, Probe, Reads};
use crate::domain::plan::{AfterDeadline, RevocationPolicy};
use crate::domain::usage::{KeyUse, Source};

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
}

fn terms(gates: Vec<Gate>) -> RevocationPolicy {
    RevocationPolicy {
        at_least: SignedDuration::from_hours(2),
        at_most: SignedDuration::from_hours(10),
        then: AfterDeadline::Hold,
        gates,
        confirm: ConfirmWhen::Never,
        acks_valid_for: None,
        canary: None,
        quarantine: SignedDuration::from_hours(1),
    }
}

fn awaited(consumers: &[&str]) -> Vec<Gate> {
    vec![Gate::Acks(consumers.iter().map(|name| ConsumerName::new(*name).unwrap()).collect())]
}

fn ack(consumer: &str, value: &str, hour: i64) -> Ack {
    let consumer = ConsumerName::new(consumer).unwrap();
    let fingerprint = Fingerprint::of(value.as_bytes());
    Ack { consumer, fingerprint, health: Health::Using, since: at(hour), at: at(hour) }
}

fn failing_ack(consumer: &str, value: &str, hour: i64) -> Ack {
    Ack { health: Health::Failing, ..ack(consumer, value, hour) }
}

fn judged(terms: &RevocationPolicy, acks: Vec<Ack>, observed: Observations, now: i64) -> Vec<Verdict> {
    let evidence = Evidence { acks, observed };
    let (new, is_awaited) = (&Fingerprint::of(b"new"), &|_: &ConsumerName| true);
    judge_all(&Facts { terms, new, evidence: &evidence, since: at(0), now: at(now), is_awaited }, None)
}

fn names_of_shut(verdicts: Vec<Verdict>) -> Vec<GateName> {
    verdicts.into_iter().filter(|verdict| !verdict.satisfied).map(|verdict| verdict.gate).collect()
}

/// Judges at `now` with an overlap that began at hour 0, and says which gates are shut.
fn shut_gates(consumers: &[&str], acks: Vec<Ack>, now: i64) -> Vec<GateName> {
    names_of_shut(judged(&terms(awaited(consumers)), acks, Observations::default(), now))
}

#[test]
fn every_gate_must_be_open() {
    use GateName::{Acks, AtLeast};
    assert_eq!(shut_gates(&["api"], vec![], 0), [AtLeast, Acks]);
    assert_eq!(shut_gates(&["api"], vec![], 2), [Acks]);
    assert_eq!(shut_gates(&["api"], vec![ack("api", "new", 1)], 1), [AtLeast]);
    assert_eq!(shut_gates(&["api"], vec![ack("api", "new", 1)], 2), []);
    assert_eq!(shut_gates(&["api", "batch"], vec![ack("api", "new", 1)], 9), [Acks]);
    assert_eq!(shut_gates(&["api"], vec![ack("api", "old", 1)], 9), [Acks]);
    assert_eq!(shut_gates(&["api"], vec![ack("batch", "new", 1)], 9), [Acks]);
}

#[test]
fn a_consumer_that_went_back_to_the_old_key_is_a_straggler_again() {
    let back = vec![ack("api", "new", 1), ack("api", "old", 2)];
    assert_eq!(shut_gates(&["api"], back, 9), [GateName::Acks]);
}

#[test]
fn lagging_consumers_are_named() {
    let acks = vec![ack("api", "old", 1)];
    let verdicts = judged(&terms(awaited(&["api", "batch"])), acks, Observations::default(), 3);
    assert!(verdicts[1].reason.contains("api (last acknowledged"), "{verdicts:?}");
    assert!(verdicts[1].reason.contains("batch (never"), "{verdicts:?}");
    let who: Vec<_> = verdicts[1].waiting_on.iter().map(|it| (it.who.as_str(), it.last)).collect();
    assert_eq!(who, [("api", Some(at(1))), ("batch", None)]);
}

#[test]
fn an_acknowledgement_grows_stale_where_the_policy_says_so() {
    let limited =
        RevocationPolicy { acks_valid_for: Some(SignedDuration::from_hours(3)), ..terms(awaited(&["api"])) };
    let shut =
        |hour| names_of_shut(judged(&limited, vec![ack("api", "new", 1)], Observations::default(), hour));
    assert_eq!(shut(4), []);
    assert_eq!(shut(5), [GateName::Acks]);
    assert_eq!(shut_gates(&["api"], vec![ack("api", "new", 1)], 5), []);
}

#[test]
fn a_consumer_that_fails_shuts_a_gate_that_no_policy_can_leave_out() {
    let acks = vec![failing_ack("nobody-waits-for", "new", 1)];
    let verdicts = judged(&terms(vec![]), acks, Observations::default(), 9);
    assert!(is_anyone_failing(&verdicts));
    assert_eq!(names_of_shut(verdicts), [GateName::Failing]);
    let long_ago = vec![failing_ack("api", "old", -1)];
    assert!(!is_anyone_failing(&judged(&terms(vec![]), long_ago, Observations::default(), 9)));
    // Of two destinations, one may have served the new key for hours before the other one does.
    let before_all_served_it = vec![failing_ack("api", "new", -1)];
    assert!(is_anyone_failing(&judged(
        &terms(vec![]),
        before_all_served_it.clone(),
        Observations::default(),
        9
    )));
    let way_back = Observations { way_back: true, ..Observations::default() };
    assert!(!is_anyone_failing(&judged(&terms(vec![]), before_all_served_it, way_back, 9)));
    assert_eq!(
        shut_gates(&["api"], vec![failing_ack("api", "new", 1)], 9),
        [GateName::Failing, GateName::Acks]
    );
}

fn seen(old: Option<i64>, new: Option<i64>) -> SourceEvidence {
    let shown = |hour: Option<i64>| KeyUse { last: hour.map(at), amount: 7, spots: Vec::new() };
    SourceEvidence {
        answered_at: Some(at(8)),
        covers_from: Some(at(0)),
        old: shown(old),
        new: shown(new),
        newest: new.map(at),
        delay: SignedDuration::from_hours(1),
        ..SourceEvidence::nothing(Source::UsageByKey)
    }
}

/// Whether the gate `idle = "2h"` is open at hour 8, a source being an hour late.
fn idle(when_unknown: WhenUnknown, usage: Vec<SourceEvidence>) -> bool {
    let idle = Idle { quiet: SignedDuration::from_hours(2), when_unknown };
    let observed = Observations { usage, ..Observations::default() };
    names_of_shut(judged(&terms(vec![Gate::Idle(idle)]), vec![], observed, 8)).is_empty()
}

#[test]
fn unknown_is_never_idle() {
    for (case, usage, opens) in [
        ("nothing was asked", vec![], false),
        ("no use of the new key", vec![seen(Some(1), None)], false),
        ("use of the new key, but too long ago", vec![seen(Some(1), Some(5))], false),
        ("it was seen to look", vec![seen(Some(1), Some(7))], true),
        ("it was seen to look, and never showed the old key", vec![seen(None, Some(7))], true),
        ("the old key was used within the quiet time", vec![seen(Some(7), Some(7))], false),
        ("the old key was used within the source's delay", vec![seen(Some(6), Some(7))], false),
        ("one source is blind, one is not", vec![seen(None, None), seen(Some(1), Some(7))], true),
        ("one source shows use, one does not", vec![seen(Some(7), None), seen(Some(1), Some(7))], false),
        (
            "it has fallen silent",
            vec![SourceEvidence { blind: Some("500".into()), ..seen(Some(1), Some(7)) }],
            false,
        ),
        ("a gap", vec![SourceEvidence { covers_from: Some(at(6)), ..seen(Some(1), Some(7)) }], false),
        ("an old answer", vec![SourceEvidence { answered_at: Some(at(7)), ..seen(Some(1), Some(6)) }], false),
    ] {
        assert_eq!(idle(WhenUnknown::Hold, usage), opens, "{case}");
    }
}

#[test]
fn a_policy_may_let_the_time_decide_where_nothing_is_known_but_never_against_evidence() {
    assert!(idle(WhenUnknown::Time, vec![]));
    assert!(idle(WhenUnknown::Time, vec![seen(None, None)]));
    assert!(!idle(WhenUnknown::Time, vec![seen(Some(7), None)]));
}

fn finding(says: &[InstanceReport]) -> Observations {
    let instance = |(number, says): (usize, &InstanceReport)| Instance {
        address: format!("10.0.0.{number}"),
        says: says.clone(),
    };
    let instances = says.iter().enumerate().map(instance).collect();
    let finding = ProbeRound { probe: "api".into(), at: at(8), instances, red_rounds: 0 };
    Observations { probes: vec![finding], ..Observations::default() }
}

#[test]
fn every_instance_behind_a_probe_must_report_the_new_key() {
    let probe =
        Probe { name: "api".into(), url: "http://api/".into(), reads: Reads::Body, every_address: true };
    let gate = terms(vec![Gate::Probes(vec![probe])]);
    let shut = |says: &[InstanceReport]| !names_of_shut(judged(&gate, vec![], finding(says), 8)).is_empty();
    assert!(!shut(&[InstanceReport::TheNewKey, InstanceReport::TheNewKey]));
    assert!(shut(&[]));
    assert!(shut(&[InstanceReport::TheNewKey, InstanceReport::TheOldKey]));
    assert!(shut(&[InstanceReport::TheNewKey, InstanceReport::SomethingElse]));
    assert!(shut(&[InstanceReport::Nothing("no answer".into())]));
    let verdicts = judged(&gate, vec![], finding(&[InstanceReport::TheNewKey, InstanceReport::TheOldKey]), 8);
    assert_eq!(verdicts[1].waiting_on[0].who, "api at 10.0.0.1");
}

#[test]
fn a_command_must_have_agreed_lately() {
    let command = CommandGate { command: vec!["/bin/true".into()], time_limit: SignedDuration::from_secs(9) };
    let gate = terms(vec![Gate::Command(command)]);
    let shut = |ran: Option<(i64, bool)>| {
        let command = ran.map(|(hour, agreed)| CommandRun { at: at(hour), agreed, how: "exit code".into() });
        let observed = Observations { command, ..Observations::default() };
        !names_of_shut(judged(&gate, vec![], observed, 8)).is_empty()
    };
    assert!(shut(None) && shut(Some((8, false))) && shut(Some((7, true))));
    assert!(!shut(Some((8, true))));
}

#[test]
fn a_gate_has_one_name_in_the_journal_in_labels_and_in_verdicts() {
    let probe =
        Probe { name: "api".into(), url: "http://api/".into(), reads: Reads::Body, every_address: false };
    let command = CommandGate { command: vec!["/bin/true".into()], time_limit: SignedDuration::from_secs(9) };
    let idle = Idle { quiet: SignedDuration::from_hours(2), when_unknown: WhenUnknown::Hold };
    let gates = [
        awaited(&["api"]),
        vec![Gate::Idle(idle), Gate::NewKeyUsed, Gate::Probes(vec![probe]), Gate::Command(command)],
    ]
    .concat();
    let verdicts = judged(&terms(gates.clone()), vec![], Observations::default(), 9);
    assert_eq!(verdicts[0].gate.label(), "at_least");
    for (gate, verdict) in gates.iter().zip(&verdicts[1..]) {
        let written = serde_json::to_value(gate).unwrap();
        let tag = written.as_str().or_else(|| written.as_object()?.keys().next().map(String::as_str));
        assert_eq!(tag, Some(verdict.gate.label()));
        assert_eq!(serde_json::json!(verdict.gate), verdict.gate.label());
        assert_eq!(serde_json::from_value::<Gate>(written).unwrap(), *gate);
    }
}

#[test]
fn on_the_way_back_only_those_are_waited_for_who_have_something_to_go_back_from() {
    let (old, new) = (Fingerprint::of(b"old"), Fingerprint::of(b"new"));
    let judged = |acks: Vec<Ack>| {
        let evidence =
            Evidence { acks, observed: Observations { way_back: true, ..Observations::default() } };
        let switched = |consumer: &ConsumerName| {
            evidence.acks.iter().any(|ack| ack.consumer == *consumer && ack.fingerprint == new)
        };
        let terms = terms(awaited(&["api", "batch"]));
        let facts = Facts {
            terms: &terms,
            new: &old,
            evidence: &evidence,
            since: at(0),
            now: at(9),
            is_awaited: &switched,
        };
        judge_all(&facts, None).into_iter().find(|it| it.gate == GateName::Acks).unwrap()
    };
    assert!(judged(vec![]).satisfied);
    let one_switched = judged(vec![ack("api", "new", 1)]);
    let who: Vec<&str> = one_switched.waiting_on.iter().map(|it| it.who.as_str()).collect();
    assert_eq!(who, ["api"]);
}
