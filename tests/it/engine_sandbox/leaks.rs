//! Keys that leak, vanish and are changed by people, against the sandbox.

use std::time::Instant;

use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::finding::FindingKind;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::key::{Grants, Permissions};
use rekeyd::domain::phase::{Phase, PhaseName};
use rekeyd::domain::plan::Reason;
use rekeyd::domain::policy::{Credential, IfVanished};
use rekeyd::domain::rotation::ParkReason;
use rekeyd::engine::Wish;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::era::Era;
use rekeyd::sandbox::faults::{Fault, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::settings::{Granted, Settings};

use super::bench::{Bench, Start};
use super::rules;

const DELETED: State = State::Deleted;

/// A credential with a key of ours, and nothing under way.
async fn settled(change: fn(&mut Credential)) -> Bench {
    let mut bench = Bench::prepare(rules(Era::November2026), Start::WithoutKey).await;
    bench.change = change;
    bench.live().await;
    bench.done(1).await;
    bench
}

/// In the overlap of a second rotation, which nobody acknowledges.
async fn overlapping() -> Bench {
    let mut bench = settled(|_| ()).await;
    let nobody = Gate::Acks([ConsumerName::new("nobody").unwrap()].into());
    bench.revise(|terms| terms.gates = vec![nobody]).await;
    bench.order(Wish::Rotate).await.unwrap();
    bench.reaches(PhaseName::Overlap).await;
    bench
}

impl Bench {
    /// A listing now, as the schedule would have it.
    async fn inspect(&self) {
        self.handle().inspect().await.unwrap();
    }

    /// Somebody else puts something where consumers read.
    fn tamper(&self, text: &str) {
        let path = self.folder.path().join("secrets/tts-backend");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The id of the newest key but so many.
    fn key(&self, from_the_newest: usize) -> String {
        let truth = self.sandbox.truth();
        let ids: Vec<String> = truth.keys().map(|key| key.key_id.clone()).collect();
        ids[ids.len() - 1 - from_the_newest].clone()
    }

    fn disable(&mut self, key: &str, reason: Option<&str>) {
        self.outage = true;
        self.sandbox.workspace().disable_key(key, reason, SystemClock.now()).unwrap();
    }

    async fn found_by_sweeping(&self, wanted: &[FindingKind]) {
        self.until(&format!("{wanted:?} is found"), async |bench, known| {
            bench.handle().sweep().await.unwrap();
            known.record.findings.iter().map(|it| it.kind).collect::<Vec<_>>() == wanted
        })
        .await;
    }

    async fn found(&self, wanted: &[FindingKind]) {
        // A key must have been current for the settling time before its absence counts.
        self.until(&format!("{wanted:?} is found"), async |bench, known| {
            bench.inspect().await;
            let kinds: Vec<FindingKind> = known.record.findings.iter().map(|it| it.kind).collect();
            kinds == wanted
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_that_was_exposed_or_disabled_by_its_holder_is_replaced_at_once_in_every_era() {
    for (era, reason) in [
        (Era::September2026, "exposed_publicly"),
        (Era::November2026, "exposed_publicly"),
        (Era::November2026, "self_disabled"),
    ] {
        let mut bench = Bench::prepare(rules(era), Start::WithoutKey).await;
        bench.change = |credential| {
            // Neither a long overlap nor a gate that never opens holds it.
            credential.terms.at_least = jiff::SignedDuration::from_hours(4);
            credential.terms.at_most = jiff::SignedDuration::from_hours(8);
            credential.terms.quarantine = jiff::SignedDuration::from_hours(8);
        };
        bench.live().await;
        bench.done(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let leaked = bench.key(0);
        let shown = Instant::now();
        bench.disable(&leaked, Some(reason));
        bench.inspect().await;
        bench.done(2).await;
        assert!(shown.elapsed().as_secs() < 10, "{era:?} {reason}: {:?}", shown.elapsed());
        assert_eq!(bench.states(), [DELETED, State::Enabled], "{era:?} {reason}");
        let known = bench.known().await;
        let answered = known.record.answered.unwrap();
        assert!(answered.why.contains(&leaked), "{}", answered.why);
        assert!((answered.at - answered.since).get_seconds() < 10);
        assert_eq!(known.record.findings, [], "nothing is wrong with the new key");
        assert_eq!(
            bench.sandbox.truth().keys().last().unwrap().fingerprint,
            bench.served().unwrap().fingerprint()
        );
        bench.stop().await;
    }
}

#[tokio::test]
async fn an_ended_trial_and_what_people_did_are_reported_and_never_fought() {
    let mut bench = settled(|_| ()).await;
    let key = bench.key(0);
    for (reason, kind) in [
        (Some("trial_ended"), FindingKind::TrialEnded),
        (Some("subscription_downgrade"), FindingKind::SubscriptionDowngrade),
        (None, FindingKind::DisabledByHand),
    ] {
        bench.disable(&key, reason);
        bench.found(&[kind]).await;
        bench.sandbox.workspace().enable_key(&key, SystemClock.now()).unwrap();
        bench.found(&[]).await;
    }
    assert_eq!((bench.states(), bench.calls(Route::CreateKey)), (vec![State::Enabled], 1));
    assert_eq!(
        bench.calls(Route::DisableKey) + bench.calls(Route::DeleteKey) + bench.calls(Route::UpdateKey),
        0
    );
    bench.stop().await;
}

#[tokio::test]
async fn what_people_changed_is_told_until_it_is_accepted_or_undone() {
    let bench = settled(|_| ()).await;
    let (key, now) = (bench.key(0), SystemClock.now());
    let account = bench.sandbox.truth().accounts[0].service_account_user_id.clone();
    let stranger = Settings::new("somebody's", Granted::Only(vec!["voices_read".to_owned()]));
    drop(bench.sandbox.workspace().create_key(&account, stranger, now).unwrap());
    let widen = |names: &'static [&'static str]| {
        let granted = Granted::Only(names.iter().map(|&name| name.to_owned()).collect());
        let changed = |old: &Settings| Settings { permissions: granted, ..old.clone() };
        bench.sandbox.workspace().change_key(&key, SystemClock.now(), changed).unwrap();
    };
    widen(&["text_to_speech", "voices_read"]);
    let all = [FindingKind::PermissionsWidened, FindingKind::GrantsChanged, FindingKind::ForeignKeys];
    bench.found(&all).await;
    let taken = bench.order(Wish::Accept).await.unwrap();
    assert!(
        taken.contains("1 other keys") && taken.contains("permissions_widened cannot be accepted"),
        "{taken}"
    );
    bench.found(&[FindingKind::PermissionsWidened]).await;
    // What is rotated may not have more than the policy says.
    bench.order(Wish::Rotate).await.unwrap();
    bench.reaches(PhaseName::Parked).await;
    let Phase::Parked { reason, detail, .. } = bench.known().await.rotation.unwrap().phase else { panic!() };
    assert!(reason == ParkReason::Widened && detail.contains("voices_read"), "{reason:?} {detail}");
    assert!(bench.order(Wish::Accept).await.unwrap_err().to_string().contains("is under way"));
    widen(&["text_to_speech"]);
    bench.order(Wish::Retry { overwrite: false }).await.unwrap();
    bench.ended(PhaseName::Done).await;
    bench.found(&[]).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_destination_with_somebody_elses_value_is_told_at_the_slower_pace() {
    let mut bench = settled(|_| ()).await;
    bench.outage = true;
    let ours = bench.served().unwrap();
    bench.tamper("sk_somebody_elses");
    bench.inspect().await;
    assert_eq!(bench.known().await.record.findings, [], "a listing does not show it");
    bench.found_by_sweeping(&[FindingKind::DestinationChanged]).await;
    let told = bench.known().await.record.findings[0].detail.clone();
    assert!(told.contains("local:tts-backend") && told.contains(ours.fingerprint().as_str()), "{told}");
    bench.order(Wish::Rotate).await.unwrap();
    bench.reaches(PhaseName::Parked).await;
    bench.order(Wish::Retry { overwrite: true }).await.unwrap();
    bench.ended(PhaseName::Done).await;
    bench.found_by_sweeping(&[]).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_vanished_key_is_reported_or_replaced_as_the_policy_says() {
    let mut bench = settled(|_| ()).await;
    bench.outage = true;
    let key = bench.key(0);
    bench.sandbox.workspace().delete_key(&key, SystemClock.now()).unwrap();
    bench.found(&[FindingKind::KeyVanished]).await;
    assert_eq!(bench.states(), [DELETED]);
    // An operator may have it replaced all the same: what it could do is on record.
    bench.order(Wish::Emergency).await.unwrap();
    bench.done(2).await;
    assert_eq!(bench.states(), [DELETED, State::Enabled]);
    bench.stop().await;

    let mut bench = settled(|credential| credential.if_vanished = IfVanished::Replace).await;
    bench.outage = true;
    let key = bench.key(0);
    bench.sandbox.workspace().delete_key(&key, SystemClock.now()).unwrap();
    bench.found(&[FindingKind::KeyVanished]).await;
    bench.done(2).await;
    assert_eq!(bench.states(), [DELETED, State::Enabled]);
    let known = bench.known().await.record;
    let granted = known.current.unwrap().grants.unwrap();
    assert_eq!(granted, Grants::of(Permissions::Only(["text_to_speech".to_owned()].into())));
    bench.stop().await;
}

#[tokio::test]
async fn no_more_emergencies_begin_by_themselves_than_may_and_an_operator_begins_one_all_the_same() {
    let mut bench = Bench::prepare(rules(Era::November2026), Start::WithoutKey).await;
    bench.emergencies_at_once = 0;
    bench.live().await;
    bench.done(1).await;
    let leaked = bench.key(0);
    bench.disable(&leaked, Some("exposed_publicly"));
    bench.found(&[FindingKind::ExposedPublicly, FindingKind::EmergencyHeld]).await;
    assert_eq!(bench.states(), [State::Disabled]);
    bench.order(Wish::Emergency).await.unwrap();
    bench.done(2).await;
    assert_eq!(bench.states(), [DELETED, State::Enabled]);
    assert_eq!(bench.known().await.record.findings, []);
    bench.stop().await;
}

#[tokio::test]
async fn an_emergency_that_was_held_begins_when_there_is_room() {
    let mut bench = overlapping().await;
    bench.emergencies_at_once = 0;
    bench.revise(|_| ()).await;
    let old = bench.key(1);
    bench.disable(&old, Some("exposed_publicly"));
    bench.found(&[FindingKind::ExposedPublicly, FindingKind::EmergencyHeld]).await;
    bench.reaches(PhaseName::Overlap).await;
    bench.emergencies_at_once = 1;
    bench.revise(|_| ()).await;
    bench.done(2).await;
    assert_eq!(bench.states(), [DELETED, State::Enabled]);
    bench.stop().await;
}

#[tokio::test]
async fn an_old_key_that_leaks_in_its_overlap_makes_the_rotation_an_emergency() {
    let mut bench = overlapping().await;
    let old = bench.key(1);
    bench.disable(&old, Some("exposed_publicly"));
    bench.inspect().await;
    bench.done(2).await;
    assert_eq!(bench.states(), [DELETED, State::Enabled]);
    assert!(bench.known().await.record.answered.is_some());
    bench.stop().await;
}

#[tokio::test]
async fn an_old_key_that_leaks_before_its_successor_is_in_service_is_replaced_all_the_sooner() {
    let mut bench = settled(|_| ()).await;
    // The new key cannot be checked: it stays where it is.
    bench.sandbox.set_faults(vec![Fault::on(Route::User, What::HtmlPage { status: 503 })]);
    bench.order(Wish::Rotate).await.unwrap();
    bench.reaches(PhaseName::Verifying).await;
    let old = bench.key(1);
    bench.disable(&old, Some("exposed_publicly"));
    bench.inspect().await;
    bench.until("an emergency", async |_, known| known.rotation.is_some_and(|it| it.plan.emergency)).await;
    bench.sandbox.set_faults(Vec::new());
    bench.done(2).await;
    assert_eq!(bench.states(), [DELETED, State::Enabled]);
    bench.stop().await;
}

#[tokio::test]
async fn a_new_key_that_leaks_is_discarded_before_and_rolled_back_after_it_is_in_service() {
    let bench = settled(|_| ()).await;
    bench.sandbox.set_faults(vec![Fault::on(Route::User, What::HtmlPage { status: 503 })]);
    bench.order(Wish::Rotate).await.unwrap();
    bench.reaches(PhaseName::Verifying).await;
    let new = bench.key(0);
    bench.sandbox.workspace().disable_key(&new, Some("exposed_publicly"), SystemClock.now()).unwrap();
    bench.inspect().await;
    bench.ended(PhaseName::Aborted).await;
    bench.sandbox.set_faults(Vec::new());
    assert_eq!(bench.states(), [State::Enabled, DELETED]);
    bench.stop().await;

    let mut bench = overlapping().await;
    let new = bench.key(0);
    bench.disable(&new, Some("exposed_publicly"));
    bench.inspect().await;
    bench.ended(PhaseName::RolledBack).await;
    assert_eq!(bench.states(), [State::Enabled, DELETED]);
    bench.outage = false;
    bench.found(&[]).await;
    bench.stop().await;
}

#[tokio::test]
async fn when_both_keys_leak_the_rotation_ends_and_the_next_one_replaces_the_new_key() {
    let mut bench = overlapping().await;
    let (old, new) = (bench.key(1), bench.key(0));
    bench.disable(&old, Some("exposed_publicly"));
    bench.disable(&new, Some("exposed_publicly"));
    bench.inspect().await;
    bench.done(3).await;
    assert_eq!(bench.states(), [DELETED, DELETED, State::Enabled]);
    bench.stop().await;
}

#[tokio::test]
async fn a_report_of_a_leak_is_answered_once_however_often_it_is_said() {
    let mut bench = settled(|_| ()).await;
    let print = bench.served().unwrap().fingerprint();
    bench.outage = true;
    let nobodys = rekeyd::domain::secret::Fingerprint::of(b"something else");
    assert_eq!(bench.handle().report_leak(&nobodys, "`a test`").await.unwrap(), []);
    for _ in 0..3 {
        let answers = bench.handle().report_leak(&print, "`a test`").await.unwrap();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    bench.done(2).await;
    let answers = bench.handle().report_leak(&print, "`a test`").await.unwrap();
    assert!(answers[0].answered, "{answers:?}");
    assert_eq!(bench.states(), [DELETED, State::Enabled]);
    let answered = bench.known().await.record.answered.unwrap();
    assert!(answered.why.contains("reported as leaked by `a test`"), "{}", answered.why);
    let begun = bench.handle().journal().entries(answered.rotation).await.unwrap()[0].event.clone();
    let rekeyd::domain::event::Event::Begun(plan) = begun else { panic!("{begun:?}") };
    assert!(plan.reason == Reason::Leak && plan.emergency);
    bench.stop().await;
}
