//! What holds the next step of a credential back is named where the step is told, with its end.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::gate::Evidence;
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::hold::{Hold, HoldKind, Holds, Scope};
use rekeyd::domain::ids::WorkspaceName;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::{AfterDeadline, RevocationPolicy};
use rekeyd::domain::policy::{Credential, IfVanished, Mode, Policy, WorkspaceLimits};
use rekeyd::domain::record::LastRotation;
use rekeyd::domain::report::blocked::Blocked;
use rekeyd::domain::report::held_back::WorkspaceState;
use rekeyd::domain::report::holds::Around;
use rekeyd::domain::report::{CredentialHealth, CredentialReport, Facts};
use rekeyd::domain::schedule::{Cadence, Freeze, Schedule};

use super::samples::{at, name, rotation};
use super::status::Sample;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// In the middle of the freeze.
const NOW: i64 = 11 * DAY;
const ENDS: &str = "the freeze `end of year` ends, at 2026-01-15T00:00:00Z";

fn policy(frozen: bool) -> Credential {
    let freeze = Freeze { from: at(2 * HOUR), until: at(14 * DAY), name: "end of year".to_owned() };
    Credential {
        name: name("tts"),
        workspace: WorkspaceName::new("prod").unwrap(),
        service_account: "tts".to_owned(),
        create_account: None,
        adopt: None,
        first: None,
        allow_unrestricted: false,
        key_lifetime: None,
        after: BTreeSet::new(),
        bake: SignedDuration::ZERO,
        expire_old_key: None,
        if_vanished: IfVanished::Alert,
        mode: Mode::Rotate,
        destinations: vec![],
        schedule: Schedule {
            cadence: Cadence::Every(SignedDuration::from_hours(24 * 30)),
            jitter: SignedDuration::ZERO,
            window: None,
            freezes: frozen.then_some(freeze).into_iter().collect(),
        },
        terms: RevocationPolicy {
            at_least: SignedDuration::ZERO,
            at_most: SignedDuration::from_hours(1),
            then: AfterDeadline::Hold,
            gates: vec![],
            confirm: ConfirmWhen::Never,
            acks_valid_for: None,
            canary: None,
            quarantine: SignedDuration::ZERO,
        },
    }
}

fn told(sample: &Sample, frozen: bool, state: &WorkspaceState, holds: &Holds) -> CredentialReport {
    let (rotation, policy) = (sample.rotation(), policy(frozen));
    let evidence = Evidence { acks: sample.acks.clone(), ..Evidence::default() };
    let facts = Facts {
        record: &sample.record,
        rotation: rotation.as_ref(),
        evidence: &evidence,
        policy: Some(&policy),
    };
    let workspaces = BTreeMap::from([(policy.workspace.clone(), state.clone())]);
    let (records, all) = (BTreeMap::new(), Policy::default());
    let around = Around { holds, policy: &all, records: &records, workspaces: &workspaces };
    CredentialReport::new(facts, at(NOW)).with_holds(&around, at(NOW))
}

fn report(sample: &Sample, frozen: bool, state: &WorkspaceState) -> CredentialReport {
    told(sample, frozen, state, &Holds::default())
}

/// It is named in the sentence, in the field with its end, and in the label of the metric.
fn names(report: &CredentialReport, by: Blocked, why: &str, until: Timestamp) {
    assert!(report.summary.contains(why), "{}", report.summary);
    let held = report.held_back.as_ref().unwrap();
    assert!(held.why.contains(why), "{}", held.why);
    assert_eq!((held.by, held.until, report.blocked), (by, Some(until), Some(by)));
    assert_eq!(report.health, CredentialHealth::Waiting);
    let is_under_way = report.summary.contains("about to") || report.summary.contains("is being");
    assert!(!is_under_way, "{}", report.summary);
}

#[test]
fn a_freeze_is_named_with_its_end_where_the_step_is_told_that_it_holds_back() {
    let nothing = WorkspaceState::default();
    let disabling = report(&Sample::rotating("tts", 1, 9, vec![]), true, &nothing);
    names(&disabling, Blocked::Freeze, &format!("the old key is disabled only after {ENDS}"), at(14 * DAY));
    let mut due = Sample::idle("tts");
    names(
        &report(&due, true, &nothing),
        Blocked::Freeze,
        &format!("the rotation begins when {ENDS}"),
        at(14 * DAY),
    );
    due.record.due = None;
    assert_eq!(report(&due, true, &nothing).health, CredentialHealth::Fine, "nothing is due");
    assert!(report(&Sample::rotating("tts", 1, 9, vec![]), false, &nothing).held_back.is_none());
}

