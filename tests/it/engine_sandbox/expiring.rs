//! Keys that expire: the provider's listing is what counts, whoever set the expiry.

use std::sync::Arc;

use jiff::SignedDuration;
use rekeyd::domain::event::Event;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::Reason;
use rekeyd::domain::schedule::Cadence;
use rekeyd::engine::Command;
use rekeyd::ports::clock::Clock;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::key::State;

use super::clock::{BRISK, LaterClock};
use super::harness::{Harness, Start};
use super::leaks::nobody;
use super::rules;

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
