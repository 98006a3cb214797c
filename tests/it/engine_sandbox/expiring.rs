//! Keys that expire: the provider's listing is what counts, whoever set the expiry.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use rekeyd::domain::event::Event;
use rekeyd::domain::notification::Severity;
use rekeyd::domain::notification::alerts::{AlertInputs, AlertSet};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::Reason;
use rekeyd::domain::report::{CredentialReport, StatusReport};
use rekeyd::domain::schedule::Cadence;
use rekeyd::engine::Command;
use rekeyd::ports::clock::Clock;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::key::State;
use rekeyd::telemetry::observation::Detail;

use super::clock::{BRISK, LaterClock};
use super::harness::{Harness, Start};
use super::leaks::nobody;
use super::rules;
use crate::support::{promtool, scrape};

const DAYS: SignedDuration = SignedDuration::from_hours(24);

impl Harness {
    fn expire(&self, key: &str, after: SignedDuration) {
        let now = self.clock.now();
        let at = (now + after).as_second();
        let change = |settings: &mut rekeyd::sandbox::settings::Settings| settings.expires_at = Some(at);
        self.sandbox.workspace().change_key(key, now, change).unwrap();
    }
}

async fn later(clock: &Arc<LaterClock>) -> Harness {
    let (clock, rules) = (Arc::clone(clock) as Arc<dyn Clock>, rules(ApiVersion::November2026));
    Harness::prepare_on(clock, BRISK, rules, Start::WithoutKey).await
}

#[tokio::test]
async fn an_expiry_that_a_person_sets_is_taken_over_and_the_key_is_replaced_before() {
    let clock = Arc::new(LaterClock::default());
    let mut harness = later(&clock).await;
    harness.change = |credential| credential.schedule.cadence = Cadence::Every(DAYS * 365);
    harness.live().await;
    harness.done(1).await;
    let before = harness.told("the next is planned", |report| report.next_due.is_some()).await;
    assert_eq!(before.key_expires_at, None);
    let key = harness.key(0);
    clock.pass(DAYS * 10);

    harness.expire(&key, DAYS * 30);
    harness.inspect().await;
    let told = harness.told("the expiry is on record", |report| report.key_expires_at.is_some()).await;
    assert!(told.due_by_expiry && told.next_due < before.next_due, "{told:?}");
    assert!(
        told.next_due < told.key_expires_at && told.summary.contains("before the key expires"),
        "{told:?}"
    );

    harness.expire(&key, SignedDuration::from_hours(20));
    harness.inspect().await;
    harness.done(2).await;
    let reasons: Vec<Reason> = harness.events().await.into_iter().filter_map(begun).collect();
    assert!(reasons.contains(&Reason::Expiry), "{reasons:?}");
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    harness.stop().await;
}

fn begun(event: Event) -> Option<Reason> {
    if let Event::Begun(plan) = event { Some(plan.reason) } else { None }
}

#[tokio::test]
async fn a_daemon_that_returns_after_the_old_key_has_expired_finishes_the_rotation() {
    for quarantined in [false, true] {
        let clock = Arc::new(LaterClock::default());
        let mut harness = later(&clock).await;
        harness.change = |credential| {
            credential.expire_old_key = Some(SignedDuration::from_hours(2));
            credential.schedule.cadence = Cadence::Every(DAYS * 365);
        };
        harness.live().await;
        harness.done(1).await;
        let waits_in = if quarantined { PhaseName::Quarantine } else { PhaseName::Overlap };
        harness
            .revise(|terms| {
                terms.gates = if quarantined { vec![] } else { nobody() };
                terms.quarantine = SignedDuration::from_hours(1);
            })
            .await;
        harness.request(Command::Rotate).await.unwrap();
        harness.reaches(waits_in).await;
        harness
            .told("the old key expires", |report| {
                report.rotation.as_ref().is_some_and(|it| it.old_key_expires_at.is_some())
            })
            .await;
        let served = harness.served().unwrap();
        harness.stop_controller().await;

        clock.pass(DAYS * 3);
        harness.agree(|terms| {
            terms.gates = vec![];
            terms.quarantine = SignedDuration::from_millis(200);
        });
        harness.live().await;
        harness.done(2).await;
        assert_eq!(harness.served().unwrap().fingerprint(), served.fingerprint());
        assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
        harness.stop().await;
    }
}

