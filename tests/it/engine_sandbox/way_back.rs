//! Rollbacks and publications that are overtaken by what happens to the old key, against the sandbox.

use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::event::Event;
use rekeyd::domain::phase::{Phase, PhaseName};
use rekeyd::domain::policy::Credential;
use rekeyd::domain::rotation::ParkReason;
use rekeyd::domain::schedule::Freeze;
use rekeyd::engine::Command;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;

use super::harness::{Harness, Start};
use super::leaks::overlapping;
use super::rules;

async fn returning() -> Harness {
    let harness = overlapping().await;
    harness.request(Command::RollBack).await.unwrap();
    harness.reaches(PhaseName::Returning).await;
    harness
}

impl Harness {
    /// Ends, and begins again: what was only in memory is gone.
    pub(super) async fn start_again(&mut self) {
        let (handle, shutdown, task) = self.life.take().unwrap();
        drop(handle);
        shutdown.cancel();
        task.await.unwrap().unwrap();
        self.live().await;
    }

    /// Somebody removes every version of the secret that is not served.
    fn clear_away_the_new_value(&self) {
        let served = std::fs::read_link(self.folder.path().join("secrets/tts-backend")).unwrap();
        let versions = self.folder.path().join("secrets").join(served.parent().unwrap());
        for entry in std::fs::read_dir(versions).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() && path.file_name() != served.file_name() {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    /// Somebody deletes the key that is the newest but so many.
    fn delete(&self, from_the_newest: usize) {
        let key = self.key(from_the_newest);
        self.sandbox.workspace().delete_key(&key, SystemClock.now()).unwrap();
    }

    /// After so many rotations that are done, neither key of the one that was given up is left.
    async fn replaces_both_keys(mut self, done: usize) {
        self.done(done).await;
        self.outage = false;
        self.ended(PhaseName::Done).await;
        assert_eq!(self.states(), [State::Deleted, State::Deleted, State::Enabled]);
        self.stop().await;
    }

    /// Types the suggested command, which is as wanted.
    async fn follow_the_suggestion(&self, wanted: &str, command: Command) {
        let report = self.report().await;
        assert_eq!(report.next_command.as_deref(), Some(wanted), "{}", report.summary);
        self.request(command).await.unwrap();
    }

    pub(super) async fn parks_for(&self, wanted: ParkReason) {
        self.until(&format!("parked: {wanted:?}"), async |_, known| {
            matches!(known.rotation.map(|it| it.phase), Some(Phase::Parked { reason, .. }) if reason == wanted)
        })
        .await;
    }
}

#[tokio::test]
async fn a_rollback_to_a_key_that_leaks_turns_round_and_becomes_an_emergency() {
    let mut harness = returning().await;
    let old = harness.key(1);
    harness.disable(&old, Some("exposed_publicly"));
    harness.inspect().await;
    harness.done(2).await;
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    assert!(harness.known().await.record.answered.is_some());
    harness.stop().await;
}

#[tokio::test]
async fn a_rollback_to_a_key_that_leaks_ends_at_once_if_the_new_keys_value_is_nowhere() {
    for reason in [Some("exposed_publicly"), None] {
        let mut harness = returning().await;
        harness.start_again().await;
        harness.clear_away_the_new_value();
        let old = harness.key(1);
        if reason.is_some() {
            harness.disable(&old, reason);
            harness.inspect().await;
        } else {
            let refused = harness.request(Command::Emergency).await.unwrap_err().to_string();
            assert!(refused.contains("in no destination any more"), "{refused}");
            harness.request(Command::Leaked(harness.served().unwrap().fingerprint())).await.unwrap();
        }
        harness.outage = true;
        harness.done(2).await;
        assert_eq!(harness.states(), [State::Deleted, State::Deleted, State::Enabled]);
        assert!(harness.known().await.record.answered.is_some());
        harness.stop().await;
    }
}

#[tokio::test]
async fn an_operators_emergency_ends_a_rollback_that_nobody_returns_from() {
    let mut harness = returning().await;
    harness.request(Command::Emergency).await.unwrap();
    harness.done(2).await;
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    harness.stop().await;
}

#[tokio::test]
async fn a_rollback_to_a_key_that_somebody_deletes_goes_on_with_the_new_one() {
    let mut harness = returning().await;
    let old = harness.key(1);
    harness.outage = true;
    harness.sandbox.workspace().delete_key(&old, SystemClock.now()).unwrap();
    harness.parks_for(ParkReason::OldKeyUnusable).await;
    let report = harness.report().await;
    assert_eq!(report.next_command.as_deref(), Some("rekeyd abort tts-backend"), "{}", report.summary);
    harness.request(Command::Abort).await.unwrap();
    harness.reaches(PhaseName::Overlap).await;
    harness.outage = false;
    harness.acknowledge("nobody", rekeyd::domain::ack::Health::Using).await;
    harness.done(2).await;
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    harness.stop().await;
}

#[tokio::test]
async fn a_rollback_to_a_key_that_somebody_deletes_after_a_restart_goes_on_with_the_new_one() {
    let mut harness = returning().await;
    harness.start_again().await;
    harness.outage = true;
    harness.delete(1);
    harness.parks_for(ParkReason::OldKeyUnusable).await;
    harness.follow_the_suggestion("rekeyd abort tts-backend", Command::Abort).await;
    harness.reaches(PhaseName::Overlap).await;
    harness.outage = false;
    harness.acknowledge("nobody", rekeyd::domain::ack::Health::Using).await;
    harness.done(2).await;
    assert_eq!(harness.states(), [State::Deleted, State::Enabled]);
    harness.stop().await;
}

#[tokio::test]
async fn a_rollback_of_which_no_key_is_left_ends_and_both_keys_are_replaced() {
    for value_is_gone in [false, true] {
        let mut harness = returning().await;
        harness.start_again().await;
        harness.outage = true;
        harness.delete(1);
        if value_is_gone {
            harness.clear_away_the_new_value();
        } else {
            harness.delete(0);
        }
        harness.parks_for(ParkReason::OldKeyUnusable).await;
        harness.follow_the_suggestion("rekeyd abort tts-backend", Command::Abort).await;
        harness.replaces_both_keys(2).await;
    }
}

#[tokio::test]
async fn a_first_rotation_whose_new_key_dies_has_a_way_out_although_there_is_nothing_to_go_back_to() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithKey).await;
    harness.agree(|terms| terms.gates = super::leaks::nobody());
    harness.live().await;
    harness.reaches(PhaseName::Overlap).await;
    harness.outage = true;
    harness.delete(0);
    harness.inspect().await;
    harness.parks_for(ParkReason::NewKeyUnusable).await;
    harness.follow_the_suggestion("rekeyd rotate --emergency tts-backend", Command::Emergency).await;
    harness.replaces_both_keys(1).await;
}

