//! Gates on the provider's evidence: a straggler is named and waited for, what is unknown is not idle, and the old key
//! is never used by rekeyd. A minute passes in a second.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::event::Event;
use rekeyd::domain::gate::{self, Evidence, Gate, GateName, Idle, Verdict, WhenUnknown};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::secret::SecretValue;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::truth::KeyTruth;

use super::harness::{Harness, Start, name};

const QUIET: SignedDuration = SignedDuration::from_mins(3);
const LONGEST: Duration = Duration::from_secs(60);

fn idle(when_unknown: WhenUnknown) -> Gate {
    Gate::Idle(Idle { quiet: QUIET, when_unknown })
}

fn of(verdicts: &[Verdict], gate: GateName) -> &Verdict {
    verdicts.iter().find(|verdict| verdict.gate == gate).unwrap()
}

/// Consumers of a harness whose first key was there before.
struct Consumers {
    harness: Harness,
    old: SecretValue,
    http: reqwest::Client,
}

impl Consumers {
    async fn start(rules: Rules, gates: Vec<Gate>) -> Self {
        let mut harness = Harness::hurried(rules, Start::WithKey).await;
        let old = harness.sandbox.workspace().values().nth(1).unwrap().to_owned();
        harness.agree(|terms| {
            terms.at_least = SignedDuration::from_mins(1);
            terms.at_most = SignedDuration::from_hours(24);
            terms.quarantine = SignedDuration::from_mins(1);
            terms.gates = gates;
        });
        harness.live().await;
        harness.reaches(PhaseName::Overlap).await;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        Self { harness, old: SecretValue::new(old).unwrap(), http }
    }

    /// A call as `source`; when it was made.
    async fn speak(&self, value: &SecretValue, source: &str) -> Timestamp {
        let url = format!("{}/v1/text-to-speech/rachel", self.harness.sandbox.base_url());
        let request = self.http.post(url).header("xi-api-key", value.expose());
        let request = request.header("x-request-source", source);
        let at = self.harness.clock.now();
        let answer = request.json(&serde_json::json!({"text": "hello"})).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{source} is refused");
        at
    }

