//! Keys that leak, vanish and are changed by people, against the sandbox.

use std::time::Instant;

use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::finding::FindingKind;
use rekeyd::domain::gate::Gate;
use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::key::{KeyAttributes, Permissions};
use rekeyd::domain::phase::{Phase, PhaseName};
use rekeyd::domain::plan::Reason;
use rekeyd::domain::policy::{Credential, IfVanished};
use rekeyd::domain::rotation::ParkReason;
use rekeyd::domain::sharing::SharingGroups;
use rekeyd::engine::Command;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::settings::{Granted, Settings};

use super::harness::{Harness, Start};
use super::rules;

const DELETED: State = State::Deleted;

/// A credential with a key of ours, and nothing under way.
pub(super) async fn settled(change: fn(&mut Credential)) -> Harness {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithoutKey).await;
    harness.change = change;
    harness.live().await;
    harness.done(1).await;
    harness
}

/// A consumer that acknowledges nothing by itself.
pub(super) fn nobody() -> Vec<Gate> {
    vec![Gate::Acks([ConsumerName::new("nobody").unwrap()].into())]
}

/// In the overlap of a second rotation, which nobody acknowledges.
pub(super) async fn overlapping() -> Harness {
    let mut harness = settled(|_| ()).await;
    harness.revise(|terms| terms.gates = nobody()).await;
    harness.request(Command::Rotate).await.unwrap();
    harness.reaches(PhaseName::Overlap).await;
    harness
}

impl Harness {
    /// A listing now, as the schedule would have it.
    pub(super) async fn inspect(&self) {
        self.handle().inspect().await.unwrap();
    }

