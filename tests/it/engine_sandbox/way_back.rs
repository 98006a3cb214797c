//! Rollbacks and publications that are overtaken by what happens to the old key, against the sandbox.

use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::event::Event;
use rekeyd::domain::phase::{Phase, PhaseName};
use rekeyd::domain::policy::Credential;
use rekeyd::domain::rotation::ParkReason;
use rekeyd::domain::schedule::Freeze;
use rekeyd::engine::Wish;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::era::Era;
use rekeyd::sandbox::faults::{Fault, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;

use super::bench::{Bench, Start};
use super::leaks::overlapping;
use super::rules;

async fn returning() -> Bench {
    let bench = overlapping().await;
    bench.order(Wish::RollBack).await.unwrap();
    bench.reaches(PhaseName::Returning).await;
    bench
}

impl Bench {
    /// Ends, and begins again: what was only in memory is gone.
    async fn start_again(&mut self) {
        let (handle, shutdown, task) = self.life.take().unwrap();
        drop(handle);
        shutdown.cancel();
        task.await.unwrap().unwrap();
        self.live().await;
    }

    async fn parks_for(&self, wanted: ParkReason) {
        self.until(&format!("parked: {wanted:?}"), async |_, known| {
            matches!(known.rotation.map(|it| it.phase), Some(Phase::Parked { reason, .. }) if reason == wanted)
        })
        .await;
    }
}

#[tokio::test]
async fn a_rollback_to_a_key_that_leaks_turns_round_and_becomes_an_emergency() {
    let mut bench = returning().await;
    let old = bench.key(1);
    bench.disable(&old, Some("exposed_publicly"));
    bench.inspect().await;
    bench.done(2).await;
    assert_eq!(bench.states(), [State::Deleted, State::Enabled]);
    assert!(bench.known().await.record.answered.is_some());
    bench.stop().await;
}

#[tokio::test]
async fn a_rollback_to_a_key_that_leaks_ends_at_once_if_the_new_keys_value_is_nowhere() {
    for reason in [Some("exposed_publicly"), None] {
        let mut bench = returning().await;
        bench.start_again().await;
        let old = bench.key(1);
        if reason.is_some() {
            bench.disable(&old, reason);
            bench.inspect().await;
        } else {
            let refused = bench.order(Wish::Emergency).await.unwrap_err().to_string();
            assert!(refused.contains("in no destination any more"), "{refused}");
            bench.order(Wish::Leaked(bench.served().unwrap().fingerprint())).await.unwrap();
        }
        bench.outage = true;
        bench.done(2).await;
        assert_eq!(bench.states(), [State::Deleted, State::Deleted, State::Enabled]);
        assert!(bench.known().await.record.answered.is_some());
        bench.stop().await;
    }
}

#[tokio::test]
async fn an_operators_emergency_ends_a_rollback_that_nobody_returns_from() {
    let mut bench = returning().await;
    bench.order(Wish::Emergency).await.unwrap();
    bench.done(2).await;
    assert_eq!(bench.states(), [State::Deleted, State::Enabled]);
    bench.stop().await;
}

#[tokio::test]
async fn a_rollback_to_a_key_that_somebody_deletes_goes_on_with_the_new_one() {
    let mut bench = returning().await;
    let old = bench.key(1);
    bench.outage = true;
    bench.sandbox.workspace().delete_key(&old, SystemClock.now()).unwrap();
    bench.parks_for(ParkReason::OldKeyUnusable).await;
    let report = bench.report().await;
    assert_eq!(report.next_command.as_deref(), Some("rekeyd abort tts-backend"), "{}", report.summary);
    bench.order(Wish::Abort).await.unwrap();
    bench.reaches(PhaseName::Overlap).await;
    bench.outage = false;
    bench.acknowledge("nobody", rekeyd::domain::ack::Health::Using).await;
    bench.done(2).await;
    assert_eq!(bench.states(), [State::Deleted, State::Enabled]);
    bench.stop().await;
}

#[tokio::test]
async fn a_freeze_does_not_keep_a_new_key_that_leaked() {
    let mut bench = overlapping().await;
    bench.change = |credential: &mut Credential| {
        let now = SystemClock.now();
        let (from, until) = (now - SignedDuration::from_hours(1), now + SignedDuration::from_hours(1));
        credential.schedule.freezes = vec![Freeze { from, until, name: "black friday".to_owned() }];
    };
    bench.revise(|_| ()).await;
    let new = bench.key(0);
    bench.disable(&new, Some("exposed_publicly"));
    bench.inspect().await;
    bench.ended(PhaseName::RolledBack).await;
    assert_eq!(bench.states(), [State::Enabled, State::Deleted]);
    bench.stop().await;
}

#[tokio::test]
async fn an_old_key_that_may_expire_is_kept_while_a_destination_is_published_to_again() {
    let mut bench = Bench::hurried(rules(Era::November2026), Start::WithKey).await;
    bench.change = |credential| credential.expire_old_key = Some(SignedDuration::from_mins(2));
    bench.agree(|terms| {
        terms.gates = super::leaks::nobody();
        terms.at_most = SignedDuration::from_secs(1);
    });
    bench.live().await;
    let settled = |events: &[Event]| {
        events.iter().filter(|it| matches!(it, Event::ExpirySettled { in_force: true, .. })).count()
    };
    bench.until("it may expire", async |bench, _| settled(&bench.events().await) > 0).await;
    bench.outage = true;
    bench.tamper("what somebody else put there");
    bench.parks_for(ParkReason::ForeignValue).await;
    // The new key cannot be checked, and so not be published again.
    bench.sandbox.set_faults(vec![Fault::on(Route::User, What::HtmlPage { status: 503 })]);
    bench.order(Wish::Retry { overwrite: true }).await.unwrap();
    bench.reaches(PhaseName::Verifying).await;
    let so_far = settled(&bench.events().await);
    bench.until("its expiry is moved on", async |bench, _| settled(&bench.events().await) > so_far + 1).await;
    bench.stop().await;
}