#[tokio::test]
async fn an_overlap_of_which_both_keys_are_deleted_has_a_way_out() {
    let mut harness = overlapping().await;
    harness.outage = true;
    harness.delete(1);
    harness.delete(0);
    harness.inspect().await;
    harness.parks_for(ParkReason::NewKeyUnusable).await;
    harness.follow_the_suggestion("rekeyd rollback tts-backend", Command::RollBack).await;
    harness.parks_for(ParkReason::OldKeyUnusable).await;
    harness.follow_the_suggestion("rekeyd abort tts-backend", Command::Abort).await;
    harness.replaces_both_keys(2).await;
}

#[tokio::test]
async fn a_freeze_does_not_keep_a_new_key_that_leaked() {
    let mut harness = overlapping().await;
    harness.change = |credential: &mut Credential| {
        let now = SystemClock.now();
        let (from, until) = (now - SignedDuration::from_hours(1), now + SignedDuration::from_hours(1));
        credential.schedule.freezes = vec![Freeze { from, until, name: "black friday".to_owned() }];
    };
    harness.revise(|_| ()).await;
    let new = harness.key(0);
    harness.disable(&new, Some("exposed_publicly"));
    harness.inspect().await;
    harness.ended(PhaseName::RolledBack).await;
    assert_eq!(harness.states(), [State::Enabled, State::Deleted]);
    harness.stop().await;
}

#[tokio::test]
async fn an_old_key_that_may_expire_is_kept_while_a_destination_is_published_to_again() {
    let mut harness = Harness::hurried(rules(ApiVersion::November2026), Start::WithKey).await;
    harness.change = |credential| credential.expire_old_key = Some(SignedDuration::from_mins(2));
    harness.agree(|terms| {
        terms.gates = super::leaks::nobody();
        terms.at_most = SignedDuration::from_secs(1);
    });
    harness.live().await;
    let settled = |events: &[Event]| {
        events.iter().filter(|it| matches!(it, Event::ExpirySettled { in_force: true, .. })).count()
    };
    harness.until("it may expire", async |harness, _| settled(&harness.events().await) > 0).await;
    harness.outage = true;
    harness.tamper("what somebody else put there");
    harness.parks_for(ParkReason::ForeignValue).await;
    // The new key cannot be checked, and so not be published again.
    harness.sandbox.set_faults(vec![Fault::on(Route::User, What::HtmlPage { status: 503 })]);
    harness.request(Command::Retry { overwrite: true }).await.unwrap();
    harness.reaches(PhaseName::Verifying).await;
    let so_far = settled(&harness.events().await);
    harness
        .until("its expiry is moved on", async |harness, _| settled(&harness.events().await) > so_far + 1)
        .await;
    harness.stop().await;
}