    /// Somebody else puts something where consumers read.
    pub(super) fn tamper(&self, text: &str) {
        let path = self.folder.path().join("secrets/tts-backend");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The id of the newest key but so many.
    pub(super) fn key(&self, from_the_newest: usize) -> String {
        let truth = self.sandbox.truth();
        let ids: Vec<String> = truth.keys().map(|key| key.key_id.clone()).collect();
        ids[ids.len() - 1 - from_the_newest].clone()
    }

    pub(super) fn disable(&mut self, key: &str, reason: Option<&str>) {
        self.outage = true;
        self.sandbox.workspace().disable_key(key, reason, SystemClock.now()).unwrap();
    }

    async fn found_by_sweeping(&self, wanted: &[FindingKind]) {
        self.until(&format!("{wanted:?} is found"), async |harness, known| {
            harness.handle().sweep().await.unwrap();
            known.record.findings.iter().map(|it| it.kind).collect::<Vec<_>>() == wanted
        })
        .await;
    }

    pub(super) async fn found(&self, wanted: &[FindingKind]) {
        // A key must have been current for the settling time before its absence counts.
        self.until(&format!("{wanted:?} is found"), async |harness, known| {
            harness.inspect().await;
            let kinds: Vec<FindingKind> = known.record.findings.iter().map(|it| it.kind).collect();
            kinds == wanted
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_that_was_exposed_or_disabled_by_its_holder_is_replaced_at_once_in_every_api_version() {
    for (api_version, reason) in [
        (ApiVersion::September2026, "exposed_publicly"),
        (ApiVersion::November2026, "exposed_publicly"),
        (ApiVersion::November2026, "self_disabled"),
    ] {
        let mut harness = Harness::prepare(rules(api_version), Start::WithoutKey).await;
        harness.change = |credential| {
            // Neither a long overlap nor a gate that never opens holds it.
            credential.terms.at_least = jiff::SignedDuration::from_hours(4);
            credential.terms.at_most = jiff::SignedDuration::from_hours(8);
            credential.terms.quarantine = jiff::SignedDuration::from_hours(8);
        };
        harness.live().await;
        harness.done(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let leaked = harness.key(0);
        let shown = Instant::now();
        harness.disable(&leaked, Some(reason));
        harness.inspect().await;
        harness.done(2).await;
        assert!(shown.elapsed().as_secs() < 10, "{api_version:?} {reason}: {:?}", shown.elapsed());
        assert_eq!(harness.states(), [DELETED, State::Enabled], "{api_version:?} {reason}");
        let known = harness.known().await;
        let answered = known.record.answered.unwrap();
        assert!(answered.why.contains(&leaked), "{}", answered.why);
        assert!((answered.at - answered.since).get_seconds() < 10);
        assert_eq!(known.record.findings, [], "nothing is wrong with the new key");
        assert_eq!(
            harness.sandbox.truth().keys().last().unwrap().fingerprint,
            harness.served().unwrap().fingerprint()
        );
        harness.stop().await;
    }
}

#[tokio::test]
async fn an_ended_trial_and_what_people_did_are_reported_and_never_fought() {
    let mut harness = settled(|_| ()).await;
    let key = harness.key(0);
    for (reason, kind) in [
        (Some("trial_ended"), FindingKind::TrialEnded),
        (Some("subscription_downgrade"), FindingKind::SubscriptionDowngrade),
        (None, FindingKind::DisabledByHand),
    ] {
        harness.disable(&key, reason);
        harness.found(&[kind]).await;
        harness.sandbox.workspace().enable_key(&key, SystemClock.now()).unwrap();
        harness.found(&[]).await;
    }
    assert_eq!((harness.states(), harness.calls(Route::CreateKey)), (vec![State::Enabled], 1));
    assert_eq!(
        harness.calls(Route::DisableKey) + harness.calls(Route::DeleteKey) + harness.calls(Route::UpdateKey),
        0
    );
    harness.stop().await;
}

#[tokio::test]
async fn what_people_changed_is_told_until_it_is_accepted_or_undone() {
    let harness = settled(|_| ()).await;
    let (key, now) = (harness.key(0), SystemClock.now());
    let account = harness.sandbox.truth().accounts[0].service_account_user_id.clone();
    let stranger = Settings::new("somebody's", Granted::Only(vec!["voices_read".to_owned()]));
    drop(harness.sandbox.workspace().create_key(&account, stranger, now).unwrap());
    let widen = |names: &'static [&'static str]| {
        let granted = Granted::Only(names.iter().map(|&name| name.to_owned()).collect());
        let changed = |settings: &mut Settings| settings.permissions = granted;
        harness.sandbox.workspace().change_key(&key, SystemClock.now(), changed).unwrap();
    };
    widen(&["text_to_speech", "voices_read"]);
    let all = [FindingKind::PermissionsWidened, FindingKind::PermissionsChanged, FindingKind::ForeignKeys];
    harness.found(&all).await;
    let taken = harness.request(Command::Accept).await.unwrap();
    assert!(
        taken.contains("1 other keys") && taken.contains("permissions_widened cannot be accepted"),
        "{taken}"
    );
    harness.found(&[FindingKind::PermissionsWidened]).await;
    // What is rotated may not have more than the policy says.
    harness.request(Command::Rotate).await.unwrap();
    harness.reaches(PhaseName::Parked).await;
    let Phase::Parked { reason, detail, .. } = harness.known().await.rotation.unwrap().phase else {
        panic!()
    };
    assert!(reason == ParkReason::Widened && detail.contains("voices_read"), "{reason:?} {detail}");
    assert!(harness.request(Command::Accept).await.unwrap_err().to_string().contains("is under way"));
    widen(&["text_to_speech"]);
    harness.request(Command::Retry { overwrite: false }).await.unwrap();
    harness.ended(PhaseName::Done).await;
    harness.found(&[]).await;
    harness.stop().await;
}

#[tokio::test]
async fn changed_sharing_groups_are_told_until_they_are_accepted_or_undone() {
    let harness = settled(|_| ()).await;
    let account = harness.sandbox.truth().accounts[0].service_account_user_id.clone();
    let share = |groups| harness.sandbox.workspace().share(&account, groups).unwrap();
    harness.inspect().await;
    harness.until("the groups are recorded", async |_, known| known.record.sharing_groups.is_some()).await;
    let one = SharingGroups::default().with("g1", "viewer");
    share(one.clone());
    harness.found(&[FindingKind::SharingGroupsChanged]).await;
    let told = harness.known().await.record.findings[0].detail.clone();
    assert!(told.contains("added `g1` (viewer)") && told.contains("undo it in the dashboard"), "{told}");
    let taken = harness.request(Command::Accept).await.unwrap();
    assert!(taken.contains("the sharing groups of its account are: `g1` (viewer)"), "{taken}");
    harness.found(&[]).await;
    assert_eq!(harness.known().await.record.sharing_groups, Some(one.clone()));
    share(SharingGroups::default());
    harness.found(&[FindingKind::SharingGroupsChanged]).await;
    share(one);
    harness.found(&[]).await;
    let acts = harness.journal.audit(0, 1000).await.unwrap();
    let accepted = acts.iter().find(|it| it.act.what == "accepted").unwrap();
    assert_eq!(accepted.act.details["sharing_groups"], serde_json::json!({"g1": "viewer"}));
    harness.stop().await;
}

#[tokio::test]
async fn a_destination_with_somebody_elses_value_is_told_at_the_slower_pace() {
    let mut harness = settled(|_| ()).await;
    harness.outage = true;
    let ours = harness.served().unwrap();
    harness.tamper("sk_somebody_elses");
    harness.inspect().await;
    assert_eq!(harness.known().await.record.findings, [], "a listing does not show it");
    harness.found_by_sweeping(&[FindingKind::DestinationChanged]).await;
    let told = harness.known().await.record.findings[0].detail.clone();
    assert!(told.contains("local:tts-backend") && told.contains(ours.fingerprint().as_str()), "{told}");
    harness.request(Command::Rotate).await.unwrap();
    harness.reaches(PhaseName::Parked).await;
    harness.request(Command::Retry { overwrite: true }).await.unwrap();
    harness.ended(PhaseName::Done).await;
    harness.found_by_sweeping(&[]).await;
    harness.stop().await;
}

#[tokio::test]
async fn who_rotates_a_vanished_key_is_told_that_only_an_emergency_makes_the_same_one() {
    let mut harness = settled(|_| ()).await;
    harness.outage = true;
    let key = harness.key(0);
    harness.sandbox.workspace().delete_key(&key, SystemClock.now()).unwrap();
    harness.found(&[FindingKind::KeyVanished]).await;
    let answer = harness.request(Command::Rotate).await.unwrap();
    assert!(answer.contains("only `rekeyd rotate tts-backend --emergency` makes a key"), "{answer}");
    harness.stop().await;
}

#[tokio::test]
async fn a_vanished_key_is_reported_or_replaced_as_the_policy_says() {
    let mut harness = settled(|_| ()).await;
    harness.outage = true;
    let key = harness.key(0);
    harness.sandbox.workspace().delete_key(&key, SystemClock.now()).unwrap();
    harness.found(&[FindingKind::KeyVanished]).await;
    assert_eq!(harness.states(), [DELETED]);
    // An operator may have it replaced all the same: what it could do is on record.
    harness.request(Command::Emergency).await.unwrap();
    harness.done(2).await;
    assert_eq!(harness.states(), [DELETED, State::Enabled]);
    harness.stop().await;

    let mut harness = settled(|credential| credential.if_vanished = IfVanished::Replace).await;
    harness.outage = true;
    let key = harness.key(0);
    harness.sandbox.workspace().delete_key(&key, SystemClock.now()).unwrap();
    harness.found(&[FindingKind::KeyVanished]).await;
    harness.done(2).await;
    assert_eq!(harness.states(), [DELETED, State::Enabled]);
    let known = harness.known().await.record;
    let granted = known.current.unwrap().attributes.unwrap();
    assert_eq!(granted, KeyAttributes::of(Permissions::Only(["text_to_speech".to_owned()].into())));
    harness.stop().await;
}

#[tokio::test]
async fn no_more_emergencies_begin_by_themselves_than_may_and_an_operator_begins_one_all_the_same() {
    let mut harness = Harness::prepare(rules(ApiVersion::November2026), Start::WithoutKey).await;
    harness.emergencies_at_once = 0;
    harness.live().await;
    harness.done(1).await;
    let leaked = harness.key(0);
    harness.disable(&leaked, Some("exposed_publicly"));
    harness.found(&[FindingKind::ExposedPublicly, FindingKind::EmergencyHeld]).await;
    assert_eq!(harness.states(), [State::Disabled]);
    harness.request(Command::Emergency).await.unwrap();
    harness.done(2).await;
    assert_eq!(harness.states(), [DELETED, State::Enabled]);
    assert_eq!(harness.known().await.record.findings, []);
    harness.stop().await;
}

#[tokio::test]
async fn an_emergency_that_was_held_begins_when_there_is_room() {
    let mut harness = overlapping().await;
    harness.emergencies_at_once = 0;
    harness.revise(|_| ()).await;
    let old = harness.key(1);
    harness.disable(&old, Some("exposed_publicly"));
    harness.found(&[FindingKind::ExposedPublicly, FindingKind::EmergencyHeld]).await;
    harness.reaches(PhaseName::Overlap).await;
    harness.emergencies_at_once = 1;
    harness.revise(|_| ()).await;
    harness.done(2).await;
    assert_eq!(harness.states(), [DELETED, State::Enabled]);
    harness.stop().await;
}

#[tokio::test]
async fn an_old_key_that_leaks_in_its_overlap_makes_the_rotation_an_emergency() {
    let mut harness = overlapping().await;
    let old = harness.key(1);
    harness.disable(&old, Some("exposed_publicly"));
    harness.inspect().await;
    harness.done(2).await;
    assert_eq!(harness.states(), [DELETED, State::Enabled]);
    assert!(harness.known().await.record.answered.is_some());
    harness.stop().await;
}

#[tokio::test]
async fn an_old_key_that_leaks_before_its_successor_is_in_service_is_replaced_all_the_sooner() {
    let mut harness = settled(|_| ()).await;
    // The new key cannot be checked: it stays where it is.
    harness.sandbox.set_faults(vec![Fault::on(Route::User, What::HtmlPage { status: 503 })]);
    harness.request(Command::Rotate).await.unwrap();
    harness.reaches(PhaseName::Verifying).await;
    let old = harness.key(1);
    harness.disable(&old, Some("exposed_publicly"));
    harness.inspect().await;
    harness.until("an emergency", async |_, known| known.rotation.is_some_and(|it| it.plan.emergency)).await;
    harness.sandbox.set_faults(Vec::new());
    harness.done(2).await;
    assert_eq!(harness.states(), [DELETED, State::Enabled]);
    harness.stop().await;
}

#[tokio::test]
async fn a_new_key_that_leaks_is_discarded_before_and_rolled_back_after_it_is_in_service() {
    let harness = settled(|_| ()).await;
    harness.sandbox.set_faults(vec![Fault::on(Route::User, What::HtmlPage { status: 503 })]);
    harness.request(Command::Rotate).await.unwrap();
    harness.reaches(PhaseName::Verifying).await;
    let new = harness.key(0);
    harness.sandbox.workspace().disable_key(&new, Some("exposed_publicly"), SystemClock.now()).unwrap();
    harness.inspect().await;
    harness.ended(PhaseName::Aborted).await;
    harness.sandbox.set_faults(Vec::new());
    assert_eq!(harness.states(), [State::Enabled, DELETED]);
    harness.stop().await;

    let mut harness = overlapping().await;
    let new = harness.key(0);
    harness.disable(&new, Some("exposed_publicly"));
    harness.inspect().await;
    harness.ended(PhaseName::RolledBack).await;
    assert_eq!(harness.states(), [State::Enabled, DELETED]);
    harness.outage = false;
    harness.found(&[]).await;
    harness.stop().await;
}

#[tokio::test]
async fn when_both_keys_leak_the_rotation_ends_and_the_next_one_replaces_the_new_key() {
    let mut harness = overlapping().await;
    let (old, new) = (harness.key(1), harness.key(0));
    harness.disable(&old, Some("exposed_publicly"));
    harness.disable(&new, Some("exposed_publicly"));
    harness.inspect().await;
    harness.done(3).await;
    assert_eq!(harness.states(), [DELETED, DELETED, State::Enabled]);
    harness.stop().await;
}

#[tokio::test]
async fn a_report_of_a_leak_is_answered_once_however_often_it_is_said() {
    let mut harness = settled(|_| ()).await;
    let print = harness.served().unwrap().fingerprint();
    harness.outage = true;
    let nobodys = rekeyd::domain::secret::Fingerprint::of(b"something else");
    assert_eq!(harness.handle().report_leak(&nobodys, "`a test`").await.unwrap(), []);
    for _ in 0..3 {
        let answers = harness.handle().report_leak(&print, "`a test`").await.unwrap();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    harness.done(2).await;
    let answers = harness.handle().report_leak(&print, "`a test`").await.unwrap();
    assert!(answers[0].answered, "{answers:?}");
    assert_eq!(harness.states(), [DELETED, State::Enabled]);
    let answered = harness.known().await.record.answered.unwrap();
    assert!(answered.why.contains("reported as leaked by `a test`"), "{}", answered.why);
    let begun = harness.handle().journal().entries(answered.rotation).await.unwrap()[0].event.clone();
    let rekeyd::domain::event::Event::Begun(plan) = begun else { panic!("{begun:?}") };
    assert!(plan.reason == Reason::Leak && plan.emergency);
    harness.stop().await;
}