#[test]
fn while_something_else_is_waited_for_the_freeze_is_told_and_blocks_nothing_yet() {
    let waiting = report(&Sample::rotating("tts", 1, 8, vec![]), true, &WorkspaceState::default());
    assert!(waiting.summary.contains("waiting on") && waiting.summary.contains(ENDS), "{}", waiting.summary);
    assert_eq!((waiting.phase(), waiting.blocked), (Some(PhaseName::Overlap), None));
}

#[test]
fn a_pause_takes_the_place_of_what_would_be_about_to_happen() {
    let hold = Hold {
        scope: Scope::Fleet,
        what: HoldKind::Revoking,
        by: "alice".to_owned(),
        why: "a launch".to_owned(),
        since: at(0),
    };
    let sample = Sample::rotating("tts", 1, 9, vec![]);
    let held = told(&sample, false, &WorkspaceState::default(), &Holds::new(vec![hold]));
    let why = &held.held_back.as_ref().unwrap().why;
    assert!(why.contains("a launch") && why.contains("`rekeyd resume --all` lifts that"), "{why}");
    assert_eq!((held.blocked, held.health), (Some(Blocked::Operator), CredentialHealth::Waiting));
}

#[test]
fn an_aborted_rotation_in_back_off_is_not_fine_and_says_why_and_when_the_next_one_begins() {
    let mut aborted = Sample::idle("tts");
    aborted.record.aborts = 2;
    aborted.record.last = Some(LastRotation {
        outcome: PhaseName::Aborted,
        at: at(NOW - 60),
        why: Some("the key was refused".to_owned()),
        rotation: rotation(3),
    });
    let until = aborted.record.not_before();
    let why = "the last 2 rotations were aborted (the key was refused); the next one begins at 2026";
    names(&report(&aborted, false, &WorkspaceState::default()), Blocked::Backoff, why, until);
}

#[test]
fn a_budget_that_is_used_up_and_a_provider_that_wants_no_calls_are_named_with_their_ends() {
    let mut state = WorkspaceState::default();
    let limits = WorkspaceLimits { mints_per_hour: 2, ..WorkspaceLimits::default() };
    state.count_mints(&limits, &[at(NOW - 100)], at(NOW));
    assert_eq!((state.mints_from, state.emergency_mints_from), (Some(at(NOW - 100 + 3601)), None));
    let begun = Sample::rotating("tts", 1, 1, vec![]);
    let why = "the mint budget of workspace `prod` (`mints_per_hour`) is used up, but for the reserve";
    names(&report(&begun, false, &state), Blocked::MintBudget, why, at(NOW - 100 + 3601));
    let state = WorkspaceState { silent_until: Some(at(NOW + 50)), ..WorkspaceState::default() };
    let why = "it asked for no calls of workspace `prod` until then";
    names(&report(&begun, false, &state), Blocked::Silence, why, at(NOW + 50));
}

#[test]
fn only_a_key_that_was_seen_alive_is_fine() {
    let mut idle = Sample::idle("tts");
    idle.record.due = None;
    let health = |sample: &Sample, state: &WorkspaceState| report(sample, false, state).health;
    let failing =
        WorkspaceState { failing: Some("it does not answer".to_owned()), ..WorkspaceState::default() };
    let unlisted = WorkspaceState { unlisted: true, ..WorkspaceState::default() };
    assert_eq!(health(&idle, &WorkspaceState::default()), CredentialHealth::Fine);
    assert_eq!(health(&idle, &failing), CredentialHealth::OutOfSync);
    assert_eq!(health(&idle, &unlisted), CredentialHealth::Waiting);
    idle.record.current.as_mut().unwrap().expires_at = Some(at(NOW - 1));
    assert_eq!(health(&idle, &WorkspaceState::default()), CredentialHealth::OutOfSync);
    idle.record.current = None;
    assert_eq!(health(&idle, &WorkspaceState::default()), CredentialHealth::Waiting);
}