    /// Those that have switched.
    async fn work(&self) {
        self.speak(&self.harness.served().unwrap(), "api").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    async fn phase(&self) -> Option<PhaseName> {
        self.harness.known().await.rotation.map(|rotation| rotation.phase.name())
    }

    fn old_key(&self) -> KeyTruth {
        self.harness.sandbox.truth().keys().next().unwrap().clone()
    }
}

impl Harness {
    /// What the gates of the open rotation say of what was observed last.
    pub(super) async fn verdicts(&self) -> Vec<Verdict> {
        let rotation = self.known().await.rotation.unwrap();
        let observed = self.journal.observed(&name(), rotation.plan.rotation).await.unwrap();
        let evidence = Evidence { acks: Vec::new(), observed: observed.unwrap_or_default() };
        gate::judge(&rotation, &evidence, rotation.overlap_since(), self.clock.now())
    }
}

#[tokio::test]
async fn a_straggler_is_named_and_holds_the_old_key_until_it_has_stopped() {
    let rules = Rules { usage_lag: SignedDuration::from_secs(30), ..Rules::default() };
    let gates = vec![idle(WhenUnknown::Hold), Gate::NewKeyUsed];
    let consumers = Consumers::start(rules, gates).await;
    let begun = consumers.harness.clock.now();
    let (mut last, mut named) = (begun, None);
    while consumers.harness.clock.now() < begun + SignedDuration::from_mins(8) {
        last = consumers.speak(&consumers.old, "nightly-batch").await;
        consumers.work().await;
        assert_eq!(consumers.phase().await, Some(PhaseName::Overlap));
        let verdicts = consumers.harness.verdicts().await;
        let verdict = of(&verdicts, GateName::Idle);
        assert!(!verdict.satisfied, "{verdict:?}");
        named = verdict.waiting_on.iter().find(|it| it.who == "usage_by_key").cloned().or(named);
    }
    let named = named.unwrap();
    assert!(named.about.iter().any(|about| about["request_source"] == "nightly-batch"), "{named:?}");
    assert!(named.about.iter().all(|about| about["request_source"] != "api"), "{named:?}");
    assert!(named.last.unwrap() > last - SignedDuration::from_mins(4), "{named:?}");
    assert!(named.amount.unwrap() > 0);

    let stopped = Instant::now();
    while consumers.old_key().state == State::Enabled {
        consumers.work().await;
        assert!(stopped.elapsed() < LONGEST, "{:#?}", consumers.harness.verdicts().await);
    }
    let disabled_at = consumers.old_key().changed_at;
    assert!(disabled_at.duration_since(last) >= QUIET, "used at {last}, disabled at {disabled_at}");
    consumers.harness.ended(PhaseName::Done).await;
    let released = consumers.harness.events().await.into_iter().find_map(|event| {
        let Event::Released { verdicts, forced } = event else { return None };
        Some((verdicts, forced))
    });
    let (verdicts, forced) = released.unwrap();
    assert!(!forced && verdicts.iter().all(|verdict| verdict.satisfied));
    let reason = &of(&verdicts, GateName::Idle).reason;
    assert!(reason.contains("usage_by_key shows its last use before"), "{reason}");
    let old = consumers.old_key();
    assert_eq!(old.callers.keys().collect::<Vec<_>>(), ["nightly-batch"]);
    assert_eq!(old.totals().1, 0, "{:?}", old.calls);
    consumers.harness.stop().await;
}

#[tokio::test]
async fn what_is_unknown_holds_the_old_key_unless_the_policy_lets_the_time_decide() {
    // In 2025 there are no analytics, and nobody uses the new key, so that its counter does not move either.
    let rules = Rules { api_version: ApiVersion::August2025, ..Rules::default() };
    let mut consumers = Consumers::start(rules, vec![idle(WhenUnknown::Hold)]).await;
    let begun = consumers.harness.clock.now();
    while consumers.harness.clock.now() < begun + SignedDuration::from_mins(6) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(consumers.phase().await, Some(PhaseName::Overlap));
    }
    let verdicts = consumers.harness.verdicts().await;
    let verdict = of(&verdicts, GateName::Idle);
    assert!(!verdict.satisfied && verdict.waiting_on.is_empty(), "{verdict:?}");
    for words in ["is unknown", "usage_by_key", "this workspace does not have it", "credit_counter"] {
        assert!(verdict.reason.contains(words), "{words}: {}", verdict.reason);
    }
    consumers.harness.revise(|terms| terms.gates = vec![idle(WhenUnknown::Time)]).await;
    consumers.harness.ended(PhaseName::Done).await;
    assert!(consumers.old_key().callers.is_empty(), "{:?}", consumers.old_key().callers);
    consumers.harness.stop().await;
}

#[tokio::test]
async fn a_canary_proves_that_the_source_looks_and_is_no_consumer() {
    let gates = vec![idle(WhenUnknown::Hold), Gate::NewKeyUsed];
    let mut consumers = Consumers::start(Rules::default(), gates).await;
    consumers.harness.revise(|terms| terms.canary = Some("rachel".to_owned())).await;
    let begun = Instant::now();
    loop {
        let verdicts = consumers.harness.verdicts().await;
        if of(&verdicts, GateName::Idle).satisfied {
            let shut = of(&verdicts, GateName::NewKeyUsed);
            assert!(!shut.satisfied, "{shut:?}");
            break;
        }
        assert!(begun.elapsed() < LONGEST, "{verdicts:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(consumers.phase().await, Some(PhaseName::Overlap));
    // A consumer's own use, apart from the canaries.
    while consumers.old_key().state == State::Enabled {
        consumers.work().await;
        assert!(begun.elapsed() < LONGEST * 2, "{:#?}", consumers.harness.verdicts().await);
    }
    let callers = consumers.harness.sandbox.truth().keys().last().unwrap().callers.clone();
    assert!(callers["rekeyd"] >= 1, "{callers:?}");
    assert!(consumers.old_key().callers.is_empty(), "{:?}", consumers.old_key().callers);
    consumers.harness.stop().await;
}