/// The alerts of these conditions, as notifications name them.
fn paged(harness: &Harness, report: &CredentialReport) -> Vec<String> {
    let now = harness.clock.now();
    let set = AlertSet::new(AlertInputs {
        report: &StatusReport::new(vec![report.clone()], now),
        workspaces: &BTreeMap::new(),
        reload_refused: None,
        is_alive: true,
        now,
    });
    let pages = set.alerts.into_iter().filter(|alert| alert.severity == Severity::Page);
    pages.map(|alert| format!("{} #{}", alert.reason, alert.anchor)).collect()
}

#[tokio::test]
async fn a_published_key_that_would_expire_before_a_silent_consumer_switches_is_told_a_day_before() {
    let clock = Arc::new(LaterClock::default());
    let mut harness = later(&clock).await;
    harness.change = |credential| {
        credential.key_lifetime = Some(DAYS * 8);
        credential.expire_old_key = Some(DAYS);
        credential.schedule.cadence = Cadence::Every(DAYS * 365);
    };
    harness.live().await;
    harness.done(1).await;
    harness.revise(|terms| terms.gates = nobody()).await;
    // The next key lives longer than the one on record, whose own expiry is moved on.
    clock.pass(DAYS * 3);
    harness.request(Command::Rotate).await.unwrap();
    let is_set = |report: &CredentialReport| {
        report.rotation.as_ref().is_some_and(|it| it.old_key_expires_at.is_some() && it.deadline.is_some())
    };
    let begun = harness.told("the old key's expiry is set", is_set).await;
    let ends = begun.rotation.as_ref().unwrap().new_key_expires_at.unwrap();
    assert!(begun.key_expires_at < Some(ends), "each key has its own: {begun:?}");
    assert_eq!(paged(&harness, &begun), [""; 0]);

    let is_moved = |report: &CredentialReport| {
        report.key_expires_at.is_some_and(|at| at.duration_since(clock.now()) > DAYS * 3 / 4)
    };
    while ends.duration_since(clock.now()) > DAYS + DAYS / 2 {
        clock.pass(DAYS / 2);
        let now = clock.now();
        let report = harness.told("the old key is kept alive", is_moved).await;
        let late = report.rotation.as_ref().unwrap().deadline.is_some_and(|deadline| deadline < now);
        assert!(late && report.summary.contains("past its deadline"), "{report:?}");
        assert_eq!(paged(&harness, &report), [""; 0], "{} at {now}", report.summary);
    }
    clock.pass(DAYS / 2);
    let is_told = |report: &CredentialReport| is_moved(report) && report.expires_soon(clock.now()).is_some();
    let report = harness.told("the published key is told", is_told).await;
    assert!(report.attention && report.summary.starts_with("the new key expires in "), "{report:?}");
    assert_eq!(paged(&harness, &report), ["expires_soon #rekeydnewkeyexpiressoon"]);
    assert_eq!(harness.states().last_chunk(), Some(&[State::Enabled, State::Enabled]));
    let scraped = scrape::of(StatusReport::new(vec![report], clock.now()), Detail::MostSevere);
    let seconds = clock.now().as_second();
    let raised = promtool::firing(&scraped, &scraped, seconds as f64);
    assert!(raised.iter().any(|it| it.contains("RekeydNewKeyExpiresSoon")), "{raised:?}");
    assert!(!raised.iter().any(|it| it.contains("RekeydKeyExpire")), "the old key is kept alive: {raised:?}");

    // The old key is served again, before the new one is refused.
    harness.request(Command::RollBack).await.unwrap();
    harness.reaches(PhaseName::Returning).await;
    clock.pass(DAYS);
    harness.told("the new key is gone by itself", |report| report.expired(clock.now()).is_some()).await;
    harness.stop().await;
}

#[tokio::test]
async fn an_old_key_that_expires_before_rekeyd_would_have_it_keeps_its_own_expiry() {
    let clock = Arc::new(LaterClock::default());
    let mut harness = later(&clock).await;
    harness.change = |credential| {
        credential.expire_old_key = Some(SignedDuration::from_hours(2));
        credential.schedule.cadence = Cadence::Every(DAYS * 365);
    };
    harness.live().await;
    harness.done(1).await;
    harness.expire(&harness.key(0), SignedDuration::from_hours(1));
    harness.request(Command::Rotate).await.unwrap();
    harness.done(2).await;
    let left = |event: &Event| matches!(event, Event::ExpirySettled { in_force: false, .. });
    assert!(harness.events().await.iter().any(left));
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    harness.stop().await;
}
