//! Each alert with its severity, its key, its runbook entry and its next command.

use super::*;
use crate::domain::gate::Evidence;
use crate::domain::hold::{Hold, Holds, Scope};
use crate::domain::ids::{ConsumerName, CredentialName, KeyId};
use crate::domain::policy::Policy;
use crate::domain::record::{Obstacle, ObstacleKind, Record};
use crate::domain::report::Facts as Of;
use crate::domain::report::holds::Around;
use crate::domain::report::stale_consumers::StaleConsumer;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn record(name: &str) -> Record {
    Record::new(CredentialName::new(name).unwrap())
}

fn report(record: &Record) -> CredentialReport {
    CredentialReport::new(Of { record, rotation: None, evidence: &Evidence::default(), policy: None }, at(0))
}

fn alert_set(
    report: &StatusReport,
    workspaces: &[(&str, WorkspaceState)],
    refused: Option<&str>,
    is_alive: bool,
) -> AlertSet {
    let workspaces: BTreeMap<WorkspaceName, WorkspaceState> =
        workspaces.iter().map(|(name, it)| (WorkspaceName::new(*name).unwrap(), it.clone())).collect();
    AlertSet::new(AlertInputs {
        report,
        workspaces: &workspaces,
        reload_refused: refused,
        is_alive,
        now: at(0),
    })
}

/// One line for each alert.
fn lines(set: &AlertSet) -> Vec<String> {
    let line = |it: &Alert| format!("{} {} #{} {:?}", it.severity.label(), it.key, it.anchor, it.next);
    set.alerts.iter().map(line).collect()
}

#[test]
fn a_healthy_fleet_has_no_alert() {
    let fine = StatusReport::new(vec![report(&record("tts"))], at(0));
    assert_eq!(lines(&alert_set(&fine, &[("prod", WorkspaceState::Reachable)], None, true)), [""; 0]);
}

#[test]
fn each_alert_of_a_credential_has_its_key_and_its_runbook_entry() {
    let mut blocked = record("blocked");
    let detail = "no account of this name".to_owned();
    blocked.obstacle = Some(Obstacle { kind: ObstacleKind::NoSuchAccount, detail, since: at(-9) });
    let mut leaked = record("leaked");
    leaked.findings =
        [FindingKind::ExposedPublicly, FindingKind::ForeignKeys, FindingKind::PermissionsChanged]
            .map(|kind| Finding {
                kind,
                key: Some(KeyId::new("key1").unwrap()),
                detail: "seen".to_owned(),
                since: at(-5),
            })
            .to_vec();
    let damaged = CredentialReport::damaged(&CredentialName::new("damaged").unwrap(), "its rows".to_owned());
    let reports = vec![report(&blocked), report(&leaked), damaged];
    let set = alert_set(&StatusReport::new(reports, at(0)), &[], None, true);
    assert_eq!(
        lines(&set),
        [
            "page damaged/credential/damaged #damaged Some(\"rekeyd repair damaged\")",
            "ticket obstacle/credential/blocked #no_such_account Some(\"systemctl reload rekeyd\")",
            "page exposed_publicly/key1/credential/leaked #exposed_publicly Some(\"rekeyd status leaked\")",
            "ticket foreign_keys/key1/credential/leaked #foreign_keys Some(\"rekeyd accept leaked\")",
            // An incident that is open since an earlier version is resolved by its former key.
            "ticket grants_changed/key1/credential/leaked #permissions_changed Some(\"rekeyd accept leaked\")",
        ]
    );
    let subjects: Vec<&str> = set.unknown.iter().map(Subject::name).collect();
    assert_eq!(subjects, ["damaged"], "an unknown state resolves nothing");
}

#[test]
fn workspaces_holds_and_the_daemon_have_alerts_too() {
    let failure = |kind| WorkspaceState::Failing(Failure::rejected(kind, "it said so"));
    let scope = Scope::Workspace(WorkspaceName::new("prod").unwrap());
    let hold = |what, by: &str| Hold {
        scope: scope.clone(),
        what,
        by: by.to_owned(),
        why: "5 failures".to_owned(),
        since: at(-1),
    };
    let holds = Holds::new(vec![hold(HoldKind::Minting, BREAKER), hold(HoldKind::Everything, "uid 7")]);
    let around = Around {
        holds: &holds,
        policy: &Policy::default(),
        records: &BTreeMap::new(),
        workspaces: &BTreeMap::new(),
    };
    let report = StatusReport::new(vec![], at(0)).with_holds(&around);
    let workspaces = [
        ("dead", failure(Kind::Unauthenticated)),
        ("ill", failure(Kind::ServerError)),
        ("new", WorkspaceState::Unknown),
    ];
    let set = alert_set(&report, &workspaces, Some("line 3: this is no key\nline 4"), false);
    assert_eq!(
        lines(&set),
        [
            "ticket held/minting/workspace/prod #held-by-the-breaker Some(\"rekeyd resume --workspace prod\")",
            "info held/everything/workspace/prod #held-by-an-operator Some(\"rekeyd resume --workspace prod\")",
            "page unusable/workspace/dead #workspace_unusable Some(\"rekeyd status\")",
            "ticket unusable/workspace/ill #workspace_unusable Some(\"rekeyd status\")",
            "ticket policy_refused/rekeyd #rekeydpolicyreloadfailed Some(\"rekeyd check /etc/rekeyd/policy.toml\")",
            "page stuck/rekeyd #rekeydenginestalled Some(\"systemctl restart rekeyd\")",
        ]
    );
    let grace: Vec<i64> = set.alerts.iter().map(|it| it.grace.as_mins()).collect();
    assert_eq!(grace, [0, 0, 0, 15, 0, 0]);
    assert_eq!(set.unknown.first(), Some(&Subject::Workspace(WorkspaceName::new("new").unwrap())));
}

#[test]
fn a_consumer_that_is_silent_is_a_ticket_until_it_reports() {
    let mut quiet = report(&record("tts"));
    let consumer = ConsumerName::new("batch").unwrap();
    quiet.stale_consumers = vec![StaleConsumer { consumer, since: at(-7200), valid_for_seconds: 1800 }];
    let set = alert_set(&StatusReport::new(vec![quiet], at(0)), &[], None, true);
    assert_eq!(
        lines(&set),
        ["ticket silent/batch/credential/tts #rekeydconsumersilent Some(\"rekeyd consumers batch\")"]
    );
    assert_eq!(set.alerts.first().map(|it| it.since), Some(at(-5400)), "since its acknowledgement expired");
}

/// A failing alert of a credential in `prod`.
fn failing(name: &str, kind: Kind, severity: Severity) -> Alert {
    let name = CredentialName::new(name).unwrap();
    let subject =
        Subject::Credential { name: name.clone(), workspace: Some(WorkspaceName::new("prod").unwrap()) };
    Alert {
        key: format!("failing/credential/{name}"),
        severity,
        reason: kind.label().to_owned(),
        subject,
        summary: format!("{name} said so"),
        next: Some(format!("rekeyd history {name}")),
        anchor: FAILURES.to_owned(),
        since: at(-9),
        grace: SignedDuration::ZERO,
    }
}

#[test]
fn rotations_that_fail_in_one_way_are_one_alert_and_none_beside_that_of_their_workspace() {
    let of = |names: &[&str], kind| -> Vec<Alert> {
        names.iter().map(|name| failing(name, kind, Severity::Ticket)).collect()
    };
    let lines = |alerts: Vec<Alert>| lines(&AlertSet { alerts, unknown: BTreeSet::new() });
    let two = of(&["a", "b"], Kind::Forbidden);
    assert_eq!(grouped(two.clone()), two);
    let many = of(&["a", "b", "c", "d", "e", "f", "g"], Kind::LimitReached);
    let both = grouped([many.clone(), two].concat());
    assert_eq!(
        lines(both.clone()),
        [
            "ticket failing/credential/a #failures Some(\"rekeyd history a\")",
            "ticket failing/credential/b #failures Some(\"rekeyd history b\")",
            "ticket failing/ticket/limit_reached/workspace/prod #failures Some(\"rekeyd status\")",
        ]
    );
    let summary = both.last().map(|alert| alert.summary.as_str());
    assert_eq!(summary, Some("7 rotations fail: a, b, c, d, e and 2 more; the first: a said so"));

    let failure = Failure::rejected(Kind::Unreachable, "it said so");
    let ill = unusable(&WorkspaceName::new("prod").unwrap(), &failure, at(0));
    let hurting = failing("h", Kind::Unreachable, Severity::Page);
    let left = grouped([vec![ill], many, vec![hurting]].concat());
    assert_eq!(
        lines(left),
        [
            "ticket unusable/workspace/prod #workspace_unusable Some(\"rekeyd status\")",
            "page failing/credential/h #failures Some(\"rekeyd history h\")",
        ]
    );
}
